//! The section on the data.

use maud::{Markup, html};

use crate::report::RunReport;
use crate::report::data::DataFigures;
use crate::report::terminal::grouped;

/// Samples, classes, how they were prepared, what was left out.
pub(super) fn data(report: &RunReport) -> Markup {
    let Some(data) = &report.data else {
        return html! {};
    };
    let count = |n: usize| grouped(n as u64);
    let noun = data.noun();
    let is_images = noun == "image";
    html! {
        h2 { "Data" }
        p {
            (data.kind) ": " (count(data.n_train)) " " (noun) "s to train on, "
            (count(data.n_search)) " that guided the search, " (count(data.n_confirm)) " that confirmed it, "
            @match data.n_test {
                Some(n) => { (count(n)) " for the test." }
                None => "none for the test.",
            }
        }
        @if data.class_names.is_empty() {
            p { "No labels were used." }
        } @else {
            p {
                (data.class_names.len()) " classes, in the order of the outputs: "
                (data.class_names.join(", ")) "."
            }
        }
        @if is_images {
            p.muted {
                "Normalised by mean " (numbers(&data.normalisation.mean)) " and deviation "
                (numbers(&data.normalisation.std)) "; channels " (data.colour) "; size by " (data.resize) "."
            }
            (skipped(data))
        } @else {
            p.muted { "Values as they are." }
        }
    }
}

fn numbers(values: &[f32]) -> String {
    let values: Vec<String> = values.iter().map(|v| format!("{v:.4}")).collect();
    values.join(", ")
}

fn skipped(data: &DataFigures) -> Markup {
    let n = data.skipped.len();
    html! {
        @if n == 0 {
            p.muted { "No image was left out." }
        } @else {
            details {
                summary { (n) " of at most " (data.max_skipped) " images were left out, as they cannot be decoded" }
                ul {
                    @for image in &data.skipped {
                        li { code { (image.path.display()) } ": " (image.reason) }
                    }
                }
            }
        }
    }
}
