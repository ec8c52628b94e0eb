//! Masks from the weights alone: no data, no gradients, no training.
//!
//! Kernels are ranked by the norm of the weights that produce them (Li et al., ICLR 2017,
//! arXiv:1608.08710, with L1) or at random, and the lowest go until the budget is met. Uniform:
//! every layer keeps the same share. Global: kernels of all layers are ranked together, by
//! their norm over the mean of their layer.

use std::fmt;
use std::str::FromStr;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_onnx::cost::{CostModel, Size};
use secateur_onnx::coupling::{ChannelGroup, ChannelGroups, Masks, Role};
use secateur_onnx::graph::Graph;
use thiserror::Error;

use crate::config::Budget;
use crate::env::{ProblemError, can_count, ratio};

/// What kernels are ranked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// Σ |w|
    L1,
    /// √Σ w²
    L2,
    /// Random numbers.
    Random,
}

/// A ranking that needs the weights alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneShot {
    /// What kernels are ranked by.
    pub criterion: Criterion,
    /// Across layers, instead of within each.
    pub global: bool,
}

/// A ranking that does not exist, or needs training.
#[derive(Debug, Error)]
#[error(
    "cannot use policy `{name}` without training: expected one of {}",
    OneShot::names()
)]
pub struct UnknownOneShot {
    name: String,
}

impl OneShot {
    /// Names and what they stand for; `l1` is short for `uniform-l1`, and so on.
    const NAMES: [(&'static str, Criterion, bool); 9] = [
        ("l1", Criterion::L1, false),
        ("l2", Criterion::L2, false),
        ("random", Criterion::Random, false),
        ("uniform-l1", Criterion::L1, false),
        ("uniform-l2", Criterion::L2, false),
        ("uniform-random", Criterion::Random, false),
        ("global-l1", Criterion::L1, true),
        ("global-l2", Criterion::L2, true),
        ("global-random", Criterion::Random, true),
    ];

    fn names() -> String {
        Self::NAMES.map(|(name, ..)| format!("`{name}`")).join(", ")
    }
}

impl FromStr for OneShot {
    type Err = UnknownOneShot;

    fn from_str(name: &str) -> Result<Self, UnknownOneShot> {
        let found = Self::NAMES.into_iter().find(|(own, ..)| *own == name);
        found
            .map(|(_, criterion, global)| Self { criterion, global })
            .ok_or_else(|| UnknownOneShot {
                name: name.to_string(),
            })
    }
}

impl fmt::Display for OneShot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::NAMES
            .into_iter()
            .rev()
            .find(|&(_, criterion, global)| (criterion, global) == (self.criterion, self.global));
        f.write_str(found.map_or("", |(name, ..)| name))
    }
}

/// What is pruned.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The network.
    pub graph: &'a Graph,
    /// Its channel groups.
    pub groups: &'a ChannelGroups,
    /// What it costs.
    pub cost: &'a CostModel,
    /// Groups that may be cut, as [`crate::env::switchable`] says.
    pub switchable: &'a [bool],
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}

