//! Networks that `secateur train` builds, as ONNX models.

mod builder;
mod mobilenet;
mod resnet;
mod vgg;

pub use mobilenet::{MobileNetConfig, mobilenet_v2};
pub use resnet::{ResNetConfig, resnet};
pub use vgg::{DEFAULT_WIDTHS, VggConfig, VggStage, vgg_like};

use crate::error::{OnnxError, Result};

/// Checks that an image has channels and pixels, and that there are classes.
fn check(input: [usize; 3], classes: usize) -> Result<()> {
    if input.contains(&0) || classes == 0 {
        return Err(OnnxError::Architecture {
            reason: format!("expected an image and classes, got {input:?} and {classes}"),
        });
    }
    Ok(())
}
