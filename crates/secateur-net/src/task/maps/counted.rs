//! How a map overlaps the original's.

use super::told::{Kind, Map};

/// No class: the background of masks.
const NONE: u32 = u32::MAX;
/// A class that no other position has.
pub(super) const WRONG: u32 = u32::MAX - 1;

/// Overlaps of two maps.
pub(super) struct Counts {
    /// Of each class: positions where both maps have it, and where one of them has.
    classes: Vec<[u64; 2]>,
    pub same: u64,
    pub all: u64,
    pub loss: f64,
}

impl Counts {
    pub fn new(classes: usize) -> Self {
        Self {
            classes: vec![[0; 2]; classes],
            same: 0,
            all: 0,
            loss: 0.0,
        }
    }

    /// How many classes there may be.
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    fn enter(&mut self, given: u32, wanted: u32) {
        self.all += 1;
        self.same += u64::from(given == wanted);
        if given == wanted {
            if let Some([both, any]) = self.classes.get_mut(given as usize) {
                *both += 1;
                *any += 1;
            }
            return;
        }
        for class in [given, wanted] {
            if let Some([_, any]) = self.classes.get_mut(class as usize) {
                *any += 1;
            }
        }
    }

    /// Mean over the classes that occur; 1 where none does.
    pub fn mean_iou(&self) -> f64 {
        let occurring = self.classes.iter().filter(|[_, any]| *any > 0);
        let shares: Vec<f64> = occurring
            .map(|[both, any]| *both as f64 / *any as f64)
            .collect();
        match shares.len() {
            0 => f64::from(u8::from(self.same == self.all)),
            n => shares.iter().sum::<f64>() / n as f64,
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (own, other) in self.classes.iter_mut().zip(&other.classes) {
            own[0] += other[0];
            own[1] += other[1];
        }
        self.same += other.same;
        self.all += other.all;
    }
}

/// The best class of each position.
pub(super) struct Best {
    pub class: Vec<u32>,
    score: Vec<f32>,
}

impl Best {
    /// Channel by channel, so that memory is read in its order.
    pub fn of(scores: &[f32], channels: usize, positions: usize) -> Self {
        let mut best = Self {
            class: vec![NONE; positions],
            score: vec![f32::NEG_INFINITY; positions],
        };
        for (channel, scores) in (0..).zip(scores.chunks_exact(positions).take(channels)) {
            let places = best.class.iter_mut().zip(&mut best.score).zip(scores);
            for ((class, best), &score) in places {
                if score > *best {
                    (*class, *best) = (channel, score);
                } else if score.is_nan() {
                    (*class, *best) = (WRONG, f32::INFINITY);
                }
            }
        }
        best
    }

    /// ln Σ exp(score) of each position.
    fn log_sums(&self, scores: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f32; self.score.len()];
        for scores in scores.chunks_exact(self.score.len()) {
            for ((sum, &score), &best) in sums.iter_mut().zip(scores).zip(&self.score) {
                *sum += (score - best).exp();
            }
        }
        let pairs = sums.into_iter().zip(&self.score);
        pairs.map(|(sum, best)| best + sum.ln()).collect()
    }
}

/// Kullback-Leibler divergence of two masks at a position, from scores before the sigmoid.
fn divergence(z: f32, wanted: f32) -> f64 {
    if z == wanted {
        return 0.0;
    }
    let (z, wanted) = (f64::from(z), f64::from(wanted));
    // ln(1 + e^z) without overflow.
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let p = 1.0 / (1.0 + (-wanted).exp());
    let term = |share: f64, log: f64| if share > 0.0 { share * log } else { 0.0 };
    term(p, softplus(-z) - softplus(-wanted)) + term(1.0 - p, softplus(z) - softplus(wanted))
}

impl Map {
    /// How a sample's map agrees with the original's.
    pub fn counted(
        &self,
        scores: &[f32],
        original: &[f32],
        [channels, positions]: [usize; 2],
    ) -> Counts {
        let mut counts = Counts::new(channels);
        match self.kind {
            Kind::Classes => {
                let given = Best::of(scores, channels, positions);
                let wanted = Best::of(original, channels, positions);
                for (&a, &b) in given.class.iter().zip(&wanted.class) {
                    counts.enter(a, b);
                }
                let sums = given
                    .log_sums(scores)
                    .into_iter()
                    .zip(wanted.log_sums(original));
                let sums: Vec<(f32, f32)> = sums.collect();
                let pairs = scores
                    .chunks_exact(positions)
                    .zip(original.chunks_exact(positions));
                for (scores, original) in pairs {
                    for ((&z, &t), &(own, of_original)) in scores.iter().zip(original).zip(&sums) {
                        let (log_q, log_p) = (z - own, t - of_original);
                        if log_p.is_finite() {
                            counts.loss += f64::from(log_p.exp()) * f64::from(log_p - log_q);
                        } else if log_p.is_nan() {
                            counts.loss = f64::NAN;
                        }
                    }
                }
            }
            Kind::Masks => {
                let pairs = scores
                    .chunks_exact(positions)
                    .zip(original.chunks_exact(positions));
                for (channel, (scores, original)) in (0..).zip(pairs) {
                    for (&z, &t) in scores.iter().zip(original) {
                        let class = |score: f32| if score > 0.0 { channel } else { NONE };
                        // What is no number agrees with nothing.
                        match z.is_nan() {
                            true => counts.enter(channel, if t > 0.0 { NONE } else { WRONG }),
                            false => counts.enter(class(z), class(t)),
                        }
                        counts.loss += divergence(z, t);
                    }
                }
            }
        }
        let all = if self.kind == Kind::Masks {
            channels * positions
        } else {
            positions
        };
        counts.loss /= all.max(1) as f64;
        counts
    }
}
