//! Convolutions over three axes: a sum of convolutions over planes, one for each position of the
//! window along the first axis (depth).
//!
//! y[d] = Σ_k W_k * x[d · stride + k · dilation - pad]; a transposed one gives
//! y[d · stride + k · dilation - pad] += W_k ∗ᵀ x[d].

use burn::tensor::Tensor;
use secateur_cpu::conv::Activation;
use secateur_onnx::graph::Node;

use super::GeneralConv;
use crate::error::Result;
use crate::ops::arithmetic::{self, Arithmetic};
use crate::ops::axis_map::AxisMap;
use crate::ops::call::{Call, Planner, Rule};
use crate::ops::window::Window;
use crate::value::{Dense, Value};

/// A convolution over volumes, or a transposed one.
#[derive(Debug)]
pub(super) struct VolumeConv {
    /// Along the depth, as over a sequence.
    depth: GeneralConv,
    plane: GeneralConv,
}

impl VolumeConv {
    /// Reads a node whose window has extents `kernel_size`.
    pub fn new(planner: &Planner<'_>, node: &Node, kernel_size: &[usize]) -> Result<Self> {
        let part = |axes: std::ops::Range<usize>| {
            let own = Window::of_axes(node, kernel_size, axes.clone());
            GeneralConv::new(planner, &own, &kernel_size[axes])
        };
        Ok(Self {
            depth: part(0..1)?,
            plane: part(1..3)?,
        })
    }

    /// Depth of the output, and what lies in front of the input (of a transposed one: output).
    fn depth(&self, call: &Call<'_>, size: usize) -> Result<(usize, usize)> {
        let window = &self.depth.window;
        if let Some(transposed) = &self.depth.transposed {
            let (out, pads) = self.depth.adjoint(call, transposed, [1, size])?;
            return Ok((out[1], pads[1]));
        }
        let pads = window.pads([1, size]);
        let padded = size + pads[1] + pads[3];
        let reach = padded.checked_sub(window.extent(1)).ok_or_else(|| {
            let expected = format!("a depth of at least {}", window.extent(1));
            call.misfit(expected, padded.to_string())
        })?;
        Ok((reach / window.stride[1] + 1, pads[1]))
    }

    /// Where position `k` of the window reads (writes, if transposed) for every plane of the output.
    fn planes(&self, k: usize, size: usize, out: usize, front: usize) -> Vec<Option<usize>> {
        let (stride, by) = (
            self.depth.window.stride[1],
            k * self.depth.window.dilation[1],
        );
        let inside = |at: usize| Some(at).filter(|&at| at < size);
        let place = |j: usize| match self.depth.transposed {
            None => inside((j * stride + by).checked_sub(front)?),
            Some(_) => {
                let reach = (j + front).checked_sub(by)?;
                inside(reach / stride).filter(|_| reach % stride == 0)
            }
        };
        (0..out).map(place).collect()
    }
}

impl Rule for VolumeConv {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let pass = call.pass;
        let (x, weight) = (call.dense(0)?, call.dense(1)?);
        let (&[n, c, d, h, w], &[first, second, depth, kh, kw]) = (x.dims(), weight.dims()) else {
            let got = format!("{:?}, {:?}", x.dims(), weight.dims());
            return Err(call.misfit("volumes and weights of five axes", got));
        };
        let x = x.permute(&[0, 2, 3, 4, 1]);
        let (out, front) = self.depth(call, d)?;
        let mut sum: Option<Dense> = None;
        for k in 0..depth {
            let planes = self.planes(k, d, out, front);
            if planes.iter().all(Option::is_none) {
                continue;
            }
            let map = AxisMap::select(d, &planes, 0.0);
            let own = weight.narrow(2, k..k + 1).reshape(&[first, second, kh, kw]);
            let convolve = |x: &Dense| -> Result<Dense> {
                let count = x.dims()[1];
                let images = x.reshape(&[n * count, h, w, c]);
                let y = self.plane.run(call, &images, &own, None, false)?;
                let [oh, ow, co] = [y.dims()[1], y.dims()[2], y.dims()[3]];
                Ok(y.reshape(&[n, count, oh, ow, co]))
            };
            let part = if self.depth.transposed.is_none() {
                convolve(&map.on_device(pass, &x, 1))?
            } else {
                map.on_device(pass, &convolve(&x)?, 1)
            };
            sum = Some(match sum {
                Some(sum) => {
                    arithmetic::on_device(pass, Arithmetic::Add, &sum, &part).unwrap_or(part)
                }
                None => part,
            });
        }
        let mut y =
            sum.ok_or_else(|| call.misfit("a window that meets the input", format!("depth {d}")))?;
        if let Some(bias) = call.optional(2) {
            let bias = bias.dense(&pass.device);
            y = arithmetic::on_device(pass, Arithmetic::Add, &y, &bias)
                .filter(|sum| sum.dims() == y.dims())
                .ok_or_else(|| {
                    call.misfit("a bias for every channel", format!("{:?}", bias.dims()))
                })?;
        }
        let scored: Tensor<5> = pass.scored(call.node, Activation::None, y.tensor());
        Ok(Value::Dense(
            Dense::from_tensor(scored).permute(&[0, 4, 1, 2, 3]),
        ))
    }
}
