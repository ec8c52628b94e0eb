//! MobileNetV2 for small images: inverted bottlenecks around depthwise
//! convolutions.
//!
//! Source: Sandler et al., CVPR 2018, arXiv:1801.04381, table 2. Departures: the
//! first two reductions of the image are left out, as 32x32 pixels need; ReLU in
//! place of ReLU6, whose bound serves arithmetic of low precision.

use super::builder::{Builder, ConvShape, check};
use crate::error::{OnnxError, Result};
use crate::model::Model;

/// Shape of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MobileNetConfig {
    /// Input as `[c, h, w]`.
    pub input: [usize; 3],
    /// Widths in per cent of the published ones, 1 to 1000.
    pub width_percent: usize,
    /// Number of classes.
    pub classes: usize,
}

impl MobileNetConfig {
    /// The published widths, for images of shape `[c, h, w]`.
    pub fn new(input: [usize; 3], classes: usize) -> Self {
        Self {
            input,
            width_percent: 100,
            classes,
        }
    }
}

/// Expansion, kernels, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// Kernels of the first convolution.
const STEM: usize = 32;

/// Kernels of the last convolution.
const HEAD: usize = 1280;

/// Builds the network with random weights.
///
/// Nodes are named `stem`, `block1/expand`, `block1/depthwise`, `block1/project`, ...,
/// `head`, `classifier`; the input is `input`, the output `logits`; the batch is
/// dynamic.
///
/// # Errors
/// [`OnnxError::Architecture`] for counts of zero or a width out of range.
pub fn mobilenet_v2(config: &MobileNetConfig, seed: u64) -> Result<Model> {
    check(config.input, config.classes)?;
    if !(1..=1000).contains(&config.width_percent) {
        return Err(OnnxError::Architecture {
            reason: format!(
                "expected a width of 1 to 1000 %, got {}",
                config.width_percent
            ),
        });
    }
    let scaled = |width: usize| (width * config.width_percent / 100).max(1);
    let mut builder = Builder::new("mobilenet-v2", seed);
    builder.input("input", &config.input);
    let mut channels = scaled(STEM);
    let stem = ConvShape::new(config.input[0], channels, 3, 1);
    let mut value = builder.conv_bn_relu("stem", "input", stem);
    let mut number = 0;
    for (expansion, width, blocks, first_stride) in STAGES {
        let width = scaled(width);
        for block in 0..blocks {
            number += 1;
            let name = format!("block{number}");
            let stride = if block == 0 { first_stride } else { 1 };
            let inner_width = channels * expansion;
            let mut inner = value.clone();
            if expansion > 1 {
                let shape = ConvShape::new(channels, inner_width, 1, 1);
                inner = builder.conv_bn_relu(&format!("{name}/expand"), &inner, shape);
            }
            let mut depthwise = ConvShape::new(inner_width, inner_width, 3, stride);
            depthwise.groups = inner_width;
            inner = builder.conv_bn_relu(&format!("{name}/depthwise"), &inner, depthwise);
            let project = ConvShape::new(inner_width, width, 1, 1);
            inner = builder.conv_bn(&format!("{name}/project"), &inner, project);
            value = if stride == 1 && channels == width {
                let add = format!("{name}/add");
                let output = format!("{add}/out");
                builder.node("Add", &add, &[&value, &inner], &output, &[])
            } else {
                inner
            };
            channels = width;
        }
    }
    let head = scaled(HEAD);
    value = builder.conv_bn_relu("head", &value, ConvShape::new(channels, head, 1, 1));
    builder.classify(&value, head, config.classes);
    Ok(builder.finish())
}
