//! Panics that become errors, caught without touching the process's panic hook.
//!
//! A hook belongs to the program. One that does not want to print a panic which becomes an
//! error anyway asks [`panic_is_expected`].

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// True within a call into another engine, and where examples are drawn for a report, on the thread
/// that made it: a panic there is caught and returned as an error. For panic hooks, so that they
/// need not print it.
pub fn panic_is_expected() -> bool {
    EXPECTED.get()
}

/// What `call` returns; its panic as text.
///
/// # Errors
/// What `call` returned, or the message of its panic.
pub(crate) fn caught<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let before = EXPECTED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    EXPECTED.set(before);
    result.unwrap_or_else(|panic| Err(format!("it panicked: {}", message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_and_expected_only_within_the_call() {
        assert!(!panic_is_expected());
        let seen = caught(|| Ok(panic_is_expected()));
        assert_eq!(seen, Ok(true));
        let text = caught::<()>(|| panic!("axis {} is lost", 3));
        assert_eq!(text, Err("it panicked: axis 3 is lost".to_string()));
        assert_eq!(
            caught::<()>(|| Err("no".to_string())),
            Err("no".to_string())
        );
        assert!(!panic_is_expected());
    }
}
