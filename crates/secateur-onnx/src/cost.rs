//! What a network costs: kernels, parameters, multiply-adds, bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::coupling::{ChannelGroups, KernelRef, Masks};
use crate::error::Result;
use crate::graph::{Dim, Graph, Node};
use crate::model::Tensor;
use crate::ops;
use crate::shape::{Inferred, ShapeContext, infer};

/// Size of a network, as counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Output filters of convolutions.
    pub kernels: u64,
    /// Parameters (weights and biases) of convolutions.
    pub conv_params: u64,
    /// All parameters: every stored float that a node reads, once; running statistics of batch
    /// norms and single numbers of formulas excluded.
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

/// Extent of an axis, if it is known.
fn extent_of(known: &Inferred, value: &str, axis: usize) -> Option<usize> {
    known.shapes.get(value)?.get(axis)?.fixed()
}

/// Positions of an axis: how many stay anyway, and the kernels of the others.
#[derive(Debug, Clone)]
struct Extent {
    fixed: u64,
    kernels: Vec<KernelRef>,
}

impl Extent {
    fn kept(&self, masks: &Masks) -> u64 {
        self.fixed
            + self
                .kernels
                .iter()
                .filter(|(group, k)| masks.0[*group][*k])
                .count() as u64
    }
}

/// A product of extents.
#[derive(Debug, Clone)]
struct Term {
    scale: u64,
    extents: Vec<Extent>,
}

impl Term {
    fn new(known: &Inferred, groups: &ChannelGroups, axes: &[(String, usize)], scale: u64) -> Self {
        let extent = |(value, axis): &(String, usize)| {
            let size = extent_of(known, value, *axis).unwrap_or(1) as u64;
            let kernels: Vec<KernelRef> = groups
                .axes
                .get(value)
                .and_then(|axes| axes.get(*axis)?.as_ref())
                .map(|of_axis| of_axis.iter().flatten().copied().collect())
                .unwrap_or_default();
            Extent {
                fixed: size.saturating_sub(kernels.len() as u64),
                kernels,
            }
        };
        Self {
            scale,
            extents: axes.iter().map(extent).collect(),
        }
    }

    fn count(&self, masks: &Masks) -> u64 {
        self.extents
            .iter()
            .map(|extent| extent.kept(masks))
            .fold(self.scale, u64::saturating_mul)
    }
}

/// Counts the size of any masked network without building it.
#[derive(Debug, Clone)]
pub struct CostModel {
    kernels: Vec<Term>,
    conv_params: Vec<Term>,
    other_params: Vec<Term>,
    macs: Vec<Term>,
    uncounted: Vec<String>,
}

/// Operators that have multiply-adds.
const MULTIPLIERS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];

