//! What a network costs: kernels, parameters, multiply-adds, bytes.

mod counting;
mod extents;
mod latency;
mod layers;
mod tally;
mod term;
mod traffic;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use counting::{is_conv, is_weights, macs_of, parameter_slots};
use extents::infer_with_extents;
pub use extents::{ASSUMED_EXTENT, CountedInputs, counted_inputs, named_batch};
pub use latency::{Channels, Latency, PieceTimes, Timing};
pub use layers::{LayerInfo, format_shape, layer_table};
pub use tally::Tally;
use term::{Active, Sum, Term, extent_of};
pub use traffic::traffic;

use crate::coupling::{ChannelGroups, Masks};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::Macs;
use crate::shape::ShapeContext;

/// Size of a network, as counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Output filters of convolutions.
    pub kernels: u64,
    /// Parameters (weights and biases) of convolutions.
    pub conv_params: u64,
    /// All parameters: every stored float that a node reads, once, and every quantised weight;
    /// running statistics of batch norms, scales and zero points of quantised weights, and
    /// single numbers of formulas excluded.
    pub params: u64,
    /// Multiply-adds of one inference of one sample, in convolutions and matrix products.
    pub macs: u64,
    /// Nanoseconds of a run in the engine that was asked for, by its table; 0 without one.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub latency: u64,
}

fn is_nought(count: &u64) -> bool {
    *count == 0
}

impl std::ops::Sub for Size {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            kernels: self.kernels - other.kernels,
            conv_params: self.conv_params - other.conv_params,
            params: self.params - other.params,
            macs: self.macs - other.macs,
            latency: self.latency.saturating_sub(other.latency),
        }
    }
}

/// Counts the size of any masked network without building it.
#[derive(Debug, Clone)]
pub struct CostModel {
    kernels: Sum,
    conv_params: Sum,
    other_params: Sum,
    macs: Sum,
    uncounted: Vec<String>,
    /// Parameters of each layer without a group.
    fixed: Vec<Vec<Term>>,
    latency: Option<Arc<Latency>>,
}

impl CostModel {
    /// Prepares counting.
    ///
    /// Multiply-adds are those of one sample, at the inputs that [`counted_inputs`] gives.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn new(graph: &Graph, groups: &ChannelGroups) -> Result<Self> {
        Self::of_nodes(graph, groups, |_| true)
    }

    /// Prepares counting what belongs to some nodes alone, told by their names: parameters that
    /// other nodes read too are left out.
    ///
    /// # Errors
    /// As [`CostModel::new`].
    pub fn of_nodes(
        graph: &Graph,
        groups: &ChannelGroups,
        is_counted: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let known = infer_with_extents(graph)?;
        let context = ShapeContext {
            graph,
            known: &known,
        };
        let mut parameters: BTreeMap<&str, bool> = BTreeMap::new();
        let mut kernels: BTreeMap<&str, Term> = BTreeMap::new();
        let mut of_node: HashMap<&str, Vec<&str>> = HashMap::new();
        let slots = parameter_slots(graph);
        let elsewhere = slots.iter().filter(|(node, ..)| !is_counted(&node.name));
        let elsewhere: HashSet<&str> = elsewhere.map(|&(_, _, name)| name).collect();
        for (node, slot, name) in slots {
            if elsewhere.contains(name) {
                continue;
            }
            of_node.entry(&node.name).or_default().push(name);
            let is_conv = is_conv(node);
            *parameters.entry(name).or_default() |= is_conv;
            if is_conv && is_weights(node, slot) {
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
        let fixed = groups.fixed.iter().map(|layer| {
            let own = of_node.get(layer.node.as_str()).into_iter().flatten();
            own.map(|name| whole(name)).collect()
        });
        let fixed = fixed.collect();
        let of = |conv: bool| {
            let own = parameters.iter().filter(|(_, is_conv)| **is_conv == conv);
            Sum::new(own.map(|(name, _)| whole(name)).collect(), groups)
        };
        let (mut macs, mut uncounted) = (Vec::new(), Vec::new());
        for node in graph.nodes.iter().filter(|node| is_counted(&node.name)) {
            let is_whole = match macs_of(node, &context) {
                Macs::Terms(terms) => {
                    let own = terms.iter();
                    macs.extend(own.map(|term| Term::of_macs(&known, groups, term)));
                    let mut axes = terms.iter().flat_map(|term| &term.axes);
                    axes.all(|(value, axis)| extent_of(&known, value, *axis).is_some())
                }
                Macs::Zero => true,
                Macs::Unknown => false,
            };
            if !is_whole {
                uncounted.push(node.name.clone());
            }
        }
        Ok(Self {
            macs: Sum::new(macs, groups),
            uncounted,
            fixed,
            kernels: Sum::new(kernels.into_values().collect(), groups),
            conv_params: of(true),
            other_params: of(false),
            latency: None,
        })
    }

    /// The same, which tells the time in an engine too.
    #[must_use]
    pub fn with_latency(self, latency: Latency) -> Self {
        Self {
            latency: Some(Arc::new(latency)),
            ..self
        }
    }

    /// Nodes whose multiply-adds are not all counted, because extents do not follow from the
    /// file.
    pub fn uncounted(&self) -> &[String] {
        &self.uncounted
    }

    /// Parameters of each of [`ChannelGroups::fixed`] in the network that the masks leave.
    pub fn fixed_params(&self, masks: &Masks) -> Vec<u64> {
        let counts = &Active::counts(masks);
        let active = Active { masks, counts };
        let layers = self.fixed.iter();
        layers
            .map(|terms| terms.iter().map(|term| term.count(active)).sum())
            .collect()
    }

    /// Size of the network that the masks leave.
    pub fn count(&self, masks: &Masks) -> Size {
        let counts = &Active::counts(masks);
        self.under(Active { masks, counts })
    }

    fn under(&self, active: Active<'_>) -> Size {
        Size {
            latency: self.latency_under(active),
            ..self.sums(|sum| sum.count(active))
        }
    }

    /// A size from each of the sums; without the latency.
    fn sums(&self, count: impl Fn(&Sum) -> u64) -> Size {
        let conv_params = count(&self.conv_params);
        Size {
            kernels: count(&self.kernels),
            conv_params,
            params: conv_params.saturating_add(count(&self.other_params)),
            macs: count(&self.macs),
            latency: 0,
        }
    }

    fn latency_under(&self, active: Active<'_>) -> u64 {
        let latency = self.latency.as_ref();
        latency.map_or(0, |latency| latency.under(active).round() as u64)
    }

    /// Per group, what turning off one of its active kernels would save now.
    pub fn marginal(&self, masks: &Masks) -> Vec<Size> {
        let mut tally = Tally::new(self, masks.clone());
        (0..masks.0.len())
            .map(|group| tally.marginal(group))
            .collect()
    }
}
