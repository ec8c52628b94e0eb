//! The table of layers.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::counting::{macs_of, parameter_slots};
use super::extents::infer_with_extents;
use super::term::{Active, Term};
use crate::coupling::{ChannelGroups, Masks};
use crate::error::Result;
use crate::graph::{Dim, Graph};
use crate::model::Tensor;
use crate::ops::Macs;
use crate::shape::{ShapeContext, infer};

/// A line of the table of layers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerInfo {
    /// Node name.
    pub node: String,
    /// Operator.
    pub op_type: String,
    /// Shape of the first output, as text.
    pub output_shape: String,
    /// Parameters of the node.
    pub n_params: u64,
    /// Multiply-adds a sample.
    pub n_macs: u64,
    /// Bytes of the node's stored tensors.
    pub n_bytes: u64,
}

/// Every node with its cost.
///
/// # Errors
/// [`crate::OnnxError::Graph`] if shapes contradict each other.
pub fn layer_table(graph: &Graph) -> Result<Vec<LayerInfo>> {
    let known = infer_with_extents(graph)?;
    let context = ShapeContext {
        graph,
        known: &known,
    };
    let stated = infer(graph, None)?;
    let none = ChannelGroups::default();
    let active = Active {
        masks: &Masks(Vec::new()),
        counts: &[],
    };
    let mut own: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for (node, _, name) in parameter_slots(graph) {
        own.entry(node.name.as_str()).or_default().insert(name);
    }
    let sizes = |names: &mut dyn Iterator<Item = &str>, size: fn(&Tensor) -> usize| -> u64 {
        names
            .filter_map(|name| graph.initializers.get(name))
            .map(|t| size(t) as u64)
            .sum()
    };
    Ok(graph
        .nodes
        .iter()
        .map(|node| {
            let stored: BTreeSet<&str> = node.inputs.iter().flatten().map(String::as_str).collect();
            let parameters = own.get(node.name.as_str()).into_iter().flatten().copied();
            LayerInfo {
                node: node.name.clone(),
                op_type: node.op_type.clone(),
                output_shape: node
                    .outputs
                    .first()
                    .and_then(|name| stated.shapes.get(name))
                    .map_or_else(|| "?".to_string(), |shape| format_shape(shape)),
                n_params: sizes(&mut parameters.into_iter(), Tensor::len),
                n_macs: match macs_of(node, &context) {
                    Macs::Terms(terms) => {
                        let terms = terms.iter();
                        let counts =
                            terms.map(|term| Term::of_macs(&known, &none, term).count(active));
                        counts.fold(0, u64::saturating_add)
                    }
                    Macs::Zero | Macs::Unknown => 0,
                },
                n_bytes: sizes(&mut stored.into_iter(), Tensor::n_bytes),
            }
        })
        .collect())
}

/// `N x 3 x 32 x 32`.
pub fn format_shape(shape: &[Dim]) -> String {
    shape
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" x ")
}
