//! Past decisions, younger ones more likely.
//!
//! What a kernel is worth changes as the network shrinks, so a transition's
//! chance falls by a constant factor for each pruning epoch of its age
//! (recency-weighted replay; compare Zhang and Sutton, 2017, arXiv:1712.01275, on
//! how old transitions harm).

use std::collections::VecDeque;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::features::{Features, N_FEATURES};

/// One kernel's decision and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Features before.
    pub observation: Features,
    /// Chosen state: on (true) or off.
    pub action: bool,
    /// What it earned.
    pub reward: f32,
    /// Features after.
    pub next_observation: Features,
    /// True if the episode ended there.
    pub terminated: bool,
}

/// A transition as it is kept: postcard takes no long arrays, vectors it does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    observation: Vec<f32>,
    next_observation: Vec<f32>,
    action: bool,
    reward: f32,
    terminated: bool,
}

/// A bounded memory of transitions by pruning epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    capacity: usize,
    decay: f32,
    /// Oldest first; one entry a pruning epoch.
    epochs: VecDeque<Vec<Kept>>,
}

impl Replay {
    /// Empty.
    pub fn new(capacity: usize, decay: f32) -> Self {
        Self {
            capacity,
            decay,
            epochs: VecDeque::new(),
        }
    }

    /// Number of transitions.
    pub fn len(&self) -> usize {
        self.epochs.iter().map(Vec::len).sum()
    }

    /// True without transitions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the transitions of one pruning epoch; the oldest epochs go when full.
    pub fn push_epoch(&mut self, transitions: Vec<Transition>) {
        if transitions.is_empty() {
            return;
        }
        self.epochs.push_back(
            transitions
                .into_iter()
                .map(|t| Kept {
                    observation: t.observation.to_vec(),
                    next_observation: t.next_observation.to_vec(),
                    action: t.action,
                    reward: t.reward,
                    terminated: t.terminated,
                })
                .collect(),
        );
        while self.len() > self.capacity && self.epochs.len() > 1 {
            self.epochs.pop_front();
        }
    }

    /// Draws `count` transitions with replacement.
    pub fn sample<R: Rng>(&self, count: usize, rng: &mut R) -> Vec<Transition> {
        let newest = self.epochs.len().saturating_sub(1);
        let mut cumulative = Vec::with_capacity(self.epochs.len());
        let mut total = 0.0f64;
        for (index, epoch) in self.epochs.iter().enumerate() {
            let age = i32::try_from(newest - index).unwrap_or(i32::MAX);
            total += f64::from(self.decay).powi(age) * epoch.len() as f64;
            cumulative.push(total);
        }
        let full = |values: &[f32]| -> Features {
            let mut features = [0.0; N_FEATURES];
            features.copy_from_slice(values);
            features
        };
        (0..count)
            .map(|_| {
                let point = rng.random::<f64>() * total;
                let epoch = cumulative.partition_point(|&c| c <= point).min(newest);
                let kept = &self.epochs[epoch][rng.random_range(0..self.epochs[epoch].len())];
                Transition {
                    observation: full(&kept.observation),
                    next_observation: full(&kept.next_observation),
                    action: kept.action,
                    reward: kept.reward,
                    terminated: kept.terminated,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn epoch(n: usize, reward: f32) -> Vec<Transition> {
        let transition = Transition {
            observation: [0.0; N_FEATURES],
            action: true,
            reward,
            next_observation: [0.0; N_FEATURES],
            terminated: false,
        };
        vec![transition; n]
    }

    #[test]
    fn younger_transitions_come_more_often_by_the_configured_factor() {
        let mut replay = Replay::new(1000, 0.5);
        replay.push_epoch(epoch(10, 1.0));
        replay.push_epoch(epoch(10, 2.0));
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let drawn = replay.sample(30_000, &mut rng);
        let old = drawn.iter().filter(|t| t.reward == 1.0).count() as f64 / 30_000.0;
        // Three deviations of a share of 1/3 over 30,000 draws are 0.008.
        assert!(
            (old - 1.0 / 3.0).abs() < 0.01,
            "share of the older epoch: {old}"
        );
    }

    #[test]
    fn the_oldest_epochs_go_first() {
        let mut replay = Replay::new(25, 1.0);
        for reward in [1.0, 2.0, 3.0] {
            replay.push_epoch(epoch(10, reward));
        }
        assert_eq!(replay.len(), 20);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        assert!(replay.sample(100, &mut rng).iter().all(|t| t.reward > 1.5));
    }
}
