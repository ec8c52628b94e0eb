//! What can go wrong with a command.

use std::fmt;
use std::path::PathBuf;

use secateur_search::measure::MeasureError;

use super::process::Printed;

/// Lines of each stream that are shown.
const SHOWN: usize = 10;
/// Characters of a line that are shown.
const WIDTH: usize = 200;

/// Why a command gave no number.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It cannot be split into words.
    #[error("cannot read the command `{command}`: a quote in it is not closed")]
    OpenQuote {
        /// As typed.
        command: String,
    },
    /// It does not say where the network's file goes.
    #[error(
        "cannot use the command `{command}`: no word of it holds `{{model}}`, which stands for the network's file"
    )]
    NoModel {
        /// As typed.
        command: String,
    },
    /// It cannot be started, or not be waited for.
    #[error("cannot run `{command}`: `{program}`: {source}")]
    NotRun {
        /// As typed.
        command: String,
        /// Its first word.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It says that it failed, or was killed.
    #[error("`{command}` failed on `{}` with {status}{lines}", file.display())]
    Failed {
        /// As typed.
        command: String,
        /// How it ended.
        status: String,
        /// The network's file, which is kept.
        file: PathBuf,
        /// What it printed last.
        lines: Box<LastLines>,
    },
    /// What it printed does not end in a number.
    #[error("`{command}` gave no number for `{}`: {reason}{lines}", file.display())]
    NoNumber {
        /// As typed.
        command: String,
        /// What is wrong with it.
        reason: String,
        /// The network's file, which is kept.
        file: PathBuf,
        /// What it printed last.
        lines: Box<LastLines>,
    },
    /// It took too long.
    #[error("`{command}` took more than {seconds} s on `{}` and was ended{lines}", file.display())]
    TimedOut {
        /// As typed.
        command: String,
        /// The limit.
        seconds: f64,
        /// The network's file, which is kept.
        file: PathBuf,
        /// What it printed last.
        lines: Box<LastLines>,
    },
}

impl From<CommandError> for MeasureError {
    fn from(error: CommandError) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// The last lines that a command printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LastLines {
    /// On stdout.
    pub stdout: Vec<String>,
    /// On stderr.
    pub stderr: Vec<String>,
}

impl LastLines {
    /// In a box: errors travel in every result.
    pub(super) fn of(printed: &Printed) -> Box<Self> {
        Box::new(Self {
            stdout: last_lines(&printed.stdout),
            stderr: last_lines(&printed.stderr),
        })
    }
}

/// The last lines that are not empty, without what a terminal would not show as it is.
fn last_lines(text: &str) -> Vec<String> {
    let plain = |line: &str| -> String {
        let shown = line.trim_end().chars().filter(|c| !c.is_control());
        shown.take(WIDTH).collect()
    };
    // A progress bar goes back to the line's beginning: its last state counts.
    let last_state = |line: &str| plain(line.trim_end().rsplit('\r').next().unwrap_or_default());
    let lines = text.lines().map(last_state);
    let mut lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(SHOWN));
    lines
}

impl fmt::Display for LastLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self == &Self::default() {
            return f.write_str("; it printed nothing");
        }
        for (name, lines) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !lines.is_empty() {
                write!(f, "\n  last on {name}:")?;
            }
            for line in lines {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_shown_as_a_terminal_would_leave_them() {
        let many: Vec<String> = (0..30).map(|n| format!("line {n}")).collect();
        let stdout = many.join("\n");
        let stderr = "0 %\r50 %\r100 %\n\u{1b}[31mboom\u{1b}[0m\n\n".to_string();
        let lines = LastLines::of(&Printed { stdout, stderr });
        assert_eq!(lines.stdout.len(), SHOWN);
        assert_eq!(lines.stdout[SHOWN - 1], "line 29");
        assert_eq!(lines.stderr, ["100 %", "[31mboom[0m"]);
        let text = lines.to_string();
        assert!(text.ends_with("line 29\n  last on stderr:\n    100 %\n    [31mboom[0m"));
        assert_eq!(LastLines::default().to_string(), "; it printed nothing");
    }
}
