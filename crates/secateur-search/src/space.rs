//! What may be pruned: the channel groups of a network, which of them may be switched, and
//! what every choice of kernels costs. No weights, no data.

use std::collections::BTreeSet;

use globset::GlobBuilder;
use secateur_net::interpreter::Frontier;
use secateur_onnx::OnnxError;
use secateur_onnx::cost::{CostModel, Latency, Size};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::ops::is_quantised;
use secateur_onnx::text::first_and_more;
use thiserror::Error;

use crate::config::{Budget, Count, Metric};
use crate::limits::bounding;

/// What cannot be pruned, or not so far.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Nothing to switch.
    #[error("cannot prune: no layer has kernels that may be removed")]
    NothingToPrune {
        /// True if the file's weights are quantised.
        is_quantised: bool,
    },
    /// A layer to leave alone that does not exist.
    #[error("cannot ignore `{pattern}`: no layer of that name; layers are {known}")]
    UnknownLayer {
        /// As given.
        pattern: String,
        /// What there is.
        known: String,
    },
    /// A pattern that cannot be read.
    #[error("cannot ignore `{pattern}`: no layer of that name, and no pattern: {reason}")]
    Pattern {
        /// As given.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// A budget in multiply-adds that cannot be counted.
    #[error(
        "cannot prune to a share of the MACs: not all are known, those of {} do not \
         follow from the file",
        first_and_more(nodes)
    )]
    UnknownMacs {
        /// Names, one at least.
        nodes: Vec<String>,
    },
    /// A budget in time without a table of times.
    #[error("cannot prune to a share of the latency: no engine has timed the network's layers")]
    UnknownLatency,
    /// A budget that cannot be reached.
    #[error(
        "budget {}={remaining} cannot be reached: {} {least:.4}; {bound}",
        metric.name(),
        kernels_leave(*round_to)
    )]
    Unreachable {
        /// Counted in.
        metric: Metric,
        /// Asked for.
        remaining: f64,
        /// Least that can remain.
        least: f64,
        /// Kernels that a layer keeps at least.
        round_to: usize,
        /// Which layers bound it.
        bound: String,
    },
}

fn kernels_leave(round_to: usize) -> String {
    match round_to {
        0 | 1 => "one kernel a layer leaves".to_string(),
        n => format!("{n} kernels a layer leave"),
    }
}

/// What may be switched, and what it costs.
#[derive(Debug, Clone)]
pub struct Space {
    /// Kernels that go together, by channel group.
    pub groups: ChannelGroups,
    /// Groups that may be switched.
    pub switchable: Vec<bool>,
    /// Counts the size of any choice of kernels.
    pub cost: CostModel,
    /// Size of the given network.
    pub size: Size,
    /// Names of the tensors that scale channels one by one: γ of the batch norms.
    pub scales: BTreeSet<String>,
}

impl Space {
    /// The space of a graph that is to be pruned; layers that match `ignore` (names, or patterns
    /// in which `*` stands for any text) are left alone.
    ///
    /// # Errors
    /// As [`Space::survey`], and [`SpaceError::NothingToPrune`] if no group is left.
    pub fn new(graph: &Graph, ignore: &[String]) -> Result<Self, SpaceError> {
        Self::survey(graph, ignore)?.unless_empty(graph)
    }

    /// As [`Space::new`], for a network that is to be trained up to its frontier: the frontier
    /// and what lies behind keep their kernels.
    ///
    /// # Errors
    /// As [`Space::new`].
    pub fn up_to(
        graph: &Graph,
        frontier: &Frontier,
        ignore: &[String],
    ) -> Result<Self, SpaceError> {
        Self::survey_up_to(graph, frontier, ignore)?.unless_empty(graph)
    }

    fn unless_empty(self, graph: &Graph) -> Result<Self, SpaceError> {
        match self.can_be_pruned() {
            true => Ok(self),
            false => Err(SpaceError::NothingToPrune {
                is_quantised: graph.nodes.iter().any(is_quantised),
            }),
        }
    }

    /// The space of a graph, which may be empty.
    ///
    /// # Errors
    /// [`SpaceError::UnknownLayer`] and [`SpaceError::Pattern`] for what no layer matches,
    /// [`SpaceError::Onnx`] for a graph that contradicts itself.
    pub fn survey(graph: &Graph, ignore: &[String]) -> Result<Self, SpaceError> {
        Self::of_groups(graph, ChannelGroups::find(graph)?, ignore)
    }

    /// As [`Space::survey`], for a network that is to be trained up to its frontier.
    ///
    /// # Errors
    /// As [`Space::survey`].
    pub fn survey_up_to(
        graph: &Graph,
        frontier: &Frontier,
        ignore: &[String],
    ) -> Result<Self, SpaceError> {
        let groups = ChannelGroups::find_keeping(graph, &frontier.keeps())?;
        Self::of_groups(graph, groups, ignore)
    }

    fn of_groups(
        graph: &Graph,
        groups: ChannelGroups,
        ignore: &[String],
    ) -> Result<Self, SpaceError> {
        let switchable = switchable(&groups, ignore)?;
        let cost = CostModel::new(graph, &groups)?;
        let size = cost.count(&Masks::all_active(&groups));
        let norms = graph
            .nodes
            .iter()
            .filter(|node| node.op_type == "BatchNormalization");
        let scales = norms.filter_map(|node| node.input(1).map(str::to_string));
        Ok(Self {
            switchable,
            cost,
            size,
            scales: scales.collect(),
            groups,
        })
    }

