//! Whether a quantised file can stand for the given one.

use secateur_onnx::graph::{Graph, ValueInfo};

use super::QuantiseError;

/// Same inputs and outputs, and integers inside.
///
/// # Errors
/// [`QuantiseError::DoesNotHold`]
pub(super) fn holds(given: &Graph, made: &Graph) -> Result<(), QuantiseError> {
    for (what, one, other) in [
        ("inputs", &given.inputs, &made.inputs),
        ("outputs", &given.outputs, &made.outputs),
    ] {
        let (expected, got) = (listed(one), listed(other));
        if expected != got {
            let reason = format!("expected {what} {expected}, got {got}");
            return Err(QuantiseError::DoesNotHold { reason });
        }
    }
    let is_integer = made
        .nodes
        .iter()
        .any(|node| node.op_type == "QuantizeLinear");
    match is_integer {
        true => Ok(()),
        false => Err(QuantiseError::DoesNotHold {
            reason: "nothing in it was quantised".to_string(),
        }),
    }
}

/// Names and types, and how many axes there are; extents may be stated in one of the files alone.
fn listed(values: &[ValueInfo]) -> String {
    let one = |value: &ValueInfo| {
        let rank = value.shape.len();
        format!("`{}` (type {}, {rank} axes)", value.name, value.elem_type)
    };
    values.iter().map(one).collect::<Vec<_>>().join(", ")
}
