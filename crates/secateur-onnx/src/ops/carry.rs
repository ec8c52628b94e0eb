//! Labels of operators that let some axes of their first input pass and take the others whole.

use crate::graph::Node;
use crate::labels::LabelContext;

/// Gives output `slot` the labels of the first input: `from` tells for each of its axes which axis
/// of the input it is, `None` for axes of its own. Whatever does not pass stays.
///
/// # Errors
/// A reason to pin the node if a shape is not known, or has another rank.
pub(super) fn carry(
    node: &Node,
    context: &mut LabelContext<'_>,
    slot: usize,
    from: &[Option<usize>],
    reason: &str,
) -> Result<(), String> {
    let input = context.input(node, 0)?;
    if node.outputs.get(slot).is_none_or(String::is_empty) {
        return Ok(());
    }
    let mut output = context.new_axes_of_rank(node, slot, from.len())?;
    for (own, from) in output.iter_mut().zip(from) {
        match from.and_then(|axis| input.get(axis)) {
            Some(labels) => own.clone_from(labels),
            None => context.pin_axes(std::slice::from_ref(own), node, reason),
        }
    }
    let stays = input.iter().enumerate();
    for (_, labels) in stays.filter(|(axis, _)| !from.contains(&Some(*axis))) {
        context.pin_axes(std::slice::from_ref(labels), node, reason);
    }
    context.set_output(node, slot, output);
    Ok(())
}

/// All axes of a tensor of that rank, without those that do not pass.
pub(super) fn all_but(rank: usize, stays: &[usize]) -> Vec<Option<usize>> {
    let axes = 0..rank;
    axes.map(|axis| (!stays.contains(&axis)).then_some(axis))
        .collect()
}
