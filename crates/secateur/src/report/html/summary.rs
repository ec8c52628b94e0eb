//! What became of the network: the figures that a reader looks for first, and a verdict.

use maud::{Markup, html};

use super::percent;
use crate::report::stats::PairedDifference;
use crate::report::terminal::grouped;
use crate::report::{NetworkFigures, RunReport};

pub(super) fn summary(report: &RunReport) -> Markup {
    let best = report.after.last().unwrap_or(&report.before);
    let before = &report.before;
    let unchanged = best.record.is_none();
    html! {
        h1 {
            (before.file)
            @if unchanged { " could not be made smaller" } @else { " made smaller" }
        }
        p.muted { (report.mode) ". secateur " (report.version) ", seed " (report.seed) "." }
        @if unchanged {
            p.lead {
                (best.file) " is the given network: no smaller one kept what the run promised. "
                "What was tried is below; "
                "the setting " code { "max_drop" } " says how much may go."
            }
        } @else {
            (figures(best, report))
            (verdict(best, report))
        }
        @for warning in &report.warnings {
            p.note { (warning) }
        }
    }
}

/// The figures that a reader looks for first.
fn figures(best: &NetworkFigures, report: &RunReport) -> Markup {
    let before = &report.before;
    html! {
        div.figures {
            div.figure { b { (gone(best.size.params, before.size.params)) } span { "parameters gone" } }
            div.figure { b { (gone(best.size.macs, before.size.macs)) } span { "multiply-adds gone" } }
            div.figure { b { (gone(best.size.kernels, before.size.kernels)) } span { "kernels gone" } }
            @if let Some(d) = &best.test_difference {
                div.figure { b.loss[d.difference < 0.0] { (format!("{:+.2}", 100.0 * d.difference)) } span { "points of test " (report.quality_name) } }
            }
            div.figure { b { (format!("{:.0} %", 100.0 * cost_share(report))) } span { "of the cost of the " (report.training_name()) } }
        }
    }
}

/// What became of the network, in words.
fn verdict(best: &NetworkFigures, report: &RunReport) -> Markup {
    let before = &report.before;
    let noun = report.noun();
    html! {
        p.lead {
            (best.file) " keeps " (grouped(best.size.params)) " of " (grouped(before.size.params))
            " parameters. "
            @if report.is_against_original {
                (against_original(best, report))
            } @else { @match (best.test_quality, before.test_quality, &best.test_difference) {
                (Some(after), Some(first), Some(d)) => {
                    "On test " (noun) "s that nothing was chosen by, its " (report.quality_name) " is " (percent(after))
                    ", the given network's " (percent(first)) ": " (points(d))
                    ", 95 % interval; " (d.gained) " " (noun) "s gained, " (d.lost) " lost. "
                    @if d.low <= 0.0 && d.high >= 0.0 {
                        "The interval holds zero: these " (noun) "s do not tell the two apart."
                    } @else if d.difference > 0.0 {
                        "The smaller network is better by more than chance explains."
                    } @else {
                        "The smaller network is worse by more than chance explains."
                    }
                }
                _ => { "There are no test " (noun) "s, so nothing is said of unseen data beyond validation." }
            } }
        }
    }
}

/// How near a network is to the given one on data that nothing was chosen by, and what that says
/// of an accuracy that nobody measured.
fn against_original(best: &NetworkFigures, report: &RunReport) -> Markup {
    let noun = report.noun();
    let (held, which) = match best.test_disagreement {
        Some(of_test) => (
            Some(of_test),
            format!("test {noun}s that nothing was chosen by,"),
        ),
        None => {
            let which = format!("{noun}s that confirmed the result, which flatters it a little,");
            (best.confirm_disagreement, which)
        }
    };
    html! {
        "No labels were used: the given network itself says what is right. "
        @match (held, best.test_quality) {
            (Some(d), _) => {
                "Of " (grouped(d.samples)) " " (which) " it decides otherwise for " (grouped(d.found))
                " (" (percent(d.found as f64 / d.samples as f64)) "), and of all data like these for at most "
                (percent(d.at_most)) " (95 %, one-sided). "
                "A network can only be wrong more often where it decides otherwise, so its accuracy lies below the given network's by no more than that share, as far as these "
                (noun) "s are like those that it will meet."
            },
            (None, Some(quality)) => {
                "On test " (noun) "s that nothing was chosen by, its " (report.quality_name) " is " (percent(quality))
                @if let Some(d) = &best.test_difference { ": " (points(d)) ", 95 % interval" }
                ". How good it is against the truth is not known."
            },
            (None, None) => {
                "There are no test " (noun) "s; on those that confirmed the result, its " (report.quality_name)
                " is " (percent(best.confirm_quality)) ". How good it is against the truth is not known."
            },
        }
    }
}

fn gone(after: u64, before: u64) -> String {
    format!(
        "{:.1} %",
        100.0 - 100.0 * after as f64 / before.max(1) as f64
    )
}

fn points(difference: &PairedDifference) -> String {
    format!(
        "{:+.2} points ({:+.2} to {:+.2})",
        100.0 * difference.difference,
        100.0 * difference.low,
        100.0 * difference.high
    )
}

fn cost_share(report: &RunReport) -> f64 {
    report.search_sample_macs / report.training_sample_macs.max(1.0)
}
