//! Networks that `secateur train` builds, as ONNX models.

mod builder;
mod vgg;

pub use vgg::{DEFAULT_WIDTHS, VggConfig, VggStage, vgg_like};
