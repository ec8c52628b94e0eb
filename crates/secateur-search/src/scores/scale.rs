//! The scale of a kernel's batch norm, |γ| (Liu et al., ICCV 2017, arXiv:1708.06519).

use super::{Evidence, Score};

/// Name of the batch-norm scale.
pub const SCALE: &str = "scale";

/// |γ|, 1 where a group has no batch norm.
pub(super) struct Scale;

impl Score for Scale {
    fn name(&self) -> &'static str {
        SCALE
    }

    fn about(&self) -> &'static str {
        "magnitude of the kernel's batch-norm scale; 1 for all kernels where there is none"
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        let scales = &evidence.space.scales;
        evidence.by_group(|group| {
            let sums = evidence.sum_over(group, |m, _| scales.contains(&m.tensor), f64::abs);
            match sums {
                Some(sums) => sums.into_iter().map(|sum| sum as f32).collect(),
                None => vec![1.0; group.width],
            }
        })
    }
}
