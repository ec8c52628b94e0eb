//! Errors for people: what, where, why, and a way out.

mod hints;

use crate::PruneError;
use secateur_search::error::SearchError;

use super::exit_code;

pub use hints::net as net_hint;

/// An error with its causes, in a line.
pub fn text(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Transparent errors repeat their source word for word.
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// Prints an error with its causes and its hint; returns the exit code.
pub fn print(error: &anyhow::Error) -> u8 {
    let text = text(error);
    // Being stopped as asked is no error.
    let stopped = matches!(
        error.downcast_ref::<PruneError>(),
        Some(PruneError::Search(SearchError::Interrupted { .. }))
    );
    eprintln!("{}{text}", if stopped { "" } else { "error: " });
    if let Some(hint) = hint(error) {
        eprintln!("\nhint: {hint}");
    }
    if stopped {
        exit_code::INTERRUPTED
    } else {
        exit_code::ERROR
    }
}

/// What the user can do about it, by the first of its causes that has a way out.
pub fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(hints::hint)
}
