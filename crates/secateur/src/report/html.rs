//! `report.html`: one self-contained page.

mod data;
mod kernels;
mod sections;

use std::path::Path;

use maud::{DOCTYPE, PreEscaped, html};
use secateur_search::run_dir::record::{EpochRecord, RunHeader};
use secateur_search::run_dir::write_atomically;

use super::{ReportError, RunReport};

/// Writes the page beside, then renames. It needs nothing from anywhere.
///
/// # Errors
/// [`ReportError`] if a plot cannot be drawn or the file not be written.
pub fn write_html(
    report: &RunReport,
    header: &RunHeader,
    history: &[EpochRecord],
    path: &Path,
) -> Result<(), ReportError> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Pruning report: " (report.before.file) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    (sections::summary(report))
                    (sections::before_after(report))
                    (sections::progress(report, header, history)?)
                    (kernels::maps(report, header, history))
                    (kernels::effectiveness(report, header))
                    (sections::reward(history)?)
                    (sections::reactivations(header, history))
                    (sections::layers(report))
                    (sections::cost(report, history))
                    (data::data(report))
                    (sections::reproduce(report, path))
                }
            }
        }
    };
    write_atomically(path, page.into_string().as_bytes())?;
    Ok(())
}
