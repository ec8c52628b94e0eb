//! `report.html`: one self-contained page.

mod cost;
mod data;
mod decisions;
mod examples;
mod front;
mod kernels;
mod measure;
mod networks;
mod progress;
mod quantised;
mod reactivations;
mod reproduce;
mod summary;

use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use secateur_search::record::{EpochRecord, RunHeader};
use secateur_search::store::write_atomically;

use super::quantised::Quantised;
use super::{ReportError, RunReport};
use crate::examples::Examples;

/// Writes the page beside, then renames. It needs nothing from anywhere: pictures of the examples
/// are part of it.
///
/// # Errors
/// [`ReportError`] if a plot cannot be drawn or the file not be written.
pub fn write_html(
    report: &RunReport,
    header: &RunHeader,
    history: &[EpochRecord],
    examples: Option<&Examples>,
    path: &Path,
) -> Result<(), ReportError> {
    let body = html! {
        (summary::summary(report))
        (networks::before_after(report))
        (front::quality_by_size(report, header, history)?)
        (quantised::quantised(&report.quantised))
        (measure::measure(report))
        (examples::examples(report, examples))
        (progress::progress(report, header, history)?)
        (kernels::maps(report, header, history))
        (kernels::effectiveness(report, header))
        (progress::reward(history)?)
        (decisions::decisions(report, history))
        (reactivations::reactivations(header, history))
        (networks::layers(report))
        (cost::cost(report, history))
        (data::data(report))
        (reproduce::reproduce(report, path))
    };
    let page = page(&format!("Pruning report: {}", report.before.file), body);
    write_atomically(path, page.into_string().as_bytes())?;
    Ok(())
}

/// Writes the page of a quantised file by itself.
///
/// # Errors
/// [`ReportError`] if it cannot be written.
pub fn write_quantised(file: &Quantised, path: &Path) -> Result<(), ReportError> {
    let title = format!("Quantised: {}", file.before.file);
    let body = html! {
        h1 { (title) }
        (quantised::quantised(std::slice::from_ref(file)))
    };
    write_atomically(path, page(&title, body).into_string().as_bytes())?;
    Ok(())
}

/// A whole page in the style of the reports.
pub(crate) fn page(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main { (body) } }
        }
    }
}

fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

/// Names beside their colours, by the style sheet's variables.
pub(crate) fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        div.legend {
            @for (color, name) in entries {
                span { i style=(format!("background:var(--{color})")) {} (name) }
            }
        }
    }
}
