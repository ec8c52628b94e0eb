//! The episodes of a run: exploring ones, then the last one. Each passes all stops, and at each the
//! network is cut to its size at once; then kernels are exchanged, or, where the policy explores
//! that, other widths tried.

use crate::config::SearchConfig;
use crate::policy::Explores;
use crate::promise::Stops;

/// How many episodes there are, and how many pruning epochs each takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Episodes {
    exploring: usize,
    /// Whether every epoch that explores cuts anew.
    tries_widths: bool,
    stops: usize,
    /// Pruning epochs after each first cut to a size.
    exchanges: usize,
}

impl Episodes {
    /// Where there is nothing to explore, the last episode is the only one.
    pub(super) fn new(search: &SearchConfig, stops: &Stops, explores: Explores) -> Self {
        let stops = stops.shares.len();
        let exploring = explores.kernels || explores.widths;
        Self {
            exploring: if exploring {
                search.explore_episodes
            } else {
                0
            },
            tries_widths: explores.widths,
            stops,
            exchanges: search.exchange_epochs.div_ceil(stops),
        }
    }

    /// Do episodes that explore try widths?
    pub(super) fn tries_widths(&self) -> bool {
        self.tries_widths
    }

    /// Number of the last episode.
    pub(super) fn last(&self) -> usize {
        self.exploring
    }

    pub(super) fn is_last(&self, episode: usize) -> bool {
        episode >= self.exploring
    }

    /// Pruning epochs of an episode.
    pub(super) fn epochs(&self) -> usize {
        self.stops * (1 + self.exchanges)
    }

    /// The stop of pruning epoch `t`, from 1.
    pub(super) fn stop(&self, t: usize) -> usize {
        (t.saturating_sub(1) / (1 + self.exchanges)).min(self.stops - 1)
    }

    /// Does pruning epoch `t` of an episode cut to the size of its stop, or are kernels exchanged? Where
    /// widths are tried, every one that explores cuts.
    pub(super) fn cuts(&self, episode: usize, t: usize) -> bool {
        let tries = self.tries_widths && !self.is_last(episode);
        tries || t.saturating_sub(1).is_multiple_of(1 + self.exchanges)
    }

    /// The epoch that cuts to the stop after that of epoch `t`; one too many after the last.
    pub(super) fn next_cut(&self, t: usize) -> usize {
        (self.stop(t) + 1) * (1 + self.exchanges) + 1
    }

    /// Progress in an episode when `done` of its epochs are over, 0..=1.
    pub(super) fn progress(&self, done: usize) -> f32 {
        done as f32 / self.epochs() as f32
    }

    /// Progress through the epochs of all episodes at epoch `t` of one, 0..=1.
    pub(super) fn run_progress(&self, episode: usize, t: usize) -> f32 {
        let before = episode * self.epochs() + t.saturating_sub(1);
        before as f32 / ((self.last() + 1) * self.epochs()) as f32
    }

    /// All epochs after epoch `t` of an episode, as `(episode, t)`.
    pub(super) fn after(&self, episode: usize, t: usize) -> impl Iterator<Item = (usize, usize)> {
        (episode..=self.last())
            .flat_map(|e| (0..=self.epochs()).map(move |epoch| (e, epoch)))
            .filter(move |&at| at > (episode, t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Metric;

    fn episodes(shares: &[f64], exchanges: usize, explores: Explores) -> Episodes {
        let search = SearchConfig {
            explore_episodes: 2,
            exchange_epochs: exchanges,
            ..SearchConfig::default()
        };
        Episodes::new(
            &search,
            &Stops::new(Metric::Params, shares.to_vec()),
            explores,
        )
    }

    #[test]
    fn every_stop_begins_with_a_cut_and_exchanges_are_shared_out() {
        let [episodes, tries] = [false, true].map(|widths| {
            let explores = Explores {
                kernels: true,
                widths,
            };
            episodes(&[0.5, 0.2], 3, explores)
        });
        let places: Vec<(usize, bool)> = (1..=episodes.epochs())
            .map(|t| (episodes.stop(t), episodes.cuts(2, t)))
            .collect();
        let of_stop = |stop| [(stop, true), (stop, false), (stop, false)];
        assert_eq!(places, [of_stop(0), of_stop(1)].concat());
        assert!((1..=6).all(|t| tries.cuts(1, t)));
        assert!((1..=6).all(|t| episodes.cuts(1, t) == tries.cuts(2, t)));
        assert_eq!([1, 3, 4, 6].map(|t| episodes.next_cut(t)), [4, 4, 7, 7]);
        assert_eq!((episodes.last(), episodes.after(1, 5).count()), (2, 8));
    }

    #[test]
    fn without_exchanges_each_stop_is_one_epoch() {
        let episodes = episodes(&[0.5, 0.2, 0.1], 0, Explores::default());
        assert_eq!((episodes.last(), episodes.epochs()), (0, 3));
        assert!((1..=3).all(|t| episodes.stop(t) == t - 1 && episodes.cuts(0, t)));
    }
}
