//! Tables and plots of a comparison: one file a format.

mod cells;
mod csv;
mod html;
mod markdown;
mod plots;
mod terminal;

use std::io;
use std::path::Path;

use secateur_search::store::write_atomically;

use super::error::CompareError;
use super::summary::Comparison;

pub use terminal::text;

/// Writes `table.md`, `runs.csv`, `compare.json` and `compare.html`, each beside and then renamed.
///
/// # Errors
/// [`CompareError`] if one cannot be drawn or written.
pub fn write(
    comparison: &Comparison,
    experiment: &str,
    command: &str,
    out: &Path,
) -> Result<(), CompareError> {
    let json = serde_json::to_string_pretty(comparison).map_err(io::Error::from)?;
    let files = [
        ("table.md", markdown::text(comparison)),
        ("runs.csv", csv::text(comparison)?),
        ("compare.json", json),
        ("compare.html", html::page(comparison, experiment, command)?),
    ];
    fs_err::create_dir_all(out)?;
    for (name, text) in files {
        write_atomically(&out.join(name), text.as_bytes())?;
    }
    Ok(())
}
