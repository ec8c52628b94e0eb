//! The episodes of a run: exploring ones, then the last one, which gives the results.

use crate::config::SearchConfig;
use crate::promise::Corridor;

/// How many episodes there are, and how many pruning epochs each takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Episodes {
    /// Sizes of the exploring episodes: straight down to the target.
    exploring: Corridor,
    /// Sizes of the last one.
    last: Corridor,
    explore_episodes: usize,
    exchange_epochs: usize,
}

impl Episodes {
    pub(super) fn new(search: &SearchConfig, last: &Corridor) -> Self {
        Self {
            exploring: Corridor::to_target(last.metric, last.target, search.explore_epochs),
            last: last.clone(),
            explore_episodes: search.explore_episodes,
            exchange_epochs: search.exchange_epochs,
        }
    }

    /// Number of the last episode.
    pub(super) fn last(&self) -> usize {
        self.explore_episodes
    }

    pub(super) fn is_last(&self, episode: usize) -> bool {
        episode >= self.explore_episodes
    }

    /// Sizes of an episode.
    pub(super) fn corridor(&self, episode: usize) -> &Corridor {
        if self.is_last(episode) {
            &self.last
        } else {
            &self.exploring
        }
    }

    /// Pruning epochs of an episode.
    pub(super) fn epochs(&self, episode: usize) -> usize {
        if self.is_last(episode) {
            self.last.epochs + self.exchange_epochs
        } else {
            self.exploring.epochs
        }
    }

    /// Progress in an episode when `done` of its epochs are over, 0..=1.
    pub(super) fn progress(&self, episode: usize, done: usize) -> f32 {
        done as f32 / self.epochs(episode).max(1) as f32
    }

    /// Progress through the epochs of all episodes at epoch `t` of one, 0..=1.
    pub(super) fn run_progress(&self, episode: usize, t: usize) -> f32 {
        let before: usize = (0..episode).map(|e| self.epochs(e)).sum();
        let all: usize = (0..=self.last()).map(|e| self.epochs(e)).sum();
        (before + t.saturating_sub(1)) as f32 / all.max(1) as f32
    }

    /// All epochs after epoch `t` of an episode, as `(episode, t)`.
    pub(super) fn after(&self, episode: usize, t: usize) -> impl Iterator<Item = (usize, usize)> {
        (episode..=self.last())
            .flat_map(|e| (0..=self.epochs(e)).map(move |epoch| (e, epoch)))
            .filter(move |&at| at > (episode, t))
    }
}
