//! Trainable networks interpreted from ONNX graphs, on Burn.
//!
//! [`interpreter::Network`] plans a graph once; [`weights::Weights`] hold the
//! parameters as plain memory at full width; [`mask::Selection`] gathers the
//! active part for a compact network and scatters it back; [`train`] trains and
//! evaluates; [`score`] tells how much kernels matter. Nothing here decides
//! anything: decisions are in `secateur-search`.

mod chains;
pub mod data;
mod error;
pub mod extension;
mod fusing;
pub mod interpreter;
pub mod mask;
pub mod ops;
pub mod plan;
pub mod program;
pub mod score;
pub mod train;
mod value;
pub mod weights;

pub use error::{NetError, Result};
pub use value::{Dense, Host, HostData, Value};
