//! Outputs of any kind of both networks.

use maud::{Markup, html};

use super::panel::{self, Input};
use crate::examples::{BothDrawn, DrawnValues};

/// Rows of fewer values are written out.
const FEW: usize = 6;

/// The input, then each output with its error.
pub(super) fn body(input: &Input<'_>, outputs: &[DrawnValues], network: &str) -> Markup {
    html! {
        (input.row(&[input.panel()]))
        @for output in outputs { (one(output, network)) }
    }
}

fn one(output: &DrawnValues, network: &str) -> Markup {
    let shape: Vec<String> = output.shape.iter().map(ToString::to_string).collect();
    html! {
        p {
            code { (output.name) " [" (shape.join(", ")) "]" } ": "
            @match output.error {
                None => "no finite error",
                Some(error) if output.is_whole => { (super::percent(error)) " of the values differ" }
                Some(error) => { "relative error " (format!("{error:.4}")) },
            }
        }
        @match &output.drawn {
            None => {}
            Some(BothDrawn::Pictures(pictures)) => {
                div.panels {
                    @for (title, picture) in ["given network", network, "difference"].iter().zip(pictures.iter()) {
                        (panel::picture(title, picture))
                    }
                }
            }
            Some(BothDrawn::Lines([original, result])) if original.len() <= FEW => {
                dl.texts {
                    dt { "given network" } dd { (numbers(original)) }
                    dt { (network) } dd { (numbers(result)) }
                }
            }
            Some(BothDrawn::Lines([original, result])) => {
                (panel::lines(&format!("given network, and {network} dashed"), &[original, result]))
            }
        }
    }
}

fn numbers(values: &[Option<f32>]) -> String {
    let number = |value: &Option<f32>| match value {
        Some(value) => panel::number(*value),
        None => "no number".to_string(),
    };
    values.iter().map(number).collect::<Vec<_>>().join(", ")
}