impl CostModel {
    /// Prepares counting.
    ///
    /// Multiply-adds are those of one sample; a dynamic height or width counts as
    /// [`ASSUMED_EXTENT`] pixels.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn new(graph: &Graph, groups: &ChannelGroups) -> Result<Self> {
        let known = infer_with_extents(graph)?;
        let context = ShapeContext {
            graph,
            known: &known,
        };
        let mut parameters: BTreeMap<&str, bool> = BTreeMap::new();
        let mut kernels: BTreeMap<&str, Term> = BTreeMap::new();
        for (node, slot, name) in parameter_slots(graph)
            .into_iter()
            .chain(viewed_slots(graph))
        {
            let is_conv = matches!(node.op_type.as_str(), "Conv" | "ConvTranspose");
            *parameters.entry(name).or_default() |= is_conv;
            if is_conv && slot == 1 {
                // Weights that two convolutions share are counted once. Kernels are the
                // output channels, axis 1.
                kernels.entry(name).or_insert_with(|| {
                    let output = node.outputs.first().cloned().unwrap_or_default();
                    Term::new(&known, groups, &[(output, 1)], 1)
                });
            }
        }
        let whole = |name: &str| {
            let rank = graph
                .initializers
                .get(name)
                .map_or(0, |tensor| tensor.shape.len());
            let axes: Vec<_> = (0..rank).map(|axis| (name.to_string(), axis)).collect();
            Term::new(&known, groups, &axes, 1)
        };
        let of = |conv: bool| {
            let own = parameters.iter().filter(|(_, is_conv)| **is_conv == conv);
            own.map(|(name, _)| whole(name)).collect::<Vec<_>>()
        };
        let (mut macs, mut uncounted) = (Vec::new(), Vec::new());
        for node in &graph.nodes {
            let is_whole = match ops::lookup(node).and_then(|rule| rule.macs(node, &context)) {
                Some(term) => {
                    macs.push(Term::new(&known, groups, &term.axes, term.scale));
                    let mut axes = term.axes.iter();
                    axes.all(|(value, axis)| extent_of(&known, value, *axis).is_some())
                }
                None => !MULTIPLIERS.contains(&node.op_type.as_str()),
            };
            if !is_whole {
                uncounted.push(node.name.clone());
            }
        }
        Ok(Self {
            macs,
            uncounted,
            kernels: kernels.into_values().collect(),
            conv_params: of(true),
            other_params: of(false),
        })
    }

    /// Nodes whose multiply-adds are not all counted, because extents do not follow from the
    /// file.
    pub fn uncounted(&self) -> &[String] {
        &self.uncounted
    }

    /// Size of the network that the masks leave.
    pub fn count(&self, masks: &Masks) -> Size {
        let sum = |terms: &[Term]| {
            terms
                .iter()
                .map(|term| term.count(masks))
                .fold(0, u64::saturating_add)
        };
        let conv_params = sum(&self.conv_params);
        Size {
            kernels: sum(&self.kernels),
            conv_params,
            params: conv_params.saturating_add(sum(&self.other_params)),
            macs: sum(&self.macs),
        }
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

/// Pixels that a dynamic height or width counts as, the usual size of ImageNet images:
/// ratios of multiply-adds hardly depend on it.
pub const ASSUMED_EXTENT: usize = 224;

/// Shapes with dynamic heights and widths of the first input filled in.
fn infer_with_extents(graph: &Graph) -> Result<Inferred> {
    let filled: Option<Vec<Dim>> =
        graph
            .inputs
            .first()
            .filter(|input| input.has_shape)
            .map(|input| {
                let fill = |(axis, dim): (usize, &Dim)| match dim.fixed() {
                    None if axis > 0 => Dim::Fixed(ASSUMED_EXTENT),
                    _ => dim.clone(),
                };
                input.shape.iter().enumerate().map(fill).collect()
            });
    match filled.filter(|dims| {
        graph
            .inputs
            .first()
            .is_some_and(|input| &input.shape != dims)
    }) {
        // A network may not take images of that size.
        Some(dims) => infer(graph, Some(&dims)).or_else(|_| infer(graph, None)),
        None => infer(graph, None),
    }
}

/// Nodes with the slots in which they read trained parameters: every stored tensor of floats,
/// also of operators that nothing else is known of, and what subgraphs read from outside (slots
/// after the last). Not the running statistics of batch norms, nor numbers of a formula.
fn parameter_slots(graph: &Graph) -> Vec<(&Node, usize, &str)> {
    let mut found = Vec::new();
    for node in &graph.nodes {
        let inputs = node.inputs.iter().map(Option::as_deref);
        let captures = node.captures.iter().map(|name| Some(name.as_str()));
        for (slot, name) in inputs.chain(captures).enumerate() {
            let stored = name.and_then(|name| graph.initializers.get_key_value(name));
            if let Some((name, tensor)) = stored
                && tensor.is_float()
                && is_parameter(node, slot, tensor)
            {
                found.push((node, slot, name.as_str()));
            }
        }
    }
    found
}

/// True if a node's stored floats in that slot are trained.
fn is_parameter(node: &Node, slot: usize, tensor: &Tensor) -> bool {
    match node.op_type.as_str() {
        "BatchNormalization" if node.is_standard() => slot < 3,
        // Scales, and a region in relative units.
        "Resize" | "Upsample" if node.is_standard() => false,
        "Conv"
        | "ConvTranspose"
        | "Gemm"
        | "MatMul"
        | "InstanceNormalization"
        | "LayerNormalization"
        | "GroupNormalization"
        | "PRelu" => true,
        // A single number is part of a formula, not a parameter.
        _ => !tensor.shape.is_empty(),
    }
}

/// As [`parameter_slots`], for convolutions that read a stored tensor in another type, or under
/// another name.
fn viewed_slots(graph: &Graph) -> Vec<(&Node, usize, &str)> {
    let mut views: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::new();
    for node in graph.nodes.iter().filter(|node| node.is_standard()) {
        match (node.op_type.as_str(), node.input(0), &node.outputs[..]) {
            ("Identity" | "Cast", Some(from), [to, ..]) => {
                let stored = graph.initializers.get_key_value(from);
                let stored = stored.filter(|(_, tensor)| tensor.is_float());
                let own = stored.map(|(name, _)| name.as_str());
                if let Some(name) = own.or_else(|| views.get(from).copied()) {
                    views.insert(to, name);
                }
            }
            ("Conv" | "ConvTranspose", ..) => found.extend([1, 2].into_iter().filter_map(|slot| {
                let name = views.get(node.input(slot)?).copied()?;
                Some((node, slot, name))
            })),
            _ => {}
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
    let known = infer_with_extents(graph)?;
    let context = ShapeContext {
        graph,
        known: &known,
    };
    let stated = infer(graph, None)?;
    let none = ChannelGroups::default();
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
            let term = ops::lookup(node).and_then(|rule| rule.macs(node, &context));
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
                n_macs: term.map_or(0, |term| {
                    Term::new(&known, &none, &term.axes, term.scale).count(&Masks(Vec::new()))
                }),
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
