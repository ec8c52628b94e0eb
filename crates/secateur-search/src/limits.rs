//! How far a network can be pruned, and what holds up the smallest network.

use secateur_onnx::coupling::{ChannelGroup, Masks};
use secateur_onnx::text::first_and_more;
use serde::Serialize;

use crate::config::Metric;
use crate::space::{Space, ratio};

/// Layers that are named, the largest first.
const NAMED: usize = 4;

/// The smallest network that a space allows, against the given one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Limits {
    /// The least share of each metric that can remain.
    pub least: Vec<Least>,
    /// Layers that must stay as they are and hold most of the remaining parameters, the largest
    /// first.
    pub held_by: Vec<Holder>,
}

/// The least share that can remain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Least {
    /// Counted in.
    #[serde(serialize_with = "name_of")]
    pub metric: Metric,
    /// 0..=1; none where the network has nothing of it, or not all of it can be counted.
    pub remaining: Option<f64>,
}

fn name_of<S: serde::Serializer>(metric: &Metric, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(metric.name())
}

/// A layer that holds up the smallest network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holder {
    /// Name of the channel group.
    pub layer: String,
    /// Its share of the given network, 0..=1.
    pub share: f64,
    /// Why it is not smaller.
    #[serde(flatten)]
    pub cause: Cause,
}

/// Why a layer is not smaller.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// It has no kernel to spare.
    AtItsLeast,
    /// It was to be left alone.
    Ignored,
    /// It must stay as it is.
    Pinned {
        /// Node that needs it.
        node: String,
        /// Why.
        reason: String,
    },
}

impl Limits {
    /// Of a space in which layers keep `round_to` kernels at least.
    pub fn new(space: &Space, round_to: usize) -> Self {
        let smallest = space.smallest(round_to);
        let least = |metric: Metric| {
            let known = metric != Metric::Macs || space.cost.uncounted().is_empty();
            let counted = known && metric.of(&space.size) > 0;
            Least {
                metric,
                remaining: counted.then(|| space.remaining(metric, &smallest)),
            }
        };
        let mut held_by = holders(space, Metric::Params, &smallest);
        held_by.extend(fixed_holders(space, &smallest));
        held_by.sort_by(|a, b| b.share.total_cmp(&a.share));
        held_by.retain(|holder| holder.cause != Cause::AtItsLeast);
        held_by.truncate(NAMED);
        Self {
            least: Metric::ALL
                .into_iter()
                .filter(|metric| Metric::COUNTED.contains(metric) || space.size.latency > 0)
                .map(least)
                .collect(),
            held_by,
        }
    }

    /// The least share of a metric that can remain.
    pub fn least(&self, metric: Metric) -> Option<f64> {
        let mut least = self.least.iter();
        least.find(|least| least.metric == metric)?.remaining
    }
}

/// All layers by what they hold of the smallest network, the largest first.
fn holders(space: &Space, metric: Metric, smallest: &Masks) -> Vec<Holder> {
    let marginal = space.cost.marginal(smallest);
    let of_group = |(g, group): (usize, &ChannelGroup)| Holder {
        layer: group.name.clone(),
        share: smallest.active(g) as f64 * ratio(metric, &marginal[g], &space.size),
        cause: match &group.pinned {
            _ if space.switchable[g] || group.width == 1 => Cause::AtItsLeast,
            Some(pinned) => Cause::Pinned {
                node: pinned.node.clone(),
                reason: pinned.reason.clone(),
            },
            None => Cause::Ignored,
        },
    };
    let groups = space.groups.groups.iter().enumerate();
    let mut holders: Vec<Holder> = groups.map(of_group).collect();
    holders.sort_by(|a, b| b.share.total_cmp(&a.share));
    holders
}

/// The layers without a group, by their parameters in the smallest network.
fn fixed_holders(space: &Space, smallest: &Masks) -> Vec<Holder> {
    let counts = space.cost.fixed_params(smallest);
    let layers = space.groups.fixed.iter().zip(counts);
    layers
        .map(|(layer, count)| Holder {
            layer: layer.node.clone(),
            share: count as f64 / space.size.params.max(1) as f64,
            cause: Cause::Pinned {
                node: layer.node.clone(),
                reason: layer.reason.clone(),
            },
        })
        .collect()
}

/// The layers that hold most of the smallest network, and why, in words.
pub(crate) fn bounding(space: &Space, metric: Metric, smallest: &Masks) -> String {
    if metric == Metric::Latency {
        return whole(space, smallest);
    }
    let mut holders = holders(space, metric, smallest);
    if metric == Metric::Params {
        holders.extend(fixed_holders(space, smallest));
        holders.sort_by(|a, b| b.share.total_cmp(&a.share));
    }
    let holders = holders.into_iter().take(NAMED);
    let named: Vec<String> = holders
        .map(
            |Holder {
                 layer,
                 share,
                 cause,
             }| {
                let why = match cause {
                    Cause::AtItsLeast => "at its least".to_string(),
                    Cause::Ignored => "is ignored".to_string(),
                    Cause::Pinned { reason, .. } => format!("must stay ({reason})"),
                };
                format!("`{layer}` {why} holds {share:.4}")
            },
        )
        .collect();
    named.join(", ")
}

/// The layers that the smallest network keeps whole: a time has no parts that kernels hold.
fn whole(space: &Space, smallest: &Masks) -> String {
    let groups = space.groups.groups.iter().enumerate();
    let whole = groups.filter(|(g, group)| group.width > 1 && smallest.active(*g) == group.width);
    let names: Vec<String> = whole.map(|(_, group)| group.name.clone()).collect();
    match names.is_empty() {
        true => "the rest is what the engine needs for any network of these layers".to_string(),
        false => format!("kept whole: {}", first_and_more(&names)),
    }
}

#[cfg(test)]
mod tests {
    use secateur_onnx::arch::{ResNetConfig, resnet};
    use secateur_onnx::graph::Graph;

    use super::*;

    /// The figures are those of the network that surgery leaves, and the parts add up to it.
    #[test]
    fn limits_are_the_size_of_the_smallest_network() {
        let model = resnet(&ResNetConfig::new([3, 32, 32], 10), 1).unwrap();
        let graph = Graph::from_model(&model).unwrap();
        let ignored = graph
            .nodes
            .iter()
            .find(|node| node.op_type == "Conv")
            .unwrap();
        let space = Space::new(&graph, std::slice::from_ref(&ignored.name)).unwrap();
        let limits = Limits::new(&space, 1);
        let small = secateur_onnx::surgery::remove(&model, &space.groups, &space.smallest(1));
        let small = Space::survey(&Graph::from_model(&small.unwrap()).unwrap(), &[]).unwrap();
        for metric in Metric::COUNTED {
            let expected = ratio(metric, &small.size, &space.size);
            assert_eq!(limits.least(metric), Some(expected), "{metric:?}");
            assert!(expected < 0.2, "{metric:?}: {expected}");
        }
        let causes: Vec<&Cause> = limits.held_by.iter().map(|holder| &holder.cause).collect();
        assert!(causes.contains(&&Cause::Ignored), "{causes:?}");
        assert!(matches!(
            causes[..],
            [_, Cause::Pinned { .. }] | [Cause::Pinned { .. }, _]
        ));
        assert!(limits.held_by[0].share >= limits.held_by[1].share);
        assert!(limits.held_by[0].share < limits.least(Metric::Params).unwrap());
    }
}
