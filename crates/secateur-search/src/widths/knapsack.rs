//! The widths whose errors by width come to least, with what their multiply-adds count for.
//!
//! What a layer's kernel costs depends on the widths of its neighbours, so that no table of costs
//! can be filled. Widths are found in two ways: they fall from the given network's, each time by a
//! few kernels of the layer that loses least for what it saves; and layer by layer each takes the
//! width at which its error and its cost at a common price come to least, with the price at which
//! the network fits (Everett, Operations Research 11, 1963). From both, layers trade kernels as long
//! as the sum of the errors falls: one has more and others give it, or one has fewer and others take
//! it.

use secateur_net::heal::WidthErrors;

use super::narrowed::Narrowed;
use super::{Frame, even};

/// A layer gives up this part of its kernels at a time, one at least.
const STEP: usize = 32;
/// Logarithms of the prices tried for the size allowed, in units of error; and halvings of the
/// interval.
const PRICES: (f64, f64) = (-20.0, 10.0);
const HALVINGS: usize = 24;
/// Times that all layers choose their widths at a price, at most.
const SWEEPS: usize = 12;

/// Widths that fit, of small error; even ones where no group has a table.
pub fn knapsack(frame: &Frame<'_>, errors: &[WidthErrors]) -> Vec<usize> {
    let sack = Knapsack { frame, errors };
    if !sack.groups().any(|group| !errors[group].errors.is_empty()) {
        return even(frame);
    }
    let starts = [sack.cut(Narrowed::full(frame), &[]), sack.priced()];
    let found = starts.map(|start| sack.improved(sack.fill(sack.cut(start, &[]), &[])));
    let [a, b] = &found;
    match sack.total(b) < sack.total(a) {
        true => b.widths(),
        false => a.widths(),
    }
}

/// A frame with the errors that its layers have at every width.
pub(super) struct Knapsack<'a> {
    pub(super) frame: &'a Frame<'a>,
    errors: &'a [WidthErrors],
}

impl Knapsack<'_> {
    pub(super) fn groups(&self) -> impl Iterator<Item = usize> {
        let switchable = self.frame.space.switchable.iter().enumerate();
        let tables = self.errors.len();
        switchable.filter_map(move |(group, &on)| (on && group < tables).then_some(group))
    }

    /// Error of a group's readers at a width. Where there is no table, what half of a layer's
    /// variance would be if every kernel had its share of it.
    fn error(&self, group: usize, width: usize) -> f64 {
        let full = self.frame.space.groups.groups[group].width;
        let known = self.errors[group].at(width);
        known.unwrap_or(0.5 * (1.0 - width as f64 / full.max(1) as f64))
    }

    /// What is to be least: the sum of the errors, and what the multiply-adds count for.
    pub(super) fn total(&self, network: &Narrowed<'_>) -> f64 {
        let errors = self
            .groups()
            .map(|group| self.error(group, network.width(group)));
        errors.sum::<f64>() + network.effort()
    }

    /// The width of a group one step down or up, if there is one.
    pub(super) fn step(&self, group: usize, width: usize, way: Way) -> Option<usize> {
        let step = self.frame.round_to.max(1);
        let by = (width / STEP / step * step).max(step);
        let full = self.frame.space.groups.groups[group].width;
        match way {
            Way::Down => {
                let to = match width % step {
                    0 => width.saturating_sub(by),
                    odd => width - odd,
                };
                (to >= self.frame.least(group) && to < width).then_some(to)
            }
            Way::Up => (width < full).then(|| (width + by).min(full)),
        }
    }

    /// The network of the least common price at which it fits.
    fn priced(&self) -> Narrowed<'_> {
        let (mut low, mut high) = PRICES;
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if self.at_price(f64::exp(middle)).fits() {
                high = middle;
            } else {
                low = middle;
            }
        }
        self.at_price(f64::exp(high))
    }

    /// The network in which no width alone makes the errors and the cost less, the size allowed
    /// costing `price`.
    fn at_price(&self, price: f64) -> Narrowed<'_> {
        let of_one = price / self.frame.at_most.max(1) as f64;
        let full = self.frame.full();
        let mut network = Narrowed::full(self.frame);
        for _ in 0..SWEEPS {
            let before = network.widths();
            for group in self.groups() {
                // Sizes are linear in each width by itself.
                let price = network.price(group);
                let each = of_one * price.size as f64 + price.effort;
                let worth = |&width: &usize| self.error(group, width) + each * width as f64;
                let least = self.frame.least(group);
                let allowed = (least..=full[group]).step_by(self.frame.round_to.max(1));
                let best = allowed.min_by(|a, b| worth(a).total_cmp(&worth(b)));
                network.set(group, best.unwrap_or(least));
            }
            if network.widths() == before {
                break;
            }
        }
        network
    }

    /// A network that fits, the widths of `kept` untouched if that can be.
    pub(super) fn cut<'n>(&self, mut network: Narrowed<'n>, kept: &[usize]) -> Narrowed<'n> {
        while !network.fits() {
            let moves = self.moves(&mut network, kept, Way::Down);
            match moves.min_by(|a, b| a.rate().total_cmp(&b.rate())) {
                Some(Move { group, to, .. }) => network.set(group, to),
                None => break,
            }
        }
        network
    }

    /// A network that uses the room that is left, the widths of `kept` untouched.
    pub(super) fn fill<'n>(&self, mut network: Narrowed<'n>, kept: &[usize]) -> Narrowed<'n> {
        loop {
            let size = network.size();
            let moves = self.moves(&mut network, kept, Way::Up);
            let gaining =
                moves.filter(|one| one.change < 0.0 && size + one.size <= self.frame.at_most);
            let best = gaining.max_by(|a, b| (-a.rate()).total_cmp(&-b.rate()));
            let Some(Move { group, to, .. }) = best else {
                return network;
            };
            let from = network.width(group);
            network.set(group, to);
            if !network.fits() {
                network.set(group, from);
                return network;
            }
        }
    }

    /// A step of every group but those of `kept` that can go that way.
    fn moves<'s>(
        &'s self,
        network: &'s mut Narrowed<'_>,
        kept: &'s [usize],
        way: Way,
    ) -> impl Iterator<Item = Move> + 's {
        let groups = self.groups().filter(|group| !kept.contains(group));
        groups.filter_map(move |group| {
            let width = network.width(group);
            let to = self.step(group, width, way)?;
            let price = network.price(group);
            let kernels = width.abs_diff(to);
            let effort = price.effort * kernels as f64;
            let change = self.error(group, to) - self.error(group, width);
            Some(Move {
                group,
                to,
                size: price.size * kernels as u64,
                change: match way {
                    Way::Down => change - effort,
                    Way::Up => change + effort,
                },
            })
        })
    }
}

