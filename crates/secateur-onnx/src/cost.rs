//! What a network costs: kernels, parameters, multiply-adds, bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::coupling::{ChannelGroups, Masks};
use crate::error::Result;
use crate::graph::{Dim, Graph};
use crate::ops;
use crate::shape::{ShapeContext, infer_shapes};

/// Size of a network, as counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Output filters of convolutions.
    pub kernels: u64,
    /// Parameters (weights and biases) of convolutions.
    pub conv_params: u64,
    /// All parameters; running statistics of batch norms excluded.
    pub params: u64,
    /// Multiply-adds of one inference of one sample, in convolutions and matrix products.
    pub macs: u64,
}

impl std::ops::Sub for Size {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            kernels: self.kernels - other.kernels,
            conv_params: self.conv_params - other.conv_params,
            params: self.params - other.params,
            macs: self.macs - other.macs,
        }
    }
}

/// A parameter's extents, as kernels.
#[derive(Debug, Clone)]
struct Parameter {
    /// Per axis: extent, and the kernel of each position where it has some.
    axes: Vec<(usize, Vec<(usize, usize)>)>,
    is_conv: bool,
    /// Rows of conv weights count as kernels.
    counts_kernels: bool,
    /// Multiply-adds an element, over all nodes that use it.
    pixels: u64,
}

/// Counts the size of any masked network without building it.
#[derive(Debug, Clone)]
pub struct CostModel {
    parameters: Vec<Parameter>,
}

impl CostModel {
    /// Prepares counting.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn new(graph: &Graph, groups: &ChannelGroups) -> Result<Self> {
        let shapes = infer_shapes(graph, None)?;
        let constants = std::collections::HashMap::new();
        let context = ShapeContext {
            graph,
            shapes: &shapes,
            constants: &constants,
        };
        let mut found: BTreeMap<&str, Parameter> = BTreeMap::new();
        for (node, slot, name) in parameter_slots(graph) {
            let tensor = &graph.initializers[name];
            let parameter = found.entry(name).or_insert_with(|| Parameter {
                axes: tensor
                    .shape
                    .iter()
                    .enumerate()
                    .map(|(axis, &extent)| {
                        let kernels = groups
                            .axes
                            .get(name)
                            .and_then(|axes| axes.get(axis)?.as_ref())
                            .map(|kernels| kernels.iter().flatten().copied().collect())
                            .unwrap_or_default();
                        (extent, kernels)
                    })
                    .collect(),
                is_conv: false,
                counts_kernels: false,
                pixels: 0,
            });
            let is_conv = node.op_type.starts_with("Conv");
            parameter.is_conv |= is_conv;
            if slot == 1 {
                parameter.counts_kernels |= is_conv;
                let rule = ops::lookup(node);
                let pixels = rule.and_then(|rule| rule.weighted_pixels(node, &context));
                parameter.pixels = parameter.pixels.saturating_add(pixels.unwrap_or(0));
            }
        }
        Ok(Self {
            parameters: found.into_values().collect(),
        })
    }

    /// Size of the network that the masks leave.
    pub fn count(&self, masks: &Masks) -> Size {
        let mut size = Size::default();
        for parameter in &self.parameters {
            let kept = |(extent, kernels): &(usize, Vec<(usize, usize)>)| -> u64 {
                let gone = kernels.iter().filter(|&&(g, k)| !masks.0[g][k]).count();
                (extent - gone) as u64
            };
            let elements: u64 = parameter.axes.iter().map(kept).fold(1, u64::saturating_mul);
            size.params += elements;
            if parameter.is_conv {
                size.conv_params += elements;
            }
            if parameter.counts_kernels {
                size.kernels += parameter.axes.first().map_or(0, kept);
            }
            size.macs = size
                .macs
                .saturating_add(elements.saturating_mul(parameter.pixels));
        }
        size
    }

    /// Per group, what turning off one of its active kernels would save now.
    pub fn marginal(&self, masks: &Masks) -> Vec<Size> {
        let now = self.count(masks);
        let mut changed = masks.clone();
        (0..masks.0.len())
            .map(|group| {
                let Some(kernel) = masks.0[group].iter().position(|&on| on) else {
                    return Size::default();
                };
                changed.0[group][kernel] = false;
                let less = self.count(&changed);
                changed.0[group][kernel] = true;
                now - less
            })
            .collect()
    }
}

/// Nodes with the slots in which they read trained parameters.
fn parameter_slots(graph: &Graph) -> Vec<(&crate::graph::Node, usize, &str)> {
    let mut found = Vec::new();
    for node in &graph.nodes {
        let slots: &[usize] = match node.op_type.as_str() {
            "Conv"
            | "ConvTranspose"
            | "Gemm"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization" => &[1, 2],
            "MatMul" | "PRelu" => &[1],
            "Add" | "Sub" | "Mul" | "Div" => &[0, 1],
            _ => continue,
        };
        for &slot in slots {
            if let Some(name) = node.input(slot)
                && let Some(tensor) = graph.initializers.get(name)
                && tensor.as_f32().is_some()
            {
                found.push((node, slot, name));
            }
        }
    }
    found
}

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
    let shapes = infer_shapes(graph, None)?;
    let constants = std::collections::HashMap::new();
    let context = ShapeContext {
        graph,
        shapes: &shapes,
        constants: &constants,
    };
    let slots = parameter_slots(graph);
    Ok(graph
        .nodes
        .iter()
        .map(|node| {
            let own: Vec<_> = slots.iter().filter(|(n, ..)| n.name == node.name).collect();
            let n_params = own
                .iter()
                .map(|(.., name)| graph.initializers[*name].len() as u64)
                .sum();
            let elements = own
                .iter()
                .find(|(_, slot, _)| *slot == 1)
                .map_or(0, |(.., name)| graph.initializers[*name].len() as u64);
            let pixels = ops::lookup(node)
                .and_then(|rule| rule.weighted_pixels(node, &context))
                .unwrap_or(0);
            let stored: BTreeSet<&str> = node
                .inputs
                .iter()
                .flatten()
                .map(String::as_str)
                .filter(|name| graph.initializers.contains_key(*name))
                .collect();
            LayerInfo {
                node: node.name.clone(),
                op_type: node.op_type.clone(),
                output_shape: node
                    .outputs
                    .first()
                    .and_then(|name| shapes.get(name))
                    .map_or_else(|| "?".to_string(), |shape| format_shape(shape)),
                n_params,
                n_macs: elements.saturating_mul(pixels),
                n_bytes: stored
                    .iter()
                    .map(|name| graph.initializers[*name].n_bytes() as u64)
                    .sum(),
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
