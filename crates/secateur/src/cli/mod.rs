//! The command line: raw arguments, checked settings, errors for people.

pub mod args;
pub mod budget;
pub mod errors;
pub mod exit_code;
pub mod flags;
pub mod progress;
pub mod settings;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Parses, runs, reports.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    init_log(cli.verbose);
    #[cfg(feature = "verify")]
    quiet_expected_panics();
    if let Some(threads) = cli.threads
        && let Err(error) = secateur::set_threads(threads)
    {
        eprintln!("error: {error}");
        return ExitCode::from(exit_code::ERROR);
    }
    let result = match &cli.command {
        Command::Train(args) => crate::commands::train::run(args),
        Command::Prune(args) => crate::commands::prune::run(args),
        Command::Eval(args) => crate::commands::eval::run(args),
        Command::Inspect(args) => crate::commands::inspect::run(args),
        Command::Verify(args) => crate::commands::verify::run(args),
        Command::Bench(args) => crate::commands::bench::run(args),
        Command::Report(args) => crate::commands::report::run(args),
        Command::Compare(args) => crate::commands::compare::run(args, cli.threads),
        Command::Demo(args) => crate::commands::demo::run(args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(errors::print(&error)),
    }
}

/// The library turns panics of the other engine into errors; they are not to be printed as well.
#[cfg(feature = "verify")]
fn quiet_expected_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !secateur::runtime::panic_is_expected() {
            print(info);
        }
    }));
}

/// Logs go to stderr; results stay alone on stdout.
fn init_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // tract logs its own optimiser's steps; only its warnings are of interest.
    let filter = tracing_subscriber::EnvFilter::try_from_env("SECATEUR_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(format!("error,secateur={level}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
