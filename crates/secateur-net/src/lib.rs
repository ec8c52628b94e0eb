//! Trainable networks interpreted from ONNX graphs, on Burn.
//!
//! An [`Engine`] says where and by which code networks are computed; [`task::find`] what a
//! graph's outputs mean; an [`Interpreter`] plans the graph once. [`weights::Weights`] hold
//! the parameters as plain memory at full width; [`mask::Selection`] gathers the active part
//! for a compact network and scatters it back; [`train`] trains and evaluates; [`heal`] solves
//! weights without gradients, [`fresh`] begins with new ones; [`score`] tells how much active kernels matter and [`health`] what
//! dormant ones would bring. Nothing here decides anything: decisions are in `secateur-search`.

pub mod data;
mod engine;
mod error;
pub mod extension;
pub mod fresh;
pub mod heal;
pub mod health;
pub mod interpreter;
mod lock;
pub mod mask;
pub mod ops;
pub mod pass;
pub mod score;
pub mod settings;
pub mod task;
pub mod train;
mod value;
pub mod weights;

pub use engine::Engine;
pub use error::{NetError, Result};
pub use interpreter::Interpreter;
pub use value::{Dense, Host, HostData, Input, Inputs, Output, Value};
