//! Scores of layers that stock operations compute.
//!
//! Fused routines see output and gradient of a layer where they compute them. Stock operations
//! see neither, so a tensor of zeros is added to the output: its gradient is that of the
//! output, and the tape keeps it as that of any leaf. This works on every device.

use burn::tensor::{Gradients, Tensor};
use secateur_cpu::conv::Activation;

use crate::score::{Collector, LayerPass};

/// A layer whose output is scored once its gradient is known.
#[derive(Debug)]
pub(crate) struct Watched {
    node: String,
    n: usize,
    channels: usize,
    /// Its gradient counts where this passes it on.
    activation: Activation,
    output: Tensor<1>,
    zeros: Tensor<1>,
}

impl Watched {
    /// Of `output`, `[n, .., channels]`; returns it so that its gradient will be known.
    pub fn new<const D: usize>(
        node: &str,
        activation: Activation,
        output: Tensor<D>,
    ) -> (Self, Tensor<D>) {
        let dims = output.dims();
        let len: usize = dims.iter().product();
        let zeros = Tensor::<1>::zeros([len], &output.device()).require_grad();
        let watched = Self {
            node: node.to_string(),
            n: dims[0],
            channels: dims[D - 1],
            activation,
            output: output.clone().inner().reshape([len]),
            zeros: zeros.clone(),
        };
        (watched, output + zeros.reshape(dims))
    }

    /// Adds the layer's scores.
    pub fn gather(&self, gradients: &Gradients, collector: &Collector) {
        let Some(gradient) = self.zeros.grad(gradients) else {
            return;
        };
        let values = |tensor: Tensor<1>| -> Vec<f32> { tensor.into_data().iter::<f32>().collect() };
        let (output, mut gradient) = (values(self.output.clone()), values(gradient));
        if self.activation != Activation::None {
            for (dy, &y) in gradient.iter_mut().zip(&output) {
                *dy *= self.activation.derivative(y);
            }
        }
        let layer = LayerPass {
            n: self.n,
            channels: self.channels,
            output: &output,
            gradient: &gradient,
        };
        collector.add_layer(&self.node, &layer);
    }
}
