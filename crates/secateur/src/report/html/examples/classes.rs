//! Classes of both networks.

use maud::{Markup, html};

use super::panel::Input;
use crate::examples::NamedShare;

/// The input beside the likeliest classes.
pub(super) fn body(
    input: &Input<'_>,
    [original, result]: [&[NamedShare]; 2],
    network: &str,
) -> Markup {
    let table = html! {
        table.shares {
            thead { tr { th scope="colgroup" colspan="2" { "given network" } th scope="colgroup" colspan="2" { (network) } } }
            tbody {
                @for (before, after) in original.iter().zip(result) {
                    tr { (cells(before)) (cells(after)) }
                }
            }
        }
    };
    input.row(&[input.panel(), table])
}

fn cells(share: &NamedShare) -> Markup {
    html! {
        td { (share.class) }
        td {
            @match share.share {
                Some(share) => (format!("{:.1} %", 100.0 * share)),
                None => "no number",
            }
        }
    }
}
