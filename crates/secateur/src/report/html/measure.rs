//! The section on the user's own measure.

use maud::{Markup, html};
use secateur_search::measure::number_text;

use super::percent;
use crate::report::RunReport;
use crate::report::measure::against;

/// What it is, what had to be held, and every network that it was asked of.
pub(super) fn measure(report: &RunReport) -> Markup {
    let Some(measure) = &report.measure else {
        return html! {};
    };
    html! {
        h2 { "By its own measure" }
        p {
            @match &measure.command {
                Some(command) => code { (command) },
                None => "A function",
            }
            " gave " (number_text(measure.given)) " for the given network ("
            @if measure.lower_is_better { "lower" } @else { "higher" } " is better). "
            @match measure.floor {
                Some(floor) => {
                    "What is no worse than " (number_text(floor)) " held; the smallest network that did is the result. "
                    "Networks were chosen by this number: on other data theirs may be a little lower than shown here."
                }
                None => "It decided nothing: size was promised, and networks were chosen by their quality.",
            }
            " All readings together took " (format!("{:.1} s", measure.seconds)) "."
        }
        div.scroll {
            table {
                thead { tr {
                    th { "pruning epoch" } th { "parameters" } th { (report.quality_name) ", search part" }
                    th { "measure" } @if measure.floor.is_some() { th { "floor" } } th { "seconds" }
                } }
                tbody {
                    @for reading in &measure.readings {
                        tr {
                            td { (reading.record) }
                            td { (percent(reading.remaining)) }
                            td { (percent(reading.search_quality)) }
                            td { (against(reading.number, measure.given)) }
                            @if let Some(holds) = reading.holds {
                                td { @if holds { "held" } @else { "broken" } }
                            }
                            td { (format!("{:.1}", reading.seconds)) }
                        }
                    }
                }
            }
        }
    }
}
