//! Deformable convolution: the window reads between pixels, at places that offsets move.
//!
//! y[n, o, p] = Σ_{c, k} W[o, c, k] · m[n, g(c), k, p] · x[n, c, p · stride - pad + k · dilation +
//! offset[n, g(c), k, p]] (Zhu et al., arXiv:1811.11168), with x between pixels by bilinear
//! interpolation and 0 outside.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__DeformConv.html> (opset 19, 22).

use burn::tensor::{Tensor, TensorData};
use secateur_cpu::conv::{Activation, ConvShape};
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule};
use super::linear::product;
use super::places::{Interpolation, Outside, Taps};
use super::rows::Rows;
use super::window::Window;
use crate::error::Result;
use crate::value::{Dense, Value};

/// Slots of the inputs behind the weights.
const OFFSETS: usize = 2;
const BIAS: usize = 3;
const MASK: usize = 4;

#[derive(Debug)]
struct DeformConv {
    groups: usize,
    /// Runs of channels with offsets of their own.
    runs: usize,
    window: Window,
}

impl Rule for DeformConv {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.value(0)?.image(call.node, &call.pass.device)?;
        let (x, weight) = (Dense::from_tensor(x), call.dense(1)?);
        let shape = self.shape(call, &x, &weight)?;
        let columns = self.columns(call, &shape, &x)?;
        let y = self.multiply(call, &shape, &columns, &weight)?;
        let y: Tensor<4> = y
            .reshape(&[shape.n, shape.out_h(), shape.out_w(), shape.c_out])
            .tensor();
        Ok(Value::Image(call.pass.scored(
            call.node,
            Activation::None,
            y,
        )))
    }
}

impl DeformConv {
    /// Sizes of the convolution whose window is moved.
    fn shape(&self, call: &Call<'_>, x: &Dense, weight: &Dense) -> Result<ConvShape> {
        let [n, h, w, c] = [x.dims()[0], x.dims()[1], x.dims()[2], x.dims()[3]];
        let (window, first) = (&self.window, weight.dims().first().copied().unwrap_or(0));
        let (image, pads) = ([n, h, w], window.pads([h, w]));
        let shape = window.conv_shape(call, image, [c, first], pads, self.groups, weight)?;
        let [kh, kw] = window.kernel_size;
        if weight.dims() != [first, c / self.groups, kh, kw] || c % self.runs != 0 {
            let expected = format!("weights [.., {}, {kh}, {kw}]", c / self.groups);
            return Err(call.misfit(
                expected,
                format!("{:?} for an input of {:?}", weight.dims(), x.dims()),
            ));
        }
        Ok(shape)
    }

    /// What the window reads: `[n · pixels, positions of the window, channels]`.
    fn columns(&self, call: &Call<'_>, shape: &ConvShape, x: &Dense) -> Result<Dense> {
        let (n, oh, ow, runs) = (shape.n, shape.out_h(), shape.out_w(), self.runs);
        let taps = shape.kernel_size.iter().product::<usize>();
        let own = |slot: usize, of_each: usize| -> Result<Dense> {
            let value = call.dense(slot)?;
            let dims = [n, runs * taps * of_each, oh, ow];
            if value.dims() != dims {
                return Err(call.misfit(
                    format!("input {slot} of {dims:?}"),
                    format!("{:?}", value.dims()),
                ));
            }
            let parts = value.reshape(&[n, runs, taps, of_each, oh, ow]);
            Ok(parts.permute(&[0, 4, 5, 2, 1, 3]))
        };
        let offsets = own(OFFSETS, 2)?;
        let places = |axis: usize| {
            let base = self.base(call, shape, axis);
            let moved = offsets.narrow(5, axis..axis + 1).add(&base);
            moved.reshape(&[n * oh * ow * taps * runs, 1])
        };
        let along = |axis: usize, size: usize| {
            Taps::along(
                call.pass,
                &places(axis),
                size,
                Interpolation::Linear,
                Outside::Zeros,
            )
        };
        let mut read = along(0, shape.h).with(&along(1, shape.w), shape.w);
        if call.optional(MASK).is_some() {
            let mask = own(MASK, 1)?.reshape(&[n * oh * ow * taps * runs, 1]);
            read.weights = read.weights.map(|weights| weights.mul(&mask));
        }
        // Every run of a pixel's channels is a row.
        let of_sample = read.at.len() / n;
        for (index, at) in read.at.iter_mut().enumerate() {
            let run = index / read.taps % runs;
            let first = index / of_sample * shape.h * shape.w;
            *at = at.map(|at| (first + at) * runs + run);
        }
        let rows = Rows {
            at: read.at,
            taps: read.taps,
            parts: n,
        };
        let width = shape.c_in / runs;
        let x = x.reshape(&[n * shape.h * shape.w * runs, width]);
        let columns = rows.read(call.pass, &x, read.weights.as_ref());
        Ok(columns.reshape(&[n * oh * ow, taps, shape.c_in]))
    }

