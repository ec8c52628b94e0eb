//! Progress where stderr is no terminal: a line now and then, so that a log tells how far a run is.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines, and before the first: what is quicker leaves no lines.
const EVERY: Duration = Duration::from_secs(60);

/// When the next line is due; `None` on a terminal, where bars are drawn instead.
pub(super) struct ProgressLog(Option<Instant>);

impl ProgressLog {
    pub(super) fn new() -> Self {
        Self((!std::io::stderr().is_terminal()).then(|| Instant::now() + EVERY))
    }

    /// Writes what `line` makes if a line is due.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.is_due(Instant::now()) {
            eprintln!("{}", line());
        }
    }

    /// Whether a line is due at a time; the next one is then due a while later.
    fn is_due(&mut self, now: Instant) -> bool {
        match &mut self.0 {
            Some(next) if now >= *next => {
                *next = now + EVERY;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_due_once_in_a_while_and_never_on_a_terminal() {
        let start = Instant::now();
        let mut log = ProgressLog(Some(start + EVERY));
        let second = Duration::from_secs(1);
        assert!(!log.is_due(start + EVERY - second));
        assert!(log.is_due(start + EVERY));
        assert!(!log.is_due(start + EVERY + second));
        assert!(log.is_due(start + 2 * EVERY));
        assert!(!ProgressLog(None).is_due(start + EVERY));
    }
}
