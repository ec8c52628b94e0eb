//! What kernels are worth against the other kernels of their layer.
//!
//! ```text
//! v_k = √( s_k / mean s · l_k / mean l ),  means over the layer's active kernels
//! ```
//!
//! with l what is lost with the kernel in the given network when the others make up for it (score
//! `second-order`; where no reader's error could be told the norm of its weights) and s its
//! significance in the present network, or its health while it is dormant.
//!
//! Layers are not weighed against each other: first-order significance adds up what single
//! kernels lose, and a layer that loses many at once loses far more. What an epoch brought
//! tells the agent about layers. (Figures for both in docs/algorithm.md.)

use crate::observation::Observation;
use crate::scores::{HEALTH, SECOND_ORDER, TAYLOR, WEIGHT_NORM};

/// Worth of every kernel, `[group][kernel]`: 1 for the mean of its layer, from 0; groups that
/// may not be switched get none.
pub fn worth(observation: &Observation) -> Vec<Vec<f32>> {
    let layers = observation.layers.iter().enumerate();
    layers
        .map(|(g, layer)| {
            if layer.switchable {
                within_layer(observation, g)
            } else {
                Vec::new()
            }
        })
        .collect()
}

fn within_layer(observation: &Observation, group: usize) -> Vec<f32> {
    let of = |score: &str| observation.scores.of_group(score, group);
    let (significance, health) = (of(TAYLOR), of(HEALTH));
    let lost = match of(SECOND_ORDER) {
        known if known.iter().any(|&lost| lost > 0.0) => SECOND_ORDER,
        _ => WEIGHT_NORM,
    };
    let (lost, mean_lost) = (of(lost), observation.mean_active(lost, group));
    let mean_significance = observation.mean_active(TAYLOR, group);
    // What was not measured says nothing.
    let over = |value: f32, mean: f64| {
        if mean > 0.0 {
            f64::from(value.max(0.0)) / mean
        } else {
            1.0
        }
    };
    let kernels = observation.kernels[group].iter().enumerate();
    kernels
        .map(|(k, kernel)| {
            let matters = if kernel.active {
                significance[k]
            } else {
                health[k]
            };
            (over(matters, mean_significance) * over(lost[k], mean_lost)).sqrt() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{KernelFacts, LayerFacts};
    use crate::scores::Scores;

    /// A kernel that is on, with its significance and norm, or dormant with its health.
    enum Kernel {
        On(f32, f32),
        Dormant(f32),
    }
    use Kernel::{Dormant, On};

    fn of(kernels: &[Kernel]) -> Vec<f32> {
        worth(&observation(kernels)).remove(0)
    }

    fn observation(kernels: &[Kernel]) -> Observation {
        let column = |get: fn(&Kernel) -> f32| vec![kernels.iter().map(get).collect()];
        let facts = |kernel: &Kernel| KernelFacts {
            active: matches!(kernel, On(..)),
            ..KernelFacts::default()
        };
        Observation {
            layers: vec![LayerFacts {
                switchable: true,
                ..LayerFacts::default()
            }],
            kernels: vec![kernels.iter().map(facts).collect()],
            scores: Scores::default()
                .with(
                    TAYLOR,
                    column(|k| match k {
                        On(significance, _) => *significance,
                        Dormant(_) => 100.0,
                    }),
                )
                .with(
                    HEALTH,
                    column(|k| match k {
                        On(..) => 0.0,
                        Dormant(health) => *health,
                    }),
                )
                .with(
                    WEIGHT_NORM,
                    column(|k| match k {
                        On(_, norm) => *norm,
                        Dormant(_) => 1.0,
                    }),
                ),
            ..Observation::default()
        }
    }

    #[test]
    fn what_is_lost_with_a_kernel_takes_the_place_of_its_norm_where_it_is_known() {
        let mut observation = observation(&[On(1.0, 9.0), On(1.0, 1.0), Dormant(1.0)]);
        let scores = std::mem::take(&mut observation.scores);
        observation.scores = scores.with(SECOND_ORDER, vec![vec![1.0, 3.0, 8.0]]);
        assert_eq!(worth(&observation)[0], [0.5, 1.5, 4.0].map(f32::sqrt));
    }

    #[test]
    fn both_measures_count_and_the_mean_is_one() {
        assert_eq!(of(&[On(1.0, 2.0), On(1.0, 2.0)]), [1.0, 1.0]);
        let found = of(&[On(3.0, 1.0), On(1.0, 1.0), On(1.0, 3.0)]);
        assert!(found[0] > found[1] && found[2] > found[1] && found[0] == found[2]);
    }

    #[test]
    fn a_dormant_kernel_is_worth_its_health_whatever_it_was_worth_before() {
        let found = of(&[On(1.0, 1.0), Dormant(4.0), Dormant(-4.0), Dormant(0.25)]);
        assert_eq!(found, [1.0, 2.0, 0.0, 0.5]);
    }

    #[test]
    fn what_was_not_measured_says_nothing() {
        let root = |v: f32| v.sqrt();
        assert_eq!(of(&[On(0.0, 1.0), On(0.0, 3.0)]), [root(0.5), root(1.5)]);
        assert_eq!(of(&[On(0.0, 0.0), On(0.0, 0.0)]), [1.0, 1.0]);
    }
}
