//! What passes over training data gather: significance, mean output, share of positive outputs.
//!
//! First-order Taylor significance of kernel k over N samples:
//!
//! ```text
//! S_k = 1/N · Σ_n | Σ_hw a[n,k,h,w] · ∂L_n/∂a[n,k,h,w] |
//! ```
//!
//! Source: Molchanov et al., ICLR 2017, arXiv:1611.06440. They divide by H·W and then by the
//! norm of the layer's scores, which takes the H·W out again; without that norm the sum is the
//! estimate of what the loss loses, in its units.

use super::{Evidence, LayerScale, Needs, Score};

/// Name of first-order Taylor significance.
pub const TAYLOR: &str = "taylor";
/// Name of the mean output.
pub const ACTIVATION: &str = "activation";
/// Name of the share of positive outputs.
pub const POSITIVE: &str = "positive";

/// Significance.
pub(super) struct Taylor;

impl Score for Taylor {
    fn name(&self) -> &'static str {
        TAYLOR
    }

    fn about(&self) -> &'static str {
        "first-order estimate of what the loss loses without the kernel"
    }

    fn needs(&self) -> Needs {
        Needs::Training
    }

    fn layer_scale(&self) -> LayerScale {
        LayerScale::L2
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        evidence.gathered(|statistics| statistics.taylor)
    }
}

/// Mean output.
pub(super) struct Activation;

impl Score for Activation {
    fn name(&self) -> &'static str {
        ACTIVATION
    }

    fn about(&self) -> &'static str {
        "mean output of the kernel"
    }

    fn needs(&self) -> Needs {
        Needs::Training
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        evidence.gathered(|statistics| statistics.activation)
    }
}

/// Share of positive outputs.
pub(super) struct Positive;

impl Score for Positive {
    fn name(&self) -> &'static str {
        POSITIVE
    }

    fn about(&self) -> &'static str {
        "share of the kernel's outputs that are above zero"
    }

    fn needs(&self) -> Needs {
        Needs::Training
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        evidence.gathered(|statistics| statistics.positive)
    }
}