    /// The same with a table of times. The given network is taken to need what was measured of it,
    /// not what the table says.
    #[must_use]
    pub fn with_latency(mut self, latency: Latency, given_ns: f64) -> Self {
        self.cost = self.cost.with_latency(latency);
        self.size.latency = given_ns.round() as u64;
        self
    }

    /// True if some kernel may be switched.
    pub fn can_be_pruned(&self) -> bool {
        self.switchable.contains(&true)
    }

    /// Every kernel on.
    pub fn all_active(&self) -> Masks {
        Masks::all_active(&self.groups)
    }

    /// Size of the network that the masks leave.
    pub fn count(&self, masks: &Masks) -> Size {
        self.cost.count(masks)
    }

    /// Share of the given network that the masks leave, 0..=1.
    pub fn remaining(&self, count: impl Into<Count>, masks: &Masks) -> f64 {
        ratio(count, &self.count(masks), &self.size)
    }

    /// Masks that keep the first kernels of every group: sizes depend on how many they are alone.
    pub fn narrowed(&self, widths: &[usize]) -> Masks {
        let mut masks = self.all_active();
        for (mask, &width) in masks.0.iter_mut().zip(widths) {
            let kept = width.min(mask.len());
            mask[kept..].fill(false);
        }
        masks
    }

    /// The smallest network that the switchable groups allow.
    pub fn smallest(&self, round_to: usize) -> Masks {
        let mut masks = self.all_active();
        for (mask, &switchable) in masks.0.iter_mut().zip(&self.switchable) {
            if switchable {
                let keep = round_to.clamp(1, mask.len());
                mask[keep..].fill(false);
            }
        }
        masks
    }

    /// Refuses budgets that cannot be counted or reached, before anything starts.
    ///
    /// # Errors
    /// [`SpaceError::UnknownMacs`], [`SpaceError::UnknownLatency`], and [`SpaceError::Unreachable`]
    /// naming the layers that bound it.
    pub fn check_budget(&self, budget: &Budget, round_to: usize) -> Result<(), SpaceError> {
        let uncounted = self.cost.uncounted();
        if budget.metric == Metric::Macs && !uncounted.is_empty() {
            let nodes = uncounted.to_vec();
            return Err(SpaceError::UnknownMacs { nodes });
        }
        if budget.metric == Metric::Latency && self.size.latency == 0 {
            return Err(SpaceError::UnknownLatency);
        }
        let smallest = self.smallest(round_to);
        let least = self.remaining(budget.metric, &smallest);
        if least <= budget.remaining {
            return Ok(());
        }
        Err(SpaceError::Unreachable {
            metric: budget.metric,
            remaining: budget.remaining,
            least,
            round_to,
            bound: bounding(self, budget.metric, &smallest),
        })
    }
}

/// Share of a count that remains.
pub fn ratio(count: impl Into<Count>, size: &Size, of: &Size) -> f64 {
    let count = count.into();
    count.of(size) as f64 / count.of(of).max(1) as f64
}

/// A name, or a pattern in which `*` stands for any text.
struct Pattern<'a> {
    text: &'a str,
    /// None where the text is no pattern: then it can only be a name.
    glob: Result<globset::GlobMatcher, globset::Error>,
}

impl<'a> Pattern<'a> {
    fn new(text: &'a str) -> Self {
        let glob = GlobBuilder::new(text).literal_separator(false).build();
        let glob = glob.map(|glob| glob.compile_matcher());
        Self { text, glob }
    }

    /// Names may hold brackets, which patterns give a meaning: the plain text matches too.
    fn matches(&self, name: &str) -> bool {
        self.text == name || self.glob.as_ref().is_ok_and(|glob| glob.is_match(name))
    }
}

/// Groups that may be switched: not pinned, not ignored, wider than one.
fn switchable(groups: &ChannelGroups, ignore: &[String]) -> Result<Vec<bool>, SpaceError> {
    let names = || groups.groups.iter().flat_map(|g| &g.producers);
    let patterns: Vec<Pattern<'_>> = ignore.iter().map(|text| Pattern::new(text)).collect();
    for pattern in &patterns {
        if !names().any(|name| pattern.matches(name)) {
            if let Err(error) = &pattern.glob {
                return Err(SpaceError::Pattern {
                    pattern: pattern.text.to_string(),
                    reason: error.kind().to_string(),
                });
            }
            let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
            return Err(SpaceError::UnknownLayer {
                pattern: pattern.text.to_string(),
                known: known.join(", "),
            });
        }
    }
    let ignored = |name: &String| patterns.iter().any(|pattern| pattern.matches(name));
    let groups = groups.groups.iter();
    Ok(groups
        .map(|g| g.pinned.is_none() && g.width > 1 && !g.producers.iter().any(ignored))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("conv1", "conv1", true),
            ("conv1", "conv10", false),
            ("conv*", "conv10", true),
            ("*/bn", "layer1/bn", true),
            ("/*/conv", "/a/b/conv", true),
            ("a*b*c", "aXXbYc", true),
            ("a*b*c", "aXXbY", false),
            ("*", "", true),
            ("model[0]", "model[0]", true),
            ("conv?", "conv1", true),
            ("conv[", "conv[", true),
        ] {
            let found = Pattern::new(pattern).matches(name);
            assert_eq!(found, expected, "{pattern} on {name}");
        }
        assert!(Pattern::new("a[").glob.is_err());
    }
}
