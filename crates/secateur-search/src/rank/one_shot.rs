//! Masks from the weights alone: no data, no gradients, no training.
//!
//! Kernels are ranked by a score of their weights or at random, and the lowest go until the
//! budget is met. Uniform: every layer keeps the same share. Global: kernels of all layers are
//! ranked together.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secateur_onnx::coupling::{ChannelGroup, Masks};
use secateur_onnx::graph::Graph;

use super::{Ranking, Scope};
use crate::config::Budget;
use crate::scores::{Evidence, Scores, Stored, own};
use crate::space::{Space, SpaceError};

/// Steps between the smallest network and the whole one, where layers keep the same share.
const LEVELS: usize = 1 << 12;

/// What is pruned.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its stored weights.
    pub graph: &'a Graph,
    /// What may be pruned, and what it costs.
    pub space: &'a Space,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
}

impl Subject<'_> {
    /// Masks that meet `budget` with as much as possible of what `ranking` ranks highest.
    ///
    /// # Errors
    /// [`SpaceError::Unreachable`] if the smallest network is larger than the budget,
    /// [`SpaceError::UnknownMacs`] if it cannot be counted.
    pub fn masks(&self, ranking: &Ranking, budget: Budget, seed: u64) -> Result<Masks, SpaceError> {
        self.space.check_budget(&budget, self.round_to.max(1))?;
        let ranks = self.ranks(ranking, seed);
        let order: Vec<Vec<usize>> = ranks.iter().map(|ranks| best_first(ranks)).collect();
        let levels = match ranking.scope {
            Scope::Uniform => Levels::uniform(),
            Scope::Global => Levels::global(&ranks, &self.space.switchable),
        };
        let fits = |keep: &[usize]| {
            let masks = self.keep_best(&order, keep);
            self.space.remaining(budget.metric, &masks) <= budget.remaining
        };
        // More kernels never cost less, so the largest level that fits is found by halving.
        let (mut low, mut high) = (0, levels.count);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if fits(&self.kept_at(&levels, middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        let mut keep = self.kept_at(&levels, low);
        self.fill(&mut keep, &fits);
        Ok(self.keep_best(&order, &keep))
    }

    /// Rank of every kernel, `[group][kernel]`, higher is worth keeping.
    fn ranks(&self, ranking: &Ranking, seed: u64) -> Vec<Vec<f32>> {
        let stored = Stored {
            graph: self.graph,
            groups: &self.space.groups,
        };
        let evidence = Evidence {
            space: self.space,
            tensors: &stored,
            statistics: None,
        };
        let scores = Scores::measure(own(), &evidence);
        let all = self.space.all_active();
        let ranked = vec![true; all.0.len()];
        ranking.rank(&scores, &all, &ranked, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// Kernels that each group keeps at a level.
    fn kept_at(&self, levels: &Levels, level: usize) -> Vec<usize> {
        let wanted = levels.wanted(level, &self.space.groups.groups);
        let each = wanted.into_iter().enumerate();
        each.map(|(g, wanted)| self.allowed(g, wanted)).collect()
    }

    /// Masks that keep the `keep[group]` best kernels of each group.
    fn keep_best(&self, order: &[Vec<usize>], keep: &[usize]) -> Masks {
        let mut masks = self.space.all_active();
        for ((mask, order), &keep) in masks.0.iter_mut().zip(order).zip(keep) {
            for &kernel in order.iter().skip(keep) {
                mask[kernel] = false;
            }
        }
        masks
    }

    /// The nearest allowed number of kernels that is not larger than `wanted`.
    fn allowed(&self, group: usize, wanted: usize) -> usize {
        let width = self.space.groups.groups[group].width;
        if !self.space.switchable[group] || wanted >= width {
            return width;
        }
        let step = self.round_to.max(1);
        (wanted / step * step).max(step).min(width)
    }

    /// Gives back kernels where the budget still has room, to the layers that lost most.
    fn fill(&self, keep: &mut [usize], fits: &dyn Fn(&[usize]) -> bool) {
        let groups = &self.space.groups.groups;
        let switchable = &self.space.switchable;
        let mut order: Vec<usize> = (0..keep.len()).filter(|&g| switchable[g]).collect();
        let share = |g: usize, keep: &[usize]| keep[g] as f64 / groups[g].width as f64;
        order.sort_by(|&a, &b| share(a, keep).total_cmp(&share(b, keep)).then(a.cmp(&b)));
        for group in order {
            let before = keep[group];
            keep[group] = self.allowed(group, before + self.round_to.max(1));
            if keep[group] != before && !fits(keep) {
                keep[group] = before;
            }
        }
    }
}

/// Kernels by rank; ties go by position, so that the order never depends on the sort.
fn best_first(ranks: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ranks.len()).collect();
    order.sort_by(|&a, &b| ranks[b].total_cmp(&ranks[a]).then(a.cmp(&b)));
    order
}

/// Networks from the smallest to the whole one.
struct Levels {
    count: usize,
    /// Groups of the best kernels across layers, best first; `None` where layers keep the same
    /// share.
    across: Option<Vec<usize>>,
}

impl Levels {
    fn uniform() -> Self {
        Self {
            count: LEVELS,
            across: None,
        }
    }

    fn global(ranks: &[Vec<f32>], switchable: &[bool]) -> Self {
        let mut all: Vec<(f32, usize, usize)> = Vec::new();
        for (g, ranks) in ranks.iter().enumerate().filter(|(g, _)| switchable[*g]) {
            all.extend(ranks.iter().enumerate().map(|(k, &rank)| (rank, g, k)));
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        Self {
            count: all.len(),
            across: Some(all.into_iter().map(|(_, group, _)| group).collect()),
        }
    }

    /// Kernels wanted of each group at a level.
    fn wanted(&self, level: usize, groups: &[ChannelGroup]) -> Vec<usize> {
        match &self.across {
            None => groups
                .iter()
                .map(|group| group.width * level / self.count)
                .collect(),
            Some(best) => {
                let mut wanted = vec![0usize; groups.len()];
                best[..level].iter().for_each(|&group| wanted[group] += 1);
                wanted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Metric;
    use secateur_onnx::arch::{MobileNetConfig, ResNetConfig, mobilenet_v2, resnet};
    use secateur_onnx::model::Model;

    fn check(model: &Model, name: &str, metric: Metric, remaining: f64, round_to: usize) {
        let graph = Graph::from_model(model).unwrap();
        let space = Space::new(&graph, &[]).unwrap();
        let subject = Subject {
            graph: &graph,
            space: &space,
            round_to,
        };
        let ranking: Ranking = name.parse().unwrap();
        let budget = Budget { metric, remaining };
        let masks = subject.masks(&ranking, budget, 1).unwrap();
        let share = space.remaining(metric, &masks);
        assert!(share <= remaining, "{name} {metric:?} {remaining}: {share}");
        if round_to == 1 {
            assert!(
                share > 0.9 * remaining,
                "{name} {metric:?} {remaining}: {share}"
            );
        }
        for (g, group) in space.groups.groups.iter().enumerate() {
            let active = masks.active(g);
            assert!(active >= 1 && (space.switchable[g] || active == group.width));
            assert!(
                active == group.width || active.is_multiple_of(round_to),
                "{active} of {}",
                group.width
            );
        }
        assert_eq!(subject.masks(&ranking, budget, 1).unwrap(), masks);
    }

    #[test]
    fn budgets_are_met_and_used() {
        let residual = resnet(&ResNetConfig::new([3, 32, 32], 10), 1).unwrap();
        let mobile = mobilenet_v2(&MobileNetConfig::new([3, 32, 32], 10), 1).unwrap();
        for criterion in ["l1", "l2", "random"] {
            for scope in Scope::ALL {
                let name = format!("{criterion}-{}", scope.name());
                check(&residual, &name, Metric::Macs, 0.5, 1);
                check(&mobile, &name, Metric::Params, 0.3, 1);
            }
        }
        for metric in Metric::ALL {
            check(&residual, "l2-uniform", metric, 0.5, 4);
            check(&mobile, "l1-global", metric, 0.6, 8);
        }
    }
}
