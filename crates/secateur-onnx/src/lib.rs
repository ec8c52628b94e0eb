//! ONNX files, their graphs, coupled kernels and surgery.
//!
//! The [`model::Model`] keeps the whole protobuf message and is the source of
//! truth. [`graph::Graph`] is a typed view of it; [`ops`] has a rule for each operator, with
//! which [`shape`] infers shapes and [`coupling`] finds the kernels that must go together;
//! [`surgery`] removes them from the message in place; [`cost`] counts what a network costs.
//! Nothing here knows of training.

pub mod arch;
mod computed;
pub mod cost;
pub mod coupling;
mod error;
mod extents;
pub mod graph;
mod labels;
pub mod model;
pub mod ops;
pub mod pieces;
pub mod shape;
pub mod surgery;
pub mod text;

pub use error::{OnnxError, Result};
