//! One file a command; each is thin over the library.

pub mod bench;
pub mod compare;
pub mod demo;
pub mod eval;
pub mod inspect;
mod inspect_data;
pub mod prune;
pub mod report;
pub mod train;
pub mod verify;

use secateur_onnx::text::counted;
use std::path::Path;

use anyhow::Result;
use secateur::data::{self, DataConfig, Source};
use secateur::report::command_text;
use secateur::table::{Align, table};
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

/// For the end of a line: how many images were left out, if any.
fn skipped_text(n: usize) -> String {
    match n {
        0 => String::new(),
        n => format!(", {} left out", counted(n, "image")),
    }
}

/// The command as typed, with the program's plain name.
fn command_line() -> String {
    let mut words = vec!["secateur".to_string()];
    words.extend(std::env::args().skip(1));
    command_text(words)
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

/// Fails early, before hours of work, if `path` cannot be written.
fn check_writable(path: &Path) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if let Err(error) = tempfile::NamedTempFile::new_in(folder) {
        anyhow::bail!("cannot write `{}`: {error}", path.display());
    }
    if path.is_dir() {
        anyhow::bail!("cannot write `{}`: it is a folder", path.display());
    }
    Ok(())
}
