//! Checks that stand before all unsafe code.

/// Panics if a slice does not have the length that its shape asks for.
#[track_caller]
pub(crate) fn assert_len(what: &str, got: usize, expected: usize) {
    assert!(
        got == expected,
        "cannot compute: `{what}`: expected {expected} values, got {got}"
    );
}