/// A step of a group's width.
struct Move {
    group: usize,
    /// The width behind it.
    to: usize,
    /// By how much the network's size changes.
    size: u64,
    /// By how much the total changes.
    change: f64,
}

impl Move {
    /// What the total changes for each unit of size.
    fn rate(&self) -> f64 {
        self.change / self.size.max(1) as f64
    }
}

/// Which way a width moves.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Up,
    Down,
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use secateur_onnx::arch::{VggConfig, vgg_like};
    use secateur_onnx::graph::Graph;

    use super::*;
    use crate::config::Metric;
    use crate::space::Space;

    /// How much more than the best widths those that are found may lose: of 300 cases one loses
    /// more, 14 %.
    const SLACK: f64 = 1.1;
    /// Kernels of each layer.
    const WIDTH: usize = 24;

    fn space() -> Space {
        let mut config = VggConfig::new([1, 8, 8], 3);
        config.stages = VggConfig::parse_stages(&format!("{WIDTH},M,{WIDTH},M")).unwrap();
        config.hidden = vec![WIDTH];
        let graph = Graph::from_model(&vgg_like(&config, 0).unwrap()).unwrap();
        Space::new(&graph, &[]).unwrap()
    }

    /// Errors that rise ever faster as a layer gets narrower.
    fn errors(space: &Space, seed: u64) -> Vec<WidthErrors> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut of_group = |width: usize| {
            let (scale, power) = (rng.random_range(0.1..1.0), rng.random_range(1.5..4.0));
            let error = |gone: usize| scale * f64::powf(gone as f64 / width as f64, power);
            WidthErrors {
                order: (0..width).collect(),
                errors: (0..width).map(error).collect(),
                ..WidthErrors::default()
            }
        };
        space
            .groups
            .groups
            .iter()
            .map(|g| of_group(g.width))
            .collect()
    }

    /// What widths lose that are found and the best of all there are, in a random case.
    fn found_and_best(space: &Space, seed: u64, metric: Metric) -> (f64, f64) {
        let errors = errors(space, seed);
        let share = ChaCha8Rng::seed_from_u64(seed).random_range(0.05..0.9);
        let frame = Frame {
            space,
            count: metric.into(),
            at_most: (share * metric.of(&space.size) as f64) as u64,
            round_to: 1,
            effort: 0.0,
        };
        let lost =
            |widths: &[usize]| -> f64 { (0..3).map(|g| errors[g].errors[WIDTH - widths[g]]).sum() };
        let widths = |i: usize| {
            [
                1 + i % WIDTH,
                1 + i / WIDTH % WIDTH,
                1 + i / WIDTH / WIDTH,
                3,
            ]
        };
        let all = (0..WIDTH.pow(3)).map(widths);
        let losses = all.filter(|w| frame.fits(w)).map(|w| lost(&w));
        let found = knapsack(&frame, &errors);
        assert!(frame.fits(&found));
        (lost(&found), losses.fold(f64::INFINITY, f64::min))
    }

    #[test]
    fn little_is_lost_against_the_best_widths() {
        let space = space();
        for seed in 0..8 {
            for metric in [Metric::Params, Metric::Macs] {
                let (found, best) = found_and_best(&space, seed, metric);
                assert!(
                    found <= SLACK * best,
                    "{seed} {metric:?}: {found} against {best}"
                );
            }
        }
    }

    #[test]
    fn widths_are_round_and_even_where_nothing_is_known() {
        let space = space();
        let frame = Frame {
            space: &space,
            count: Metric::Params.into(),
            at_most: space.size.params / 2,
            round_to: 4,
            effort: 0.0,
        };
        let found = knapsack(&frame, &errors(&space, 1));
        assert!(found[..3].iter().all(|width| width % 4 == 0), "{found:?}");
        assert_eq!(knapsack(&frame, &[]), even(&frame));
    }
}
