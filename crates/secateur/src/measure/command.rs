//! A command as typed, and its runs.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use secateur_search::measure::MeasureError;

use super::error::{CommandError, LastLines};
use super::number::last_number;
use super::process::{Ended, run};

/// What stands for the network's file.
const MODEL: &str = "{model}";

/// A command that prints a number of a network.
pub(crate) struct MeasureCommand {
    /// As typed.
    text: String,
    /// Program and arguments.
    words: Vec<String>,
    limit: Duration,
}

impl MeasureCommand {
    /// Splits a command into words as a shell does (POSIX); no shell runs it.
    pub fn parse(text: &str, seconds: f64) -> Result<Self, CommandError> {
        let command = || text.to_string();
        let words =
            shlex::split(text).ok_or_else(|| CommandError::OpenQuote { command: command() })?;
        if !words.iter().any(|word| word.contains(MODEL)) {
            return Err(CommandError::NoModel { command: command() });
        }
        Ok(Self {
            text: command(),
            words,
            limit: Duration::from_secs_f64(seconds),
        })
    }

    /// The number of the network in `file`.
    pub fn run(&self, file: &Path, stop: &dyn Fn() -> bool) -> Result<f64, MeasureError> {
        let words: Vec<OsString> = self
            .words
            .iter()
            .map(|word| with_file(word, file))
            .collect();
        let ended = run(&words, self.limit, stop).map_err(|source| CommandError::NotRun {
            command: self.text.clone(),
            program: words[0].to_string_lossy().into_owned(),
            source,
        })?;
        match ended {
            Ended::Stopped => Err(MeasureError::Stopped),
            Ended::TimedOut(printed) => Err(CommandError::TimedOut {
                command: self.text.clone(),
                seconds: self.limit.as_secs_f64(),
                file: file.to_path_buf(),
                lines: LastLines::of(&printed),
            }
            .into()),
            Ended::Exited(status, printed) if !status.success() => Err(CommandError::Failed {
                command: self.text.clone(),
                status: status.to_string(),
                file: file.to_path_buf(),
                lines: LastLines::of(&printed),
            }
            .into()),
            Ended::Exited(_, printed) => {
                Ok(
                    last_number(&printed.stdout).map_err(|reason| CommandError::NoNumber {
                        command: self.text.clone(),
                        reason,
                        file: file.to_path_buf(),
                        lines: LastLines::of(&printed),
                    })?,
                )
            }
        }
    }
}

/// A word with the file in place of its placeholder. After the words were split: a path with
/// spaces stays one argument, whatever its bytes are.
fn with_file(word: &str, file: &Path) -> OsString {
    let mut parts = word.split(MODEL);
    let mut whole = OsString::from(parts.next().unwrap_or_default());
    for part in parts {
        whole.push(file);
        whole.push(part);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        let command = MeasureCommand::parse(text, 1.0).unwrap();
        let file = Path::new("/my runs/a.onnx");
        let words = command.words.iter().map(|word| with_file(word, file));
        words.collect()
    }

    #[test]
    fn a_path_with_spaces_is_one_argument() {
        let found = words("python3 'my val.py' {model} --out={model}.txt -x \"a b\"");
        let expected = [
            "python3",
            "my val.py",
            "/my runs/a.onnx",
            "--out=/my runs/a.onnx.txt",
            "-x",
            "a b",
        ];
        assert_eq!(found, expected);
        let shell = words("sh -c 'val \"$0\" | tail -1' {model}");
        assert_eq!(shell[2], "val \"$0\" | tail -1");
    }

    #[test]
    fn what_is_no_command_on_a_model_is_refused() {
        let refused = |text: &str| MeasureCommand::parse(text, 1.0).err().unwrap();
        for text in ["", "python3 val.py", "val {Model}"] {
            let error = refused(text);
            assert!(matches!(error, CommandError::NoModel { .. }), "{error}");
        }
        let error = refused("sh -c 'val {model}");
        assert!(matches!(error, CommandError::OpenQuote { .. }), "{error}");
    }
}
