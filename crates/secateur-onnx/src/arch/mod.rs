//! Networks to train from scratch, as ONNX models with random weights.

mod builder;
mod lenet;
mod mobilenet;
mod resnet;
mod vgg;

pub use lenet::{LeNetConfig, lenet5};
pub use mobilenet::{MobileNetConfig, mobilenet_v2};
pub use resnet::{ResNetConfig, resnet};
pub use vgg::{DEFAULT_WIDTHS, VggConfig, VggStage, vgg_like};
