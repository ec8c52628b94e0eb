//! VGG-like networks: 3x3 convolutions with batch norm and ReLU, 2x2 max pooling,
//! fully connected layers.
//!
//! Source of the family: Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556.

use super::builder::{Builder, ConvShape};
use crate::error::{OnnxError, Result};
use crate::model::Model;

/// One entry of the list of widths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VggStage {
    /// A convolution with that many kernels.
    Conv(usize),
    /// 2x2 max pooling with stride 2.
    Pool,
}

/// Shape of a VGG-like network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VggConfig {
    /// Input as `[c, h, w]`.
    pub input: [usize; 3],
    /// Convolutions and poolings in order.
    pub stages: Vec<VggStage>,
    /// Widths of the hidden fully connected layers.
    pub hidden: Vec<usize>,
    /// Number of classes.
    pub classes: usize,
}

/// Widths used by default.
pub const DEFAULT_WIDTHS: &str = "32,32,M,64,64,M,128,128,128,M";

impl VggConfig {
    /// The default network for images of shape `[c, h, w]`.
    pub fn new(input: [usize; 3], classes: usize) -> Self {
        use VggStage::{Conv, Pool};
        let stages = vec![
            Conv(32),
            Conv(32),
            Pool,
            Conv(64),
            Conv(64),
            Pool,
            Conv(128),
            Conv(128),
            Conv(128),
            Pool,
        ];
        Self {
            input,
            stages,
            hidden: vec![128],
            classes,
        }
    }

    /// Reads a list such as `32,32,M,64,64,M`.
    ///
    /// # Errors
    /// [`OnnxError::Architecture`] naming the entry that is neither a width nor `M`.
    pub fn parse_stages(text: &str) -> Result<Vec<VggStage>> {
        text.split(',')
            .map(str::trim)
            .map(|entry| match entry {
                "M" | "m" => Ok(VggStage::Pool),
                _ => match entry.parse::<usize>() {
                    Ok(width) if (1..=65_536).contains(&width) => Ok(VggStage::Conv(width)),
                    _ => Err(OnnxError::Architecture {
                        reason: format!(
                            "widths `{text}`: expected numbers of kernels (1 to 65536) and `M`, \
                             got `{entry}`"
                        ),
                    }),
                },
            })
            .collect()
    }
}

/// Builds the network with random weights.
///
/// Nodes are named `conv1`, `conv1/bn`, `conv1/relu`, `pool1`, ..., `fc1`, `classifier`;
/// the input is `input`, the output `logits`; the batch is dynamic.
///
/// # Errors
/// [`OnnxError::Architecture`] without convolutions, or with more poolings than the image has pixels for.
pub fn vgg_like(config: &VggConfig, seed: u64) -> Result<Model> {
    let [mut channels, mut h, mut w] = config.input;
    let fail = |reason: String| OnnxError::Architecture { reason };
    if !config
        .stages
        .iter()
        .any(|stage| matches!(stage, VggStage::Conv(_)))
    {
        return Err(fail("the list of widths has no convolution".to_string()));
    }
    let mut builder = Builder::new("vgg-like", seed);
    builder.input("input", &config.input);
    let mut value = "input".to_string();
    let (mut convs, mut pools) = (0, 0);
    for stage in &config.stages {
        match *stage {
            VggStage::Conv(width) => {
                convs += 1;
                let shape = ConvShape::new(channels, width, 3, 1);
                value = builder.conv_bn_relu(&format!("conv{convs}"), &value, shape);
                channels = width;
            }
            VggStage::Pool => {
                pools += 1;
                (h, w) = (h / 2, w / 2);
                if h == 0 || w == 0 {
                    return Err(fail(format!(
                        "pooling {pools} has no pixels left of {}x{}",
                        config.input[1], config.input[2]
                    )));
                }
                let name = format!("pool{pools}");
                value = builder.max_pool(&name, &value);
            }
        }
    }
    value = builder.node("Flatten", "flatten", &[&value], "flatten/out", &[]);
    let mut features = channels * h * w;
    for (index, &width) in config.hidden.iter().enumerate() {
        let name = format!("fc{}", index + 1);
        value = builder.linear(&name, &value, features, width, &format!("{name}/out"));
        value = builder.relu(&name, &value);
        features = width;
    }
    builder.linear("classifier", &value, features, config.classes, "logits");
    builder.output("logits", &[config.classes]);
    Ok(builder.finish())
}
