//! The command and the settings that make the run again.

use std::path::Path;

use maud::{Markup, html};

use crate::report::RunReport;
use crate::report::command::anew;

pub(super) fn reproduce(report: &RunReport, page: &Path) -> Markup {
    let run_dir = page.parent().unwrap_or(Path::new("")).display().to_string();
    html! {
        h2 { "How to reproduce it" }
        @match anew(&report.command, &run_dir) {
            Some(command) => {
                pre { (command) }
                p {
                    "The run was stopped and gone on with, last by "
                    code { (report.command) }
                    ". The command above begins it anew by the settings that its folder keeps, which are those of its end: where they were changed on the way, or where it began with "
                    "the agent of another run, which they do not hold, it is another run."
                }
            }
            None => {
                pre { (report.command) }
                p.muted { "In a run folder that holds no run yet." }
            }
        }
        p.muted {
            "On " (report.machine) ". The same seed and number of threads give the same decisions"
            @if report.after.iter().any(|figures| figures.label.contains("latency")) {
                ", as far as times of layers that were measured once are those that were kept"
            }
            "."
        }
        details {
            summary { "Settings" }
            pre { (report.config) }
        }
    }
}
