//! The section on files with 8-bit integers.

use maud::{Markup, html};

use crate::report::quantised::Quantised;

/// A table each; nothing where there are none.
pub(super) fn quantised(files: &[Quantised]) -> Markup {
    html! {
        @if !files.is_empty() { h2 { "With 8-bit integers" } }
        @for file in files {
            div.scroll {
                table {
                    thead { tr { th {} th { "before" } th { "8-bit" } } }
                    tbody {
                        @for [name, before, after] in file.rows() {
                            tr { td { (name) } td { (before) } td { (after) } }
                        }
                    }
                }
            }
            p {
                (file.difference_text()) ". "
                @if file.is_against_original {
                    "There are no labels: quality is how far a file agrees with the one before. "
                }
                "Made by " (file.by) ", calibrated on " (file.inputs) " training " (file.noun) "s"
                @if let Some(latency) = file.after.latency.first() { "; timed in " (latency.engine) }
                "."
            }
            @for note in &file.notes { p.muted { (note) } }
            p { code { (file.command) } }
        }
    }
}
