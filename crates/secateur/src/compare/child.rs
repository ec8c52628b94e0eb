//! A child process: a call of this program, with what it says in files.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Instant;

use process_wrap::std::{ChildWrapper, CommandWrap};
use secateur_search::store::write_atomically;
use tempfile::NamedTempFile;

use super::error::CompareError;
use super::folder::LOG;
use super::step::Step;

/// This program, as it is called again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its file.
    pub file: PathBuf,
    /// Words before all others, where another program runs it.
    pub words: Vec<OsString>,
}

/// A step that runs.
pub(super) struct Child {
    process: Box<dyn ChildWrapper>,
    /// What it prints, where that is its result.
    printed: Option<(NamedTempFile, PathBuf)>,
    log: PathBuf,
    /// Where its part of the log begins.
    said_from: usize,
    /// It was asked to end.
    is_asked: bool,
    pub started: Instant,
}

/// How a step ended.
pub(super) enum Ended {
    Well,
    /// Stopped as asked, and saved.
    Stopped,
    /// What it said last.
    Badly(String),
}

/// The exit code of a command that was interrupted.
const INTERRUPTED: i32 = 130;
/// Lines of the log that are told where it holds no error.
const LAST_LINES: usize = 3;

impl Child {
    /// Starts a step in a group of its own: Ctrl-C reaches it by [`Child::stop`] alone. It holds
    /// `lock` as long as it lives.
    pub fn start(
        program: &Program,
        step: &Step,
        folder: &Path,
        lock: &File,
    ) -> Result<Self, CompareError> {
        if let Some((file, text)) = &step.settings {
            write_atomically(file, text.as_bytes())?;
        }
        let log = folder.join(LOG);
        let file = fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)?;
        let file = file.into_file();
        let said_from = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        let (stdout, printed) = match step.is_printed {
            false => (file.try_clone()?, None),
            true => {
                let beside = NamedTempFile::new_in(folder)?;
                (beside.reopen()?, Some((beside, step.result.clone())))
            }
        };
        let lock = lock.try_clone()?;
        let mut command = CommandWrap::with_new(&program.file, |command| {
            command
                .args(&program.words)
                .args(&step.arguments)
                .stdin(Stdio::from(lock))
                .stdout(Stdio::from(stdout))
                .stderr(Stdio::from(file));
        });
        #[cfg(unix)]
        command.wrap(process_wrap::std::ProcessGroup::leader());
        #[cfg(windows)]
        command.wrap(process_wrap::std::JobObject);
        Ok(Self {
            process: command.spawn()?,
            printed,
            log,
            said_from,
            is_asked: false,
            started: Instant::now(),
        })
    }

    /// Asks it to save what it has and to end.
    pub fn stop(&mut self) -> io::Result<()> {
        self.is_asked = true;
        #[cfg(unix)]
        {
            const SIGINT: i32 = 2;
            self.process.signal(SIGINT)
        }
        #[cfg(not(unix))]
        self.process.start_kill()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Result<Option<Ended>, CompareError> {
        let Some(status) = self.process.try_wait()? else {
            return Ok(None);
        };
        if !status.success() {
            return Ok(Some(match status.code() {
                Some(INTERRUPTED) => Ended::Stopped,
                // It had not begun to listen.
                None if self.is_asked => Ended::Stopped,
                _ => Ended::Badly(self.last_words(status)),
            }));
        }
        if let Some((printed, result)) = self.printed.take() {
            printed.persist(result).map_err(|error| error.error)?;
        }
        Ok(Some(Ended::Well))
    }

    /// The error that it told, or the end of what it said.
    fn last_words(&self, status: ExitStatus) -> String {
        let bytes = fs_err::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(bytes.get(self.said_from..).unwrap_or_default());
        let said = match text.rfind("error: ") {
            Some(at) => text[at..].trim().to_string(),
            None => {
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
            }
        };
        match status.code() {
            Some(1) if said.starts_with("error: ") => said,
            _ => format!("{status}\n{said}").trim().to_string(),
        }
    }
}
