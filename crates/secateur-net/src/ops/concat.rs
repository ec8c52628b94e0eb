//! Values side by side along an axis.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Concat.html> (opset 4 to 13).

use std::sync::Arc;

use burn::tensor::Tensor;
use rayon::prelude::*;
use secateur_cpu::memory::Buffer;
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule, host};
use crate::error::Result;
use crate::extension::{CHUNK, FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::value::{Dense, Host, HostData, Value};

#[derive(Debug)]
struct Concat {
    axis: i64,
}

impl Rule for Concat {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let parts: Vec<&Value> = (0..call.len())
            .map(|slot| call.value(slot))
            .collect::<Result<_>>()?;
        let first = parts[0].onnx_dims();
        let axis = call.axis(self.axis, first.len())?;
        for part in &parts {
            let dims = part.onnx_dims();
            let fits = dims.len() == first.len()
                && (0..dims.len()).all(|i| i == axis || dims[i] == first[i]);
            if !fits {
                return Err(call.misfit(
                    format!("parts that fit {first:?} along axis {axis}"),
                    format!("{dims:?}"),
                ));
            }
        }
        if let Some(constants) = call.hosts() {
            return Ok(host(concat_hosts(&constants, axis)));
        }
        // Parts without elements add nothing, and Burn takes no empty tensors.
        let parts: Vec<&Value> = parts
            .into_iter()
            .filter(|part| part.onnx_dims()[axis] > 0)
            .collect();
        if parts.iter().any(|part| matches!(part, Value::Image(_))) {
            let images = parts
                .iter()
                .map(|part| part.image(call.node, &call.pass.device))
                .collect::<Result<Vec<_>>>()?;
            let lies = [0, 3, 1, 2][axis];
            if lies == 3 && call.pass.engine.is_fused() {
                return Ok(Value::Image(channels_of(images)));
            }
            let images = images.into_iter().map(Dense::from_tensor).collect();
            return Ok(Value::Image(Dense::concat(images, lies).tensor()));
        }
        let parts = parts.iter().map(|part| part.dense(&call.pass.device));
        Ok(Value::Dense(Dense::concat(parts.collect(), axis)))
    }
}

/// Images beside each other along their last axis, the channels: as many at a time as a fused
/// operation reads.
fn channels_of(mut images: Vec<Tensor<4>>) -> Tensor<4> {
    while images.len() > 1 {
        let few = images.chunks(MAX_INPUTS).map(|few| match few {
            [image] => image.clone(),
            several => channels_of_few(several),
        });
        images = few.collect();
    }
    images.remove(0)
}

fn channels_of_few(images: &[Tensor<4>]) -> Tensor<4> {
    let [n, h, w, _] = images[0].dims();
    let widths: Vec<usize> = images.iter().map(|image| image.dims()[3]).collect();
    let dims = [n, h, w, widths.iter().sum()];
    let mut inputs = FusedInputs::new(images[0].clone());
    for (slot, image) in images.iter().enumerate().skip(1) {
        inputs = inputs.with(slot, Some(image.clone()));
    }
    let call = Arc::new(ChannelsCall { widths, dims });
    Dense::from_untyped(inputs.run(call), &dims).tensor()
}

/// Channels of several images beside each other, pixel by pixel.
#[derive(Debug)]
struct ChannelsCall {
    /// Channels of each image.
    widths: Vec<usize>,
    /// Of the output.
    dims: [usize; 4],
}

impl ChannelsCall {
    /// Each image's first channel in the output, and its channels.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.widths.iter().scan(0, |first, &width| {
            let place = (*first, width);
            *first += width;
            Some(place)
        })
    }

    /// Pixels that a thread takes at once.
    fn pixels(&self) -> usize {
        (CHUNK / self.dims[3]).max(1)
    }
}

impl FusedOp for ChannelsCall {
    fn output_shape(&self) -> Vec<usize> {
        self.dims.to_vec()
    }

    fn forward(&self, inputs: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let (c, pixels) = (self.dims[3], self.pixels());
        let mut y = Buffer::get(self.dims.iter().product());
        y.par_chunks_mut(pixels * c).enumerate().for_each(|(i, y)| {
            for (x, (first, width)) in inputs.iter().zip(self.places()) {
                let x = x[i * pixels * width..].chunks_exact(width);
                for (y, x) in y.chunks_exact_mut(c).zip(x) {
                    y[first..first + width].copy_from_slice(x);
                }
            }
        });
        y.into()
    }

    fn backward(
        &self,
        _: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let (c, pixels) = (self.dims[3], self.pixels());
        let mut gradients = InputGradients::default();
        for (slot, (first, width)) in self.places().enumerate().filter(|(i, _)| wanted[*i]) {
            let mut dx = Buffer::get(dy.len() / c * width);
            let parts = dx.par_chunks_mut(pixels * width);
            parts.zip(dy.par_chunks(pixels * c)).for_each(|(dx, dy)| {
                for (dx, dy) in dx.chunks_exact_mut(width).zip(dy.chunks_exact(c)) {
                    dx.copy_from_slice(&dy[first..first + width]);
                }
            });
            gradients[slot] = Some(dx);
        }
        gradients
    }
}

fn concat_hosts(parts: &[&Host], axis: usize) -> Host {
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|part| part.shape[axis]).sum();
    let outer: usize = shape[..axis].iter().product();
    let is = |f: fn(&HostData) -> bool| parts.iter().all(|part| f(&part.data));
    // Blocks of every part, outer index by outer index.
    fn blocks<T: Copy>(parts: &[Vec<T>], outer: usize) -> Vec<T> {
        let each = |o: usize| {
            parts.iter().flat_map(move |part| {
                let len = part.len() / outer.max(1);
                part[o * len..(o + 1) * len].iter().copied()
            })
        };
        (0..outer).flat_map(each).collect()
    }
    let data = if is(|d| matches!(d, HostData::Int(_))) {
        HostData::Int(blocks(
            &parts.iter().map(|p| p.ints()).collect::<Vec<_>>(),
            outer,
        ))
    } else if is(|d| matches!(d, HostData::Bool(_))) {
        HostData::Bool(blocks(
            &parts.iter().map(|p| p.bools()).collect::<Vec<_>>(),
            outer,
        ))
    } else {
        HostData::Float(blocks(
            &parts.iter().map(|p| p.floats()).collect::<Vec<_>>(),
            outer,
        ))
    };
    Host { shape, data }
}

/// Reads a `Concat` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] without inputs.
pub fn concat(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    if node.inputs.is_empty() {
        return Err(planner.refuse(node, "has no inputs"));
    }
    Ok(Box::new(Concat {
        axis: node.attr_i("axis", 1),
    }))
}
