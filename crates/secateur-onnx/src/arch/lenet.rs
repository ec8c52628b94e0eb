//! LeNet-5 as the pruning literature has it.
//!
//! Source: LeCun et al., Proceedings of the IEEE 86 (1998) 2278-2324, doi 10.1109/5.726791, in Caffe's
//! form (`examples/mnist/lenet.prototxt`): max pooling, ReLU behind the hidden layer alone. Departure:
//! weights are He normal.

use super::builder::{Builder, check};
use crate::error::{OnnxError, Result};
use crate::model::Model;

/// Description of a LeNet-5.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeNetConfig {
    /// Input as `[c, h, w]`.
    pub input: [usize; 3],
    /// Kernels of the two convolutions.
    pub kernels: [usize; 2],
    /// Hidden features.
    pub hidden: usize,
    /// Number of classes.
    pub classes: usize,
}

impl LeNetConfig {
    /// 20 and 50 kernels and 500 hidden features, for images of shape `[c, h, w]`.
    pub fn new(input: [usize; 3], classes: usize) -> Self {
        Self {
            input,
            kernels: [20, 50],
            hidden: 500,
            classes,
        }
    }
}

/// Side of the kernels; images are not padded.
const KERNEL: usize = 5;
/// Pixels that a convolution takes from a side.
const LOST: usize = KERNEL - 1;

/// Builds the network with random weights.
///
/// # Errors
/// [`OnnxError::Architecture`] if the image is too small, or a width is 0.
pub fn lenet5(config: &LeNetConfig, seed: u64) -> Result<Model> {
    check(config.input, config.classes)?;
    let fail = |reason: String| OnnxError::Architecture { reason };
    let widths = [config.kernels[0], config.kernels[1], config.hidden];
    if !widths.iter().all(|width| (1..=65_536).contains(width)) {
        return Err(fail(format!(
            "expected widths of 1 to 65536, got {widths:?}"
        )));
    }
    let [mut channels, mut h, mut w] = config.input;
    let mut builder = Builder::new("lenet-5", seed);
    builder.input("input", &config.input);
    let mut value = "input".to_string();
    for (index, &width) in config.kernels.iter().enumerate() {
        if h < LOST + 2 || w < LOST + 2 {
            let [_, height, width] = config.input;
            return Err(fail(format!(
                "images of {height}x{width} are too small for it"
            )));
        }
        let (conv, pool) = (format!("conv{}", index + 1), format!("pool{}", index + 1));
        value = builder.conv_bias(&conv, &value, [width, channels, KERNEL, KERNEL]);
        value = builder.max_pool(&pool, &value);
        (h, w, channels) = ((h - LOST) / 2, (w - LOST) / 2, width);
    }
    value = builder.node("Flatten", "flatten", &[&value], "flatten/out", &[]);
    value = builder.linear("fc1", &value, channels * h * w, config.hidden, "fc1/out");
    value = builder.relu("fc1", &value);
    builder.linear(
        "classifier",
        &value,
        config.hidden,
        config.classes,
        "logits",
    );
    builder.output("logits", &[config.classes]);
    Ok(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;

    #[test]
    fn it_has_the_published_parameters() {
        let model = lenet5(&LeNetConfig::new([1, 28, 28], 10), 0).unwrap();
        let graph = Graph::from_model(&model).unwrap();
        let stored: usize = graph.initializers.values().map(|tensor| tensor.len()).sum();
        // 20 (25 + 1), 50 (500 + 1), 500 (800 + 1), 10 (500 + 1).
        assert_eq!(stored, 520 + 25_050 + 400_500 + 5_010);
        let small = lenet5(&LeNetConfig::new([1, 12, 12], 10), 0);
        assert!(small.unwrap_err().to_string().contains("too small"));
    }
}