    /// Where the window would read along `axis` without offsets: `[1, oh, ow, taps, 1, 1]`.
    fn base(&self, call: &Call<'_>, shape: &ConvShape, axis: usize) -> Dense {
        let [kh, kw] = shape.kernel_size;
        let (oh, ow) = (shape.out_h(), shape.out_w());
        let mut base = Vec::with_capacity(oh * ow * kh * kw);
        for pixel in 0..oh * ow {
            for tap in 0..kh * kw {
                let (at, k) = [(pixel / ow, tap / kw), (pixel % ow, tap % kw)][axis];
                let at = at * shape.stride[axis] + k * shape.dilation[axis];
                base.push(at as f32 - shape.pads[axis] as f32);
            }
        }
        let data = TensorData::new(base, [oh * ow * kh * kw]);
        let base = Dense::from_tensor(Tensor::<1>::from_data(data, &call.pass.device));
        base.reshape(&[1, oh, ow, kh * kw, 1, 1])
    }

    /// Weights times what the window reads, and the bias: `[n · pixels, c_out]`.
    fn multiply(
        &self,
        call: &Call<'_>,
        shape: &ConvShape,
        columns: &Dense,
        weight: &Dense,
    ) -> Result<Dense> {
        let (groups, c_out) = (self.groups, shape.c_out);
        let (rows, taps) = (columns.dims()[0], columns.dims()[1]);
        let bias = call
            .optional(BIAS)
            .map(|bias| bias.dense(&call.pass.device));
        if let Some(bias) = bias.as_ref().filter(|bias| bias.dims() != [c_out]) {
            return Err(call.misfit(format!("a bias of {c_out}"), format!("{:?}", bias.dims())));
        }
        let per_group = shape.c_in / groups;
        let weight = weight
            .reshape(&[c_out, per_group, taps])
            .permute(&[0, 2, 1]);
        let len = taps * per_group;
        if groups == 1 {
            let flat = weight.reshape(&[c_out * len]).tensor();
            let x = columns.reshape(&[rows, len]).tensor();
            let bias = bias.map(|bias| bias.tensor());
            return Ok(Dense::from_tensor(product(call.pass, x, c_out, flat, bias)));
        }
        let x = columns.reshape(&[rows, taps, groups, per_group]);
        let x = x.permute(&[2, 0, 1, 3]).reshape(&[groups, rows, len]);
        let weight = weight
            .reshape(&[groups, c_out / groups, len])
            .permute(&[0, 2, 1]);
        let y = x
            .matmul(&weight)
            .permute(&[1, 0, 2])
            .reshape(&[rows, c_out]);
        Ok(match bias {
            Some(bias) => y.add(&bias.reshape(&[1, c_out])),
            None => y,
        })
    }
}

/// Reads a `DeformConv` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for windows over other numbers of axes than 2, and if the size
/// of the window is not known.
pub fn deform_conv(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let kernel_size = Window::size_of_layer(planner, node)?;
    if kernel_size.len() != 2 {
        return Err(planner.refuse(node, "has no window over two axes"));
    }
    let count = |name: &str| usize::try_from(node.attr_i(name, 1)).unwrap_or(0);
    let (groups, runs) = (count("group"), count("offset_group"));
    if groups == 0 || runs == 0 {
        return Err(planner.refuse(node, "has no positive number of groups"));
    }
    Ok(Box::new(DeformConv {
        groups,
        runs,
        window: Window::new(planner, node, &kernel_size)?,
    }))
}
