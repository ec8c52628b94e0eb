//! Masks without training: kernels are ranked, and the lowest go until the budget is met.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secateur_net::heal::WidthErrors;
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;

use super::{Ranking, Scope};
use crate::config::Target;
use crate::scores::{Evidence, Scores, Stored, own};
use crate::space::{Space, SpaceError};
use crate::widths::{Frame, even, knapsack};

/// What is pruned.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its stored weights.
    pub graph: &'a Graph,
    /// What may be pruned, and what it costs.
    pub space: &'a Space,
    /// Kept kernels of a layer are a multiple of this, as far as its width allows.
    pub round_to: usize,
    /// Errors by width, by group; empty without inputs.
    pub errors: &'a [WidthErrors],
}

impl Subject<'_> {
    /// Masks that meet `target` with as much as possible of what `ranking` ranks highest.
    ///
    /// # Errors
    /// [`SpaceError::Unreachable`] if the smallest network is larger than a budget of it,
    /// [`SpaceError::UnknownMacs`] if it cannot be counted.
    pub fn masks(
        &self,
        ranking: &Ranking,
        target: &Target,
        seed: u64,
    ) -> Result<Masks, SpaceError> {
        for budget in &target.budgets {
            self.space.check_budget(budget, self.round_to.max(1))?;
        }
        let ranks = self.ranks(ranking, seed);
        let order: Vec<Vec<usize>> = ranks.iter().map(|ranks| best_first(ranks)).collect();
        let frame = Frame {
            space: self.space,
            count: target.count,
            at_most: target.count.count(target.share, &self.space.size),
            round_to: self.round_to,
            effort: 0.0,
        };
        let mut keep = match ranking.scope {
            Scope::Uniform => even(&frame),
            Scope::Knapsack => knapsack(&frame, self.errors),
            Scope::Global => self.across(&ranks, &frame),
        };
        self.fill(&mut keep, &frame);
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
            errors: self.errors,
        };
        let scores = Scores::measure(own(), &evidence);
        let all = self.space.all_active();
        let ranked = vec![true; all.0.len()];
        ranking.rank(&scores, &all, &ranked, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    /// Kernels that each group keeps where those of all layers are ranked together.
    fn across(&self, ranks: &[Vec<f32>], frame: &Frame<'_>) -> Vec<usize> {
        let best = best_groups(ranks, &self.space.switchable);
        let kept = |count: usize| -> Vec<usize> {
            let mut wanted = vec![0; ranks.len()];
            best[..count].iter().for_each(|&group| wanted[group] += 1);
            let each = wanted.into_iter().enumerate();
            each.map(|(g, wanted)| frame.allowed(g, wanted)).collect()
        };
        // More kernels never cost less, so the most that fit are found by halving.
        let (mut low, mut high) = (0, best.len());
        while low < high {
            let middle = (low + high).div_ceil(2);
            if frame.fits(&kept(middle)) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        kept(low)
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

    /// Gives back kernels where the budget still has room, to the layers that lost most.
    fn fill(&self, keep: &mut [usize], frame: &Frame<'_>) {
        let groups = &self.space.groups.groups;
        let switchable = &self.space.switchable;
        let mut order: Vec<usize> = (0..keep.len()).filter(|&g| switchable[g]).collect();
        let share = |g: usize, keep: &[usize]| keep[g] as f64 / groups[g].width as f64;
        order.sort_by(|&a, &b| share(a, keep).total_cmp(&share(b, keep)).then(a.cmp(&b)));
        for group in order {
            let before = keep[group];
            keep[group] = frame.allowed(group, before + self.round_to.max(1));
            if keep[group] != before && !frame.fits(keep) {
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

/// Groups of the kernels of all layers that may be switched, best first.
fn best_groups(ranks: &[Vec<f32>], switchable: &[bool]) -> Vec<usize> {
    let mut all: Vec<(f32, usize, usize)> = Vec::new();
    for (g, ranks) in ranks.iter().enumerate().filter(|(g, _)| switchable[*g]) {
        all.extend(ranks.iter().enumerate().map(|(k, &rank)| (rank, g, k)));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    all.into_iter().map(|(_, group, _)| group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Budget, Metric};
    use rand::RngExt;
    use secateur_onnx::arch::{MobileNetConfig, ResNetConfig, mobilenet_v2, resnet};
    use secateur_onnx::cost::{Channels, Latency, PieceTimes, Timing, counted_inputs};
    use secateur_onnx::model::Model;
    use secateur_onnx::pieces::Pieces;
    use secateur_onnx::shape::infer;

    fn check(model: &Model, name: &str, metric: Metric, remaining: f64, round_to: usize) {
        let graph = Graph::from_model(model).unwrap();
        let space = Space::new(&graph, &[]).unwrap();
        let subject = Subject {
            graph: &graph,
            space: &space,
            round_to,
            errors: &[],
        };
        let ranking: Ranking = name.parse().unwrap();
        let targets = Target::of(&[Budget { metric, remaining }], &space.size);
        let masks = subject.masks(&ranking, &targets[0], 1).unwrap();
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
        assert_eq!(subject.masks(&ranking, &targets[0], 1).unwrap(), masks);
    }

    #[test]
    fn budgets_are_met_and_used() {
        let residual = resnet(&ResNetConfig::new([3, 32, 32], 10), 1).unwrap();
        let mobile = mobilenet_v2(&MobileNetConfig::new([3, 32, 32], 10), 1).unwrap();
        for criterion in ["l1", "l2", "random"] {
            // Without tables a knapsack is even.
            for scope in Scope::ALL {
                let name = format!("{criterion}-{}", scope.name());
                check(&residual, &name, Metric::Macs, 0.5, 1);
                check(&mobile, &name, Metric::Params, 0.3, 1);
            }
        }
        for metric in Metric::COUNTED {
            check(&residual, "l2-uniform", metric, 0.5, 4);
            check(&mobile, "l1-global", metric, 0.6, 8);
        }
    }

    /// An engine's block.
    const BLOCK: u64 = 8;

    /// The space of a graph with the times of an engine that computes channels in blocks.
    fn timed(graph: &Graph) -> Space {
        let space = Space::new(graph, &[]).unwrap();
        let inputs = counted_inputs(graph).unwrap().inputs;
        let pieces = Pieces::of(graph, &infer(graph, Some(&inputs)).unwrap()).pieces;
        let channels = Channels::of(graph, &space.groups, &pieces).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let networks: Vec<Masks> = (0..40)
            .map(|_| {
                let groups = space.groups.groups.iter();
                let widths: Vec<usize> = groups
                    .map(|group| {
                        let blocks = group.width.div_ceil(BLOCK as usize);
                        (BLOCK as usize * rng.random_range(1..=blocks)).min(group.width)
                    })
                    .collect();
                space.narrowed(&widths)
            })
            .chain([space.all_active()])
            .collect();
        let time = |x: u64, y: u64| 10.0 + 20.0 * (x.div_ceil(BLOCK) * y.div_ceil(BLOCK)) as f64;
        let times = channels.into_iter().map(|channels| {
            let timings: Vec<Timing> = networks
                .iter()
                .map(|masks| {
                    let (x, y) = channels.count(masks);
                    Timing {
                        x,
                        y,
                        ns: time(x, y),
                    }
                })
                .collect();
            (channels, PieceTimes::new(&timings))
        });
        let latency = Latency::new(times);
        let given = latency.of(&space.all_active());
        space.with_latency(latency, given)
    }

    #[test]
    fn budgets_of_latency_are_met_by_the_table_at_ends_of_blocks() {
        let mut config = ResNetConfig::new([3, 32, 32], 10);
        config.width *= 2;
        let graph = Graph::from_model(&resnet(&config, 1).unwrap()).unwrap();
        let space = timed(&graph);
        let subject = Subject {
            graph: &graph,
            space: &space,
            round_to: BLOCK as usize,
            errors: &[],
        };
        let budget = |metric, remaining| Budget { metric, remaining };
        for budgets in [
            vec![budget(Metric::Latency, 0.7)],
            vec![budget(Metric::Latency, 0.8), budget(Metric::Params, 0.3)],
            vec![budget(Metric::Params, 0.8), budget(Metric::Latency, 0.75)],
        ] {
            let targets = Target::of(&budgets, &space.size);
            assert_eq!(targets.len(), 1);
            let ranking: Ranking = "l2-uniform".parse().unwrap();
            let masks = subject.masks(&ranking, &targets[0], 1).unwrap();
            for budget in &budgets {
                let share = space.remaining(budget.metric, &masks);
                assert!(share <= budget.remaining, "{}: {share}", budget.label());
            }
            let groups = space.groups.groups.iter().enumerate();
            for (g, group) in groups.filter(|(g, _)| space.switchable[*g]) {
                let active = masks.active(g);
                assert!(active == group.width || active.is_multiple_of(BLOCK as usize));
            }
        }
        let error = space
            .check_budget(&budget(Metric::Latency, 0.001), 64)
            .unwrap_err();
        assert!(error.to_string().contains("kept whole"), "{error}");
        let bare = Space::new(&graph, &[]).unwrap();
        let error = bare.check_budget(&budget(Metric::Latency, 0.5), 1);
        assert!(matches!(error, Err(SpaceError::UnknownLatency)));
    }
}