impl Subject<'_> {
    /// Scores `[group][kernel]`, higher is worth keeping; the mean of a group is 1.
    pub fn scores(&self, criterion: Criterion, seed: u64) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.groups
            .groups
            .iter()
            .map(|group| {
                let mut scores = match criterion {
                    Criterion::Random => (0..group.width).map(|_| rng.random::<f64>()).collect(),
                    _ => norms(self.graph, group, criterion),
                };
                let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
                if mean > 0.0 {
                    scores.iter_mut().for_each(|score| *score /= mean);
                }
                scores
            })
            .collect()
    }

    /// Masks that keep the `keep[group]` best kernels of each group.
    fn keep_best(&self, order: &[Vec<usize>], keep: &[usize]) -> Masks {
        let mut masks = Masks::all_active(self.groups);
        for ((mask, order), &keep) in masks.0.iter_mut().zip(order).zip(keep) {
            for &kernel in order.iter().skip(keep) {
                mask[kernel] = false;
            }
        }
        masks
    }

    /// The nearest allowed number of kernels that is not larger than `wanted`.
    fn allowed(&self, group: usize, wanted: usize) -> usize {
        let width = self.groups.groups[group].width;
        if !self.switchable[group] || wanted >= width {
            return width;
        }
        let step = self.round_to.max(1);
        (wanted / step * step).max(step).min(width)
    }

    /// Masks that meet `budget` with as much as possible of what `policy` ranks highest.
    ///
    /// # Errors
    /// [`ProblemError::Unreachable`] if the smallest network is larger than the budget,
    /// [`ProblemError::UnknownMacs`] if it cannot be counted.
    pub fn masks(&self, policy: OneShot, budget: Budget, seed: u64) -> Result<Masks, ProblemError> {
        can_count(self.cost, &budget)?;
        let scores = self.scores(policy.criterion, seed);
        // Best first; ties go by position, so that the order never depends on the sort.
        let order: Vec<Vec<usize>> = scores
            .iter()
            .map(|scores| {
                let mut order: Vec<usize> = (0..scores.len()).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
                order
            })
            .collect();
        let full = self.cost.count(&Masks::all_active(self.groups));
        let fits = |keep: &[usize]| {
            let size = self.cost.count(&self.keep_best(&order, keep));
            ratio(budget.metric, &size, &full) <= budget.remaining
        };
        // Levels from the smallest network to the whole one; more never costs less.
        let (levels, at): (usize, Box<dyn Fn(usize) -> Vec<usize> + '_>) = if policy.global {
            let mut all: Vec<(f64, usize, usize)> = Vec::new();
            for (group, scores) in scores
                .iter()
                .enumerate()
                .filter(|(g, _)| self.switchable[*g])
            {
                all.extend(scores.iter().enumerate().map(|(k, &s)| (s, group, k)));
            }
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
            let levels = all.len();
            let at = move |level: usize| {
                let mut wanted = vec![0usize; self.groups.groups.len()];
                all[..level].iter().for_each(|&(_, g, _)| wanted[g] += 1);
                let each = wanted.into_iter().enumerate();
                each.map(|(g, wanted)| self.allowed(g, wanted)).collect()
            };
            (levels, Box::new(at))
        } else {
            const LEVELS: usize = 1 << 12;
            let at = move |level: usize| {
                let each = self.groups.groups.iter().enumerate();
                each.map(|(g, group)| self.allowed(g, group.width * level / LEVELS))
                    .collect()
            };
            (LEVELS, Box::new(at))
        };
        if !fits(&at(0)) {
            let smallest = self.cost.count(&self.keep_best(&order, &at(0)));
            return Err(self.unreachable(budget, &smallest, &full));
        }
        let (mut low, mut high) = (0, levels);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if fits(&at(middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        let mut keep = at(low);
        self.fill(&mut keep, &fits);
        Ok(self.keep_best(&order, &keep))
    }

    /// Gives back kernels where the budget still has room, to the layers that lost most.
    fn fill(&self, keep: &mut [usize], fits: &dyn Fn(&[usize]) -> bool) {
        let mut groups: Vec<usize> = (0..keep.len()).filter(|&g| self.switchable[g]).collect();
        let share = |g: usize, keep: &[usize]| keep[g] as f64 / self.groups.groups[g].width as f64;
        groups.sort_by(|&a, &b| share(a, keep).total_cmp(&share(b, keep)).then(a.cmp(&b)));
        for group in groups {
            let before = keep[group];
            keep[group] = self.allowed(group, before + self.round_to.max(1));
            if keep[group] != before && !fits(keep) {
                keep[group] = before;
            }
        }
    }

    fn unreachable(&self, budget: Budget, smallest: &Size, full: &Size) -> ProblemError {
        let fixed: Vec<&str> = self
            .groups
            .groups
            .iter()
            .zip(self.switchable)
            .filter(|(group, on)| !**on && group.width > 1)
            .map(|(group, _)| group.name.as_str())
            .collect();
        let named = match fixed.as_slice() {
            [] => String::new(),
            all if all.len() <= NAMED => format!(" ({})", all.join(", ")),
            all => format!(" ({} and others)", all[..NAMED].join(", ")),
        };
        ProblemError::Unreachable {
            metric: budget.metric,
            remaining: budget.remaining,
            least: ratio(budget.metric, smallest, full),
            round_to: self.round_to.max(1),
            bound: format!(
                "{} of {} channel groups must stay whole{named}",
                fixed.len(),
                self.groups.groups.len()
            ),
        }
    }
}

/// Groups that are named where a budget is out of reach.
const NAMED: usize = 4;

/// Norm of the weights that produce every kernel of a group.
fn norms(graph: &Graph, group: &ChannelGroup, criterion: Criterion) -> Vec<f64> {
    let mut sums = vec![0.0f64; group.width];
    for member in group.members.iter().filter(|m| m.role == Role::Output) {
        let Some(tensor) = graph.initializers.get(&member.tensor) else {
            continue;
        };
        // Biases say little of how much a kernel matters.
        let Some(values) = tensor.as_f32().filter(|_| tensor.shape.len() > 1) else {
            continue;
        };
        let extent = tensor.shape[member.axis];
        let inner: usize = tensor.shape[member.axis + 1..].iter().product();
        for (sum, positions) in sums.iter_mut().zip(&member.positions) {
            for block in values.chunks_exact(extent * inner) {
                for &position in positions {
                    let part = block[position * inner..(position + 1) * inner].iter();
                    *sum += part
                        .map(|&w| f64::from(w))
                        .map(|w| {
                            if criterion == Criterion::L1 {
                                w.abs()
                            } else {
                                w * w
                            }
                        })
                        .sum::<f64>();
                }
            }
        }
    }
    if criterion == Criterion::L2 {
        sums.iter_mut().for_each(|sum| *sum = sum.sqrt());
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Metric;
    use crate::env::switchable;
    use secateur_onnx::arch::{MobileNetConfig, ResNetConfig, mobilenet_v2, resnet};
    use secateur_onnx::model::Model;

    fn check(model: &Model, name: &str, metric: Metric, remaining: f64, round_to: usize) {
        let graph = Graph::from_model(model).unwrap();
        let groups = ChannelGroups::find(&graph).unwrap();
        let cost = CostModel::new(&graph, &groups).unwrap();
        let switchable = switchable(&groups, &[]).unwrap();
        let subject = Subject {
            graph: &graph,
            groups: &groups,
            cost: &cost,
            switchable: &switchable,
            round_to,
        };
        let policy: OneShot = name.parse().unwrap();
        let masks = subject
            .masks(policy, Budget { metric, remaining }, 1)
            .unwrap();
        let full = cost.count(&Masks::all_active(&groups));
        let share = ratio(metric, &cost.count(&masks), &full);
        assert!(share <= remaining, "{name} {metric:?} {remaining}: {share}");
        if round_to == 1 {
            assert!(
                share > 0.9 * remaining,
                "{name} {metric:?} {remaining}: {share}"
            );
        }
        for (g, group) in groups.groups.iter().enumerate() {
            let active = masks.active(g);
            assert!(active >= 1 && (switchable[g] || active == group.width));
            assert!(
                active == group.width || active.is_multiple_of(round_to),
                "{active} of {}",
                group.width
            );
        }
        assert_eq!(
            subject
                .masks(policy, Budget { metric, remaining }, 1)
                .unwrap(),
            masks
        );
    }

    #[test]
    fn budgets_are_met_and_used() {
        let residual = resnet(&ResNetConfig::new([3, 32, 32], 10), 1).unwrap();
        let mobile = mobilenet_v2(&MobileNetConfig::new([3, 32, 32], 10), 1).unwrap();
        for (name, ..) in OneShot::NAMES {
            check(&residual, name, Metric::Macs, 0.5, 1);
            check(&mobile, name, Metric::Params, 0.3, 1);
        }
        for metric in Metric::ALL {
            check(&residual, "l2", metric, 0.5, 4);
            check(&mobile, "global-l1", metric, 0.6, 8);
        }
    }

    #[test]
    fn names_are_read_and_written() {
        for (name, expected) in [
            ("l2", "uniform-l2"),
            ("random", "uniform-random"),
            ("global-l1", "global-l1"),
        ] {
            assert_eq!(name.parse::<OneShot>().unwrap().to_string(), expected);
        }
        let error = "dqn".parse::<OneShot>().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot use policy `dqn` without training"),
            "{error}"
        );
    }
}
