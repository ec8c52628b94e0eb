//! Control flow. The nodes of the subgraphs are nodes of the graph; what is said here is how
//! values get into a subgraph and out of it.
//!
//! The branches of an `If` read what they like from around it and give their results to its
//! outputs: channels pass through where both branches agree. A `Loop` or `Scan` hands values from
//! one run of its body to the next: what enters and leaves stays as it is, but layers between may
//! lose kernels.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__If.html>,
//! <https://onnx.ai/onnx/operators/onnx__Loop.html>,
//! <https://onnx.ai/onnx/operators/onnx__Scan.html>.

use super::rule::{OpRule, OutputShapes};
use crate::error::Result;
use crate::extents::ShapeContext;
use crate::graph::{Body, Dim, Node};
use crate::labels::{AxisLabels, LabelContext};

pub(super) struct If;
pub(super) struct Repeat;

/// The shape that two values have in common: extents in which they differ are not known.
fn common(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let alike = |(a, b): (&Dim, &Dim)| if a == b { a.clone() } else { Dim::Unknown };
    (a.len() == b.len()).then(|| a.iter().zip(b).map(alike).collect())
}

/// The branches that can run: one where the condition follows from the file.
fn branches<'a>(node: &'a Node, context: &ShapeContext<'_>) -> Vec<&'a Body> {
    let chosen = match context.integers(node, 0).as_deref() {
        Some([0]) => Some("else_branch"),
        Some([_]) => Some("then_branch"),
        _ => None,
    };
    let can_run = |body: &&Body| chosen.is_none_or(|chosen| body.attribute == chosen);
    node.bodies.iter().filter(can_run).collect()
}

impl OpRule for If {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let branches = branches(node, context);
        let of_output = |slot: usize| {
            let mut shapes = branches.iter().map(|body| {
                let output = body.outputs.get(slot)?;
                context.known.shapes.get(&output.name)
            });
            let first = shapes.next()??.clone();
            shapes.try_fold(first, |shape, other| common(&shape, other?))
        };
        Ok((0..node.outputs.len()).map(of_output).collect())
    }

    fn labels(
        &self,
        node: &Node,
        context: &mut LabelContext<'_>,
    ) -> std::result::Result<(), String> {
        context.input(node, 0)?;
        let run = branches(node, &context.shapes());
        for slot in 0..node.outputs.len() {
            let mut axes = context.new_axes(node, slot)?;
            let mut is_first = true;
            for body in &node.bodies {
                let output = body.outputs.get(slot).ok_or("a branch lacks an output")?;
                let own = context.value(&output.name).unwrap_or_default();
                if own.len() != axes.len() && !run.contains(&body) {
                    // Extents of other inputs may choose it: it stays fit to run.
                    context.pin_axes(&own, node, "its branches differ in rank");
                    continue;
                }
                for (axis, labels) in axes.iter_mut().enumerate() {
                    let own = own.get(axis).cloned().flatten();
                    meet(node, context, labels, own, is_first);
                }
                is_first = false;
            }
            context.set_output(node, slot, axes);
        }
        Ok(())
    }
}

/// Gives an axis of the output the labels that it has in a branch.
fn meet(
    node: &Node,
    context: &mut LabelContext<'_>,
    labels: &mut AxisLabels,
    own: AxisLabels,
    is_first: bool,
) {
    match (labels.clone(), own) {
        (Some(mine), Some(theirs)) if mine.len() == theirs.len() => {
            if is_first {
                *labels = Some(theirs);
            } else {
                context.merge(&mine, &theirs);
            }
        }
        (mine, theirs) => {
            context.pin_axes(&[mine, theirs], node, "its branches differ in this axis");
        }
    }
}

impl OpRule for Repeat {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let Some(body) = node.bodies.first() else {
            return Ok(vec![None; node.outputs.len()]);
        };
        // A `Loop` is given a number of runs and a condition first, and gives a condition first.
        let (inputs, outputs) = match node.op_type.as_str() {
            "Loop" => (2, 1),
            _ => (0, 0),
        };
        let carried = match node.op_type.as_str() {
            "Loop" => node.inputs.len().saturating_sub(inputs),
            _ => {
                let scanned = usize::try_from(node.attr_i("num_scan_inputs", 0)).unwrap_or(0);
                node.inputs.len().saturating_sub(scanned)
            }
        };
        let of_output = |slot: usize| {
            let output = body.outputs.get(outputs + slot)?;
            let shape = context.known.shapes.get(&output.name)?;
            if slot < carried {
                // What was given comes out where the body never runs.
                return common(shape, context.input(node, inputs + slot)?);
            }
            // One entry for each run.
            Some(
                std::iter::once(Dim::Unknown)
                    .chain(shape.iter().cloned())
                    .collect(),
            )
        };
        let scans_elsewhere = node.attr_ints("scan_output_axes").is_some();
        let shapes = (0..node.outputs.len())
            .map(|slot| of_output(slot).filter(|_| slot < carried || !scans_elsewhere));
        Ok(shapes.collect())
    }

    fn labels(&self, _: &Node, _: &mut LabelContext<'_>) -> std::result::Result<(), String> {
        Err("it hands these channels from one run of its body to the next".to_string())
    }
}
