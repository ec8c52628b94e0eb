//! Layers trade kernels as long as the sum of their errors falls.

use rand::seq::index::sample;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::knapsack::{Knapsack, Way};
use super::narrowed::Narrowed;

/// Rounds of trades at most; mostly fewer than ten find something.
const ROUNDS: usize = 40;
/// Pairs of layers that are tried without gain before it ends.
const PAIRS: usize = 400;
/// Steps that a layer moves in a pair, one of these; mostly few.
const PAIR_STEPS: [usize; 4] = [1, 1, 2, 4];
/// Steps that a layer moves in a trade.
const TRADES: [usize; 3] = [1, 2, 4];

impl Knapsack<'_> {
    /// A network after all trades that are worth it, then after some in which two layers move at
    /// once.
    pub(super) fn improved<'n>(&self, network: Narrowed<'n>) -> Narrowed<'n> {
        let mut network = self.traded_out(network);
        let groups: Vec<usize> = self.groups().collect();
        if groups.len() < 2 {
            return network;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut failed = 0;
        while failed < PAIRS {
            let pair = sample(&mut rng, groups.len(), 2);
            let pair = [groups[pair.index(0)], groups[pair.index(1)]];
            let moves = pair.map(|group| {
                let way = if rng.random() { Way::Up } else { Way::Down };
                (
                    group,
                    way,
                    PAIR_STEPS[rng.random_range(0..PAIR_STEPS.len())],
                )
            });
            match self.moved(&network, &moves) {
                Some((total, other)) if total < self.total(&network) => {
                    network = self.traded_out(other);
                    failed = 0;
                }
                _ => failed += 1,
            }
        }
        network
    }

    /// A network after all trades that are worth it.
    fn traded_out<'n>(&self, mut network: Narrowed<'n>) -> Narrowed<'n> {
        for _ in 0..ROUNDS {
            match self.traded(&network) {
                Some(better) => network = better,
                None => break,
            }
        }
        network
    }

    /// The best of the networks in which one layer has some steps more or less, if its error is
    /// smaller.
    fn traded<'n>(&self, network: &Narrowed<'n>) -> Option<Narrowed<'n>> {
        let all = self.groups().flat_map(|group| {
            let ways = [Way::Up, Way::Down].into_iter();
            ways.flat_map(move |way| TRADES.map(|steps| (group, way, steps)))
        });
        let found = all.filter_map(|one| self.moved(network, &[one]));
        let best = found.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 < self.total(network)).then_some(best.1)
    }

    /// The network in which some layers move by so many steps and the others make up for it, with
    /// its error.
    fn moved<'n>(
        &self,
        network: &Narrowed<'n>,
        moves: &[(usize, Way, usize)],
    ) -> Option<(f64, Narrowed<'n>)> {
        let mut other = network.clone();
        for &(group, way, steps) in moves {
            let step = |width| self.step(group, width, way);
            let to = (0..steps).try_fold(other.width(group), |width, _| step(width))?;
            other.set(group, to);
        }
        let kept: Vec<usize> = moves.iter().map(|(group, ..)| *group).collect();
        let other = self.fill(self.cut(other, &kept), &kept);
        other.fits().then(|| (self.total(&other), other))
    }
}
