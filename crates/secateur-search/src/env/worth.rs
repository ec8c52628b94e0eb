//! What kernels are worth against the other kernels of their layer.
//!
//! ```text
//! v_k = √( s_k / mean s · n_k / mean n ),  means over the layer's active kernels
//! ```
//!
//! with n the norm of the kernel's weights and s its significance, or its health while it is
//! dormant. The two err in different ways: significance is first order and from a few batches,
//! norms know nothing of the data. Together they choose better than either.
//!
//! Layers are not weighed against each other: first-order significance adds up what single
//! kernels lose, and a layer that loses many at once loses far more. What an epoch brought
//! tells the agent about layers. (Figures for both in docs/algorithm.md.)

use super::features::{Facts, KernelFacts, mean_of};

/// Worth of every kernel, `[group][kernel]`: 1 for the mean of its layer, from 0; groups that
/// may not be switched get none.
pub fn worth(facts: &Facts) -> Vec<Vec<f32>> {
    facts
        .kernels
        .iter()
        .zip(&facts.switchable)
        .map(|(kernels, &switchable)| {
            if switchable {
                within_layer(kernels)
            } else {
                Vec::new()
            }
        })
        .collect()
}

fn within_layer(kernels: &[KernelFacts]) -> Vec<f32> {
    let significance = mean_of(kernels, |k| k.significance);
    let norm = mean_of(kernels, |k| k.weight_norm);
    // What was not measured says nothing.
    let over = |value: f32, mean: f64| {
        if mean > 0.0 {
            f64::from(value.max(0.0)) / mean
        } else {
            1.0
        }
    };
    kernels
        .iter()
        .map(|k| {
            let matters = if k.active { k.significance } else { k.health };
            (over(matters, significance) * over(k.weight_norm, norm)).sqrt() as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(significance: f32, weight_norm: f32) -> KernelFacts {
        KernelFacts {
            significance,
            weight_norm,
            active: true,
            ..KernelFacts::default()
        }
    }

    fn of(kernels: Vec<KernelFacts>) -> Vec<f32> {
        let facts = Facts {
            kernels: vec![kernels],
            switchable: vec![true],
            ..Facts::default()
        };
        worth(&facts).remove(0)
    }

    #[test]
    fn both_measures_count_and_the_mean_is_one() {
        let found = of(vec![kernel(1.0, 2.0), kernel(1.0, 2.0)]);
        assert_eq!(found, [1.0, 1.0]);
        let found = of(vec![kernel(3.0, 1.0), kernel(1.0, 1.0), kernel(1.0, 3.0)]);
        assert!(found[0] > found[1] && found[2] > found[1] && found[0] == found[2]);
    }

    #[test]
    fn a_dormant_kernel_is_worth_its_health_whatever_it_was_worth_before() {
        let dormant = |health: f32| KernelFacts {
            active: false,
            health,
            ..kernel(100.0, 1.0)
        };
        let found = of(vec![
            kernel(1.0, 1.0),
            dormant(4.0),
            dormant(-4.0),
            dormant(0.25),
        ]);
        assert_eq!(found, [1.0, 2.0, 0.0, 0.5]);
    }

    #[test]
    fn what_was_not_measured_says_nothing() {
        assert_eq!(of(vec![kernel(0.0, 1.0), kernel(0.0, 3.0)]), {
            let root = |v: f32| v.sqrt();
            [root(0.5), root(1.5)]
        });
        assert_eq!(of(vec![kernel(0.0, 0.0); 2]), [1.0, 1.0]);
    }
}
