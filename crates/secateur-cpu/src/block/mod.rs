//! Convolution, batch norm, activation and 2x2 max pooling as one.
//!
//! Training: u = conv(x, w) + b; y = pool(activation(γ · (u - μ) / √(σ² + ε) + β)) with
//! μ and σ² the mean and the biased variance of the batch; a residual may be added before
//! the activation if nothing is pooled. In inference the caller folds the batch norm into w
//! and b.
//!
//! Fusing saves passes over memory. Forward, each image's moments are summed while its
//! convolution is still in the cache; one more pass normalises, activates and pools. Backward,
//! one pass takes sums, and one writes the gradient of the convolution's output into padded
//! scratch, from which dx and dw are computed. Source of the batch norm's gradient: Ioffe and
//! Szegedy, arXiv:1502.03167, section 3.

mod backward;
mod chain;
mod folded;
mod forward;
mod pending;
mod spec;
mod training;

pub use crate::activation::ActivationStats;
pub use backward::backward;
pub use chain::{forward_chain, is_chain};
pub use folded::{forward_folded, forward_folded_residual};
pub use forward::{forward_pending, forward_train};
pub use pending::Pending;
pub use spec::BlockSpec;
pub use training::{BlockGradients, InputGradient, Inputs, Saved};
