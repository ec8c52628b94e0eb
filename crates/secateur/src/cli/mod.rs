//! The command line: raw arguments, checked settings, errors for people.

pub(crate) mod args;
pub(crate) mod errors;
pub(crate) mod exit_code;
pub(crate) mod flags;
pub(crate) mod progress;
pub(crate) mod settings;

use std::ffi::OsString;

use clap::Parser;

use crate::compare::Program;
use crate::quantise::Quantiser;
use crate::report::command_text;
use args::{Cli, Command};
pub use errors::{hint, text};

/// How the program was called.
#[derive(Debug, Clone)]
pub struct Call {
    /// The words behind its name.
    pub words: Vec<OsString>,
    /// The program, to be called again for runs side by side.
    pub program: Program,
}

impl Call {
    /// Of the process that runs.
    pub fn of_this_process() -> Self {
        let mut words = std::env::args_os();
        let name = words.next().unwrap_or_default();
        Self {
            words: words.collect(),
            program: Program {
                file: std::env::current_exe().unwrap_or_else(|_| name.into()),
                words: Vec::new(),
            },
        }
    }

    /// As typed, with the program's plain name.
    pub(crate) fn text(&self) -> String {
        let words = self.words.iter().map(|word| word.to_string_lossy());
        command_text(std::iter::once("secateur".into()).chain(words))
    }
}

/// Parses, runs, reports; returns the exit code.
pub fn run(call: &Call) -> u8 {
    run_with(call, None)
}

/// The same, with another program's quantiser at hand.
pub fn run_with(call: &Call, quantiser: Option<&dyn Quantiser>) -> u8 {
    let words = std::iter::once("secateur".into()).chain(call.words.iter().cloned());
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to be told that this cannot be printed.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE);
        }
    };
    init_log(cli.verbose);
    #[cfg(feature = "verify")]
    quiet_expected_panics();
    if let Some(threads) = cli.threads
        && let Err(error) = crate::set_threads(threads)
    {
        eprintln!("error: {error}");
        return exit_code::ERROR;
    }
    let result = match &cli.command {
        Command::Train(args) => crate::commands::train::run(args),
        Command::Prune(args) => crate::commands::prune::run(args, call),
        Command::Eval(args) => crate::commands::eval::run(args),
        Command::Inspect(args) => crate::commands::inspect::run(args),
        Command::Verify(args) => crate::commands::verify::run(args),
        Command::Bench(args) => crate::commands::bench::run(args),
        Command::Quantise(args) => crate::commands::quantise::run(args, call.text(), quantiser),
        Command::Report(args) => crate::commands::report::run(args),
        Command::Compare(args) => crate::commands::compare::run(args, cli.threads, call),
        Command::Demo(args) => crate::commands::demo::run(args),
        Command::Completions(args) => Ok(crate::commands::shell::completions(args)),
        Command::Man(args) => crate::commands::shell::man(args),
    };
    result.unwrap_or_else(|error| errors::print(&error))
}

/// The library turns panics of the other engine into errors; they are not to be printed as well.
#[cfg(feature = "verify")]
pub fn quiet_expected_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !crate::runtime::panic_is_expected() {
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
        .try_init()
        // Another call in this process has begun to log.
        .ok();
}
