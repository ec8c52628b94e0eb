//! The way out where a measure of the user's own fails.

use std::error::Error;

use crate::measure::CommandError;

use super::{Hint, say};

/// A measure that failed: what to mend, and that the run goes on from there.
pub fn failed(can_resume: bool, source: &(dyn Error + 'static)) -> String {
    let way_out = source.downcast_ref::<CommandError>().and_then(command);
    let again = match can_resume {
        true => "then run the same command with `--resume`: no epoch and no number is lost",
        false => "then run the same command again",
    };
    let way_out = way_out.unwrap_or_else(|| "mend what failed".to_string());
    format!("{way_out}; {again}")
}

/// What the user can do about a command.
pub fn command(error: &CommandError) -> Hint {
    match error {
        CommandError::OpenQuote { .. } => {
            say("words are split as by a shell: close the quote, or put a backslash before it")
        }
        CommandError::NoModel { .. } => {
            say("write `{model}` where it takes the file, as in 'python3 val.py {model}'")
        }
        CommandError::NotRun { .. } => say(
            "name a program that is there and may be run; no shell runs the command, so for pipes and variables \
             write sh -c '... \"$0\"' {model}",
        ),
        CommandError::Failed { .. } => {
            say("the network's file is kept: run the command on it by hand and mend it")
        }
        CommandError::NoNumber { .. } => {
            say("let the command print the number last on stdout, and everything else before it")
        }
        CommandError::TimedOut { .. } => {
            say("`--metric-timeout` gives it more seconds; mend it if it hangs")
        }
    }
}
