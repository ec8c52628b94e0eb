//! The program `secateur`.

use std::process::ExitCode;

use secateur::cli::{Call, run};

fn main() -> ExitCode {
    ExitCode::from(run(&Call::of_this_process()))
}
