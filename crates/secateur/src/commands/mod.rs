//! One file a command; each is thin over the library.

pub mod bench;
pub mod compare;
pub mod demo;
pub mod eval;
pub mod inspect;
pub mod prune;
pub mod quantise;
pub mod report;
pub mod shell;
pub mod train;
pub mod verify;

use std::path::Path;

use crate::data::{self, DataConfig, Source};
use crate::table::{Align, table};
use anyhow::Result;
use serde::Serialize;

/// Opens data and, unless stdout is for a program, says what they are: format, images,
/// classes in their order.
fn open_data(folder: &Path, config: &DataConfig, json: bool) -> Result<Source> {
    let source = data::open(folder, config)?;
    if !json {
        say!("{}", source.describe());
    }
    Ok(source)
}

/// Prints on stderr what the user should know of the data.
fn print_notes(notes: &[String]) {
    for note in notes {
        eprintln!("note: {note}");
    }
}

/// Prints a result for programs.
fn print_json<T: Serialize>(value: &T) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Prints a table, two spaces in.
fn say_table<R>(align: &[Align], rows: impl IntoIterator<Item = R>)
where
    R: IntoIterator<Item = String>,
{
    for line in table(align, rows).lines() {
        say!("  {line}");
    }
}

/// Makes a folder that is missing; fails if something else is there.
fn check_folder(path: &Path) -> Result<()> {
    if path.exists() && !path.is_dir() {
        anyhow::bail!("cannot write into `{}`: it is no folder", path.display());
    }
    Ok(fs_err::create_dir_all(path)?)
}

/// Fails early, before hours of work, if `path` cannot be written.
fn check_writable(path: &Path) -> Result<()> {
    secateur_search::store::check_writable(path)
        .map_err(|error| anyhow::anyhow!("cannot write `{}`: {error}", path.display()))
}
