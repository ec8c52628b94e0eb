//! `secateur completions` and `secateur man`: what shells and manuals know of the command.

use anyhow::Result;
use clap::CommandFactory;

use super::check_folder;
use crate::cli::args::{Cli, CompletionsArgs, ManArgs};
use crate::cli::exit_code;

/// The command's name, as shells know it.
const NAME: &str = "secateur";

/// Prints a completion script.
pub fn completions(args: &CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    say_part!("{}", String::from_utf8_lossy(&script));
    exit_code::SUCCESS
}

/// Writes a page for the program and one for each command.
pub fn man(args: &ManArgs) -> Result<u8> {
    check_folder(&args.output)?;
    clap_mangen::generate_to(Cli::command(), &args.output)?;
    say!("wrote {}", args.output.join(format!("{NAME}*.1")).display());
    Ok(exit_code::SUCCESS)
}
