//! Rewrites what else counts channels: attributes and constant inputs.

use crate::coupling::{Edit, KernelRef, Masks};
use crate::model::Rewriter;

/// Positions, with the kernel of each that has one.
type Positions = Vec<Option<KernelRef>>;

pub(super) fn stays(masks: &Masks, kernel: Option<KernelRef>) -> bool {
    kernel.is_none_or(|(group, index)| masks.0[group][index])
}

/// Number of positions that stay.
pub(super) fn kept(masks: &Masks, positions: &[Option<KernelRef>]) -> i64 {
    masks.kept(positions) as i64
}

/// Rewrites the graph after its stored tensors were cut.
pub(super) fn apply(graph: &mut Rewriter<'_>, edits: &[Edit<Positions>], masks: &Masks) {
    for edit in edits {
        match edit {
            Edit::Attribute {
                node,
                name,
                counts,
                is_list,
            } => {
                let counts = counts.iter();
                let values: Vec<(usize, i64)> = counts
                    .map(|(element, positions)| (*element, kept(masks, positions)))
                    .collect();
                match values.as_slice() {
                    values if *is_list => graph.set_elements(node, name, values),
                    values => values
                        .iter()
                        .for_each(|(_, value)| graph.set_int(node, name, *value)),
                }
            }
            Edit::Input {
                node,
                slot,
                template,
                counts,
            } => {
                let mut values = template.clone();
                for (element, positions) in counts {
                    if let Some(value) = values.get_mut(*element) {
                        *value = kept(masks, positions);
                    }
                }
                graph.set_input(node, *slot, &values);
            }
            Edit::Indices {
                node,
                slot,
                axis,
                indices,
            } => {
                let left = indices.iter().filter(|&&at| stays(masks, axis[at]));
                let values: Vec<i64> = left.map(|&at| kept(masks, &axis[..at])).collect();
                graph.set_input(node, *slot, &values);
            }
            Edit::Split {
                node,
                parts,
                as_input,
            } => {
                let sizes: Vec<i64> = parts.iter().map(|part| kept(masks, part)).collect();
                set_split(graph, node, &sizes, *as_input);
            }
        }
    }
}

/// Writes out the sizes of a split that had none, unless it still divides evenly.
fn set_split(graph: &mut Rewriter<'_>, node: &str, sizes: &[i64], as_input: bool) {
    if sizes.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    if as_input {
        graph.set_input(node, 1, sizes);
        graph.remove_attribute(node, "num_outputs");
    } else {
        graph.add_ints(node, "split", sizes);
    }
}
