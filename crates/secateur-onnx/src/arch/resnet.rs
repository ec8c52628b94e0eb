//! Residual networks for small images: three stages of basic blocks.
//!
//! Source: He et al., CVPR 2016, arXiv:1512.03385, section 4.2. Departure: where a
//! stage changes width, the shortcut is a 1x1 convolution with batch norm (their
//! option B), not padding.

use super::builder::{Builder, ConvShape, check};
use crate::error::{OnnxError, Result};
use crate::model::Model;

/// Shape of a residual network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Input as `[c, h, w]`.
    pub input: [usize; 3],
    /// Blocks a stage; 3 make ResNet-20.
    pub blocks: usize,
    /// Kernels of the first stage; doubled in each of the next two.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

impl ResNetConfig {
    /// ResNet-20 for images of shape `[c, h, w]`.
    pub fn new(input: [usize; 3], classes: usize) -> Self {
        Self {
            input,
            blocks: 3,
            width: 16,
            classes,
        }
    }
}

/// Builds the network with random weights.
///
/// Nodes are named `stem`, `stage1/block1/conv1`, ..., `stage2/block1/shortcut`,
/// `classifier`; the input is `input`, the output `logits`; the batch is dynamic.
///
/// # Errors
/// [`OnnxError::Architecture`] for counts of zero.
pub fn resnet(config: &ResNetConfig, seed: u64) -> Result<Model> {
    check(config.input, config.classes)?;
    if config.blocks == 0 || !(1..=65_536).contains(&config.width) {
        return Err(OnnxError::Architecture {
            reason: format!(
                "expected at least 1 block a stage and a width of 1 to 65536, got {} and {}",
                config.blocks, config.width
            ),
        });
    }
    let mut builder = Builder::new(&format!("resnet{}", 6 * config.blocks + 2), seed);
    builder.input("input", &config.input);
    let mut channels = config.width;
    let stem = ConvShape::new(config.input[0], channels, 3, 1);
    let mut value = builder.conv_bn_relu("stem", "input", stem);
    for stage in 0..3 {
        let width = config.width << stage;
        for block in 0..config.blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("stage{}/block{}", stage + 1, block + 1);
            let first = ConvShape::new(channels, width, 3, stride);
            let inner = builder.conv_bn_relu(&format!("{name}/conv1"), &value, first);
            let second = ConvShape::new(width, width, 3, 1);
            let inner = builder.conv_bn(&format!("{name}/conv2"), &inner, second);
            let shortcut = if stride > 1 || channels != width {
                let shape = ConvShape::new(channels, width, 1, stride);
                builder.conv_bn(&format!("{name}/shortcut"), &value, shape)
            } else {
                value
            };
            let sum = format!("{name}/add");
            let output = format!("{sum}/out");
            let sum = builder.node("Add", &sum, &[&inner, &shortcut], &output, &[]);
            value = builder.relu(&name, &sum);
            channels = width;
        }
    }
    builder.classify(&value, channels, config.classes);
    Ok(builder.finish())
}
