//! Norms of the weights that produce a kernel.
//!
//! ```text
//! l1 = Σ |w|,   l2 = √ Σ w²
//! ```
//!
//! Source: Li et al., ICLR 2017, arXiv:1608.08710 (l1). Biases say little of how much a kernel
//! matters and are left out; the weight norm, which the agent looks at, takes them in.

use secateur_onnx::coupling::{Member, Role};

use super::{Evidence, Score};

/// Name of Σ |w|.
pub const L1: &str = "l1";
/// Name of √ Σ w².
pub const L2: &str = "l2";
/// Name of √ (Σ w² + b²).
pub const WEIGHT_NORM: &str = "weight-norm";

/// Weights that produce a kernel, without its bias.
fn is_weight(member: &Member, shape: &[usize]) -> bool {
    member.role == Role::Output && shape.len() > 1
}

/// Σ |w|
pub(super) struct L1Norm;

impl Score for L1Norm {
    fn name(&self) -> &'static str {
        L1
    }

    fn about(&self) -> &'static str {
        "sum of the magnitudes of the weights that produce the kernel"
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        norms(evidence, is_weight, f64::abs, |sum| sum)
    }
}

/// √ Σ w²
pub(super) struct L2Norm;

impl Score for L2Norm {
    fn name(&self) -> &'static str {
        L2
    }

    fn about(&self) -> &'static str {
        "L2 norm of the weights that produce the kernel"
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        norms(evidence, is_weight, |w| w * w, f64::sqrt)
    }
}

/// √ (Σ w² + b²)
pub(super) struct WeightNorm;

impl Score for WeightNorm {
    fn name(&self) -> &'static str {
        WEIGHT_NORM
    }

    fn about(&self) -> &'static str {
        "L2 norm of the weights and the bias that produce the kernel"
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        let produces = |member: &Member, _: &[usize]| member.role == Role::Output;
        norms(evidence, produces, |w| w * w, f64::sqrt)
    }
}

fn norms(
    evidence: &Evidence<'_>,
    counts: impl Fn(&Member, &[usize]) -> bool,
    of_value: impl Fn(f64) -> f64,
    of_sum: impl Fn(f64) -> f64,
) -> Vec<Vec<f32>> {
    evidence.by_group(|group| {
        let sums = evidence.sum_over(group, &counts, &of_value);
        let sums = sums.unwrap_or_else(|| vec![0.0; group.width]);
        sums.into_iter().map(|sum| of_sum(sum) as f32).collect()
    })
}
