//! Printing results.
//!
//! A reader that has gone (`secateur inspect net.onnx | head`) is no reason to fail: what a
//! command writes to files is written all the same. `println!` would panic.

/// Like `println!`, but a reader that has gone is no error.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Like `print!`, but a reader that has gone is no error.
macro_rules! say_part {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stdout(), $($text)*);
    }};
}
