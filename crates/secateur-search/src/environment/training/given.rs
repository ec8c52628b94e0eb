//! What the given file is like: weights that cannot be used, and what the user should know.

use std::ops::RangeInclusive;

use secateur_net::weights::trained_parameters;
use secateur_onnx::cost::{CostModel, counted_inputs, format_shape};
use secateur_onnx::coupling::{ChannelGroups, Role};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::text::first_and_more;

use super::problem::ProblemError;

/// Refuses weights that hold NaN or infinity: what is trained, and, where `ranked` tells them,
/// what kernels are ranked by. Other constants may: masks, bounds, initial values of maxima.
///
/// # Errors
/// [`ProblemError::NonFinite`] for the first.
pub fn check_finite(graph: &Graph, ranked: Option<&ChannelGroups>) -> Result<(), ProblemError> {
    let trained = trained_parameters(graph).into_keys();
    let members = ranked.iter().flat_map(|groups| &groups.groups);
    let members = members.flat_map(|group| &group.members);
    let ranked = members.filter(|member| member.role == Role::Output);
    let names = trained.chain(ranked.map(|member| member.tensor.as_str()));
    let Some((tensor, index)) = graph.find_non_finite(names) else {
        return Ok(());
    };
    let values = graph.initializers.get(tensor).and_then(|t| t.as_f32());
    let value = values.map_or(f32::NAN, |values| values[index]);
    let reads = |name: &String| name == tensor;
    let mut nodes = graph.nodes.iter();
    let node = nodes.find(|node| node.inputs.iter().flatten().any(reads));
    Err(ProblemError::NonFinite {
        tensor: tensor.to_string(),
        node: node.map_or_else(String::new, |node| node.name.clone()),
        index,
        value: if value.is_nan() { "NaN" } else { "infinity" }.to_string(),
    })
}

/// Opsets whose operators are understood as they are now.
const OPSETS: RangeInclusive<i64> = 9..=26;

/// What to say of a file: an opset that is not known, multiply-adds that are not all counted or
/// counted for every branch, weights that stand in place of their computation.
pub fn file_notes(model: &Model, graph: &Graph, cost: &CostModel) -> Vec<String> {
    let notes = [
        opset_note(model, graph.opset),
        macs_note(cost),
        branches_note(graph),
        computed_note(graph),
        size_note(graph),
    ];
    notes.into_iter().flatten().collect()
}

/// How operators are read where the file's opset is not known.
fn opset_note(model: &Model, opset: i64) -> Option<String> {
    let mut sets = model.operator_sets();
    let is_named = sets.any(|(domain, _)| matches!(domain, "" | "ai.onnx"));
    let (oldest, latest) = OPSETS.into_inner();
    match opset {
        _ if !is_named => Some(format!(
            "the file does not say which opset its operators are of: they are read as those of \
             opset {opset}, which files without one had"
        )),
        opset if opset < oldest => Some(format!(
            "opset {opset} is older than {oldest}, the oldest known: operators that were different \
             then are read as those of opset {oldest}"
        )),
        opset if opset > latest => Some(format!(
            "opset {opset} is newer than {latest}, the latest known: operators that have changed \
             since are read as those of opset {latest}"
        )),
        _ => None,
    }
}

fn macs_note(cost: &CostModel) -> Option<String> {
    let uncounted = cost.uncounted();
    (!uncounted.is_empty()).then(|| {
        format!(
            "MACs leave out {}: extents there do not follow from the file",
            first_and_more(uncounted)
        )
    })
}

fn branches_note(graph: &Graph) -> Option<String> {
    let mut branches = graph.nodes.iter().filter(|node| node.op_type == "If");
    branches.next()?;
    Some("every branch of an `If` is counted in full, though one of them runs".to_string())
}

fn computed_note(graph: &Graph) -> Option<String> {
    (!graph.computed.is_empty()).then(|| {
        format!(
            "the file computes {} from what it stores (such as standardised weights): the results \
             stand in written files in place of the computation",
            first_and_more(&graph.computed)
        )
    })
}

/// What open extents of the inputs count as, if there are some. Where no size fits, the layers
/// that are left out say so.
fn size_note(graph: &Graph) -> Option<String> {
    let counted = counted_inputs(graph).ok()?;
    let assumed = counted.assumed?;
    let pairs = graph.inputs.iter().zip(&counted.inputs);
    let open = pairs.filter(|(stated, counted)| stated != counted);
    let shapes: Vec<String> = open
        .map(|(_, input)| format!("`{}` [{}]", input.name, format_shape(&input.shape)))
        .collect();
    Some(format!(
        "open extents of the inputs count as {assumed}, for MACs and where outputs are compared: {}",
        shapes.join(", ")
    ))
}
