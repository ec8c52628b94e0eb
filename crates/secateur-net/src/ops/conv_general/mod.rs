//! Convolutions that are not fused: over sequences and volumes, with computed weights, transposed.
//!
//! A transposed convolution is the gradient of a convolution by its input (Dumoulin and
//! Visin, arXiv:1603.07285, section 4), and its gradients are that convolution itself; so
//! both run through the same routines with the roles of x and y exchanged.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Conv.html> (opset 1, 11, 22),
//! <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html> (1, 11, 22).

mod call;
mod volume;

use std::sync::{Arc, Mutex};

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};
use secateur_cpu::conv::{Activation, ConvShape};
use secateur_onnx::graph::Node;

use self::call::GeneralCall;
use super::call::{Call, Planner, Rule};
use super::operator::{to_channels_first, to_channels_last};
use super::window::{Padding, Window};
use crate::error::Result;
use crate::extension::{FusedInputs, FusedOp};
use crate::value::{Dense, Value};

/// A convolution, or a transposed one.
#[derive(Debug)]
pub struct GeneralConv {
    groups: usize,
    transposed: Option<Transposed>,
    window: Window,
}

/// What only transposed convolutions have.
#[derive(Debug)]
struct Transposed {
    /// Rows and columns behind the output that no window reaches.
    output_padding: [usize; 2],
    /// Stated size of the output.
    output_shape: Option<[usize; 2]>,
}

/// Reads a `Conv` or `ConvTranspose` node.
///
/// # Errors
/// As [`Window::new`], and if the shape of the weights is not known.
pub fn convolution(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let kernel_size = Window::size_of_layer(planner, node)?;
    if kernel_size.len() == 3 {
        return Ok(Box::new(volume::VolumeConv::new(
            planner,
            node,
            &kernel_size,
        )?));
    }
    Ok(Box::new(GeneralConv::new(planner, node, &kernel_size)?))
}

impl GeneralConv {
    /// Reads a node whose window has extents `kernel_size`, over one or two axes.
    fn new(planner: &Planner<'_>, node: &Node, kernel_size: &[usize]) -> Result<Self> {
        let window = Window::new(planner, node, kernel_size)?;
        let lift = |name: &str| -> Result<Option<[usize; 2]>> {
            let Some(values) = node.attr_ints(name).filter(|values| !values.is_empty()) else {
                return Ok(None);
            };
            let sizes: Option<Vec<usize>> =
                values.iter().map(|&v| usize::try_from(v).ok()).collect();
            match sizes.as_deref() {
                Some(&[columns]) if window.rank == 1 => {
                    Ok(Some([usize::from(name == "output_shape"), columns]))
                }
                Some(&[rows, columns]) if window.rank == 2 => Ok(Some([rows, columns])),
                _ => Err(planner.refuse(node, format!("has {name} {values:?}"))),
            }
        };
        let transposed = match node.op_type.as_str() {
            "ConvTranspose" => Some(Transposed {
                output_padding: lift("output_padding")?.unwrap_or_default(),
                output_shape: lift("output_shape")?,
            }),
            _ => None,
        };
        let groups = usize::try_from(node.attr_i("group", 1)).unwrap_or(0);
        if groups == 0 {
            return Err(planner.refuse(node, "has no positive number of groups"));
        }
        Ok(Self {
            groups,
            transposed,
            window,
        })
    }

    /// The convolution whose gradient a transposed convolution of images `[n, h, w, _]` is:
    /// output size and padding from the input size.
    fn adjoint(
        &self,
        call: &Call<'_>,
        transposed: &Transposed,
        size: [usize; 2],
    ) -> Result<([usize; 2], [usize; 4])> {
        let window = &self.window;
        let (mut out, mut pads) = ([0; 2], [0; 4]);
        for axis in 0..2 {
            let (stride, more) = (window.stride[axis], transposed.output_padding[axis]);
            let full = (size[axis] - 1) * stride + window.extent(axis) + more;
            let stated = match (transposed.output_shape, window.padding) {
                (Some(shape), _) => Some(shape[axis]),
                (None, Padding::Same { .. }) => Some(size[axis] * stride),
                (None, Padding::Explicit(_)) => None,
            };
            if let Some(stated) = stated {
                // A larger output would have rows at its end that no window reaches.
                let total = full.saturating_sub(stated);
                let small = total / 2;
                (pads[axis], pads[axis + 2]) = match window.padding {
                    Padding::Same { upper: true } => (small, total - small),
                    _ => (total - small, small),
                };
                out[axis] = stated;
            } else if let Padding::Explicit(stated) = window.padding {
                (pads[axis], pads[axis + 2]) = (stated[axis], stated[axis + 2]);
                out[axis] = full
                    .checked_sub(pads[axis] + pads[axis + 2])
                    .filter(|&out| out > 0)
                    .ok_or_else(|| {
                        call.misfit(format!("padding below {full}"), format!("{stated:?}"))
                    })?;
            }
        }
        Ok((out, pads))
    }
}

impl Rule for GeneralConv {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let pass = call.pass;
        let x = self.window.lift(pass, call.node, call.value(0)?)?;
        let bias = call.optional(2).map(|bias| bias.dense(&pass.device));
        let y = self.run(call, &x, &call.dense(1)?, bias, true)?;
        Ok(self.window.lower(pass, y))
    }
}

impl GeneralConv {
    /// Of images `[n, h, w, c]`; its kernels are scored if `is_layer`.
    fn run(
        &self,
        call: &Call<'_>,
        x: &Dense,
        weight: &Dense,
        bias: Option<Dense>,
        is_layer: bool,
    ) -> Result<Dense> {
        let pass = call.pass;
        let bias = bias.map(|bias| bias.untyped());
        let shape = self.conv_shape(call, x, weight)?;
        if pass.engine.is_fused() {
            let call = Arc::new(GeneralCall {
                shape,
                transposed: self.transposed.is_some(),
                has_bias: bias.is_some(),
                collector: pass.collector.clone().filter(|_| is_layer),
                node: call.node.to_string(),
                output: Mutex::default(),
            });
            let dims = call.output_shape();
            let y = FusedInputs::new(x.untyped())
                .with(1, Some(weight.untyped()))
                .with(2, bias)
                .run(call);
            return Ok(Dense::from_untyped(y, &dims));
        }
        let y = self.stock(&shape, x, weight, bias);
        Ok(Dense::from_tensor(if is_layer {
            pass.scored(call.node, Activation::None, y)
        } else {
            y
        }))
    }

    /// The convolution that is computed, or of which the transpose is.
    fn conv_shape(&self, call: &Call<'_>, x: &Dense, weight: &Dense) -> Result<ConvShape> {
        let window = &self.window;
        let [n, h, w, c] = [x.dims()[0], x.dims()[1], x.dims()[2], x.dims()[3]];
        let &[c0, c1, ..] = weight.dims() else {
            return Err(call.misfit("weights of rank 3 or 4", format!("{:?}", weight.dims())));
        };
        let (image, pads, channels) = match &self.transposed {
            None => ([h, w], window.pads([h, w]), [c, c0]),
            Some(transposed) => {
                let (out, pads) = self.adjoint(call, transposed, [h, w])?;
                (out, pads, [c1 * self.groups, c])
            }
        };
        let image = [n, image[0], image[1]];
        let shape = window.conv_shape(call, image, channels, pads, self.groups, weight)?;
        // The weights must fit, and of a transposed convolution also the input: it is the output
        // of the convolution that is transposed.
        let per_group = channels[0] / self.groups;
        let fits = [c0, c1] == [channels[1], per_group]
            && (self.transposed.is_none() || [shape.out_h(), shape.out_w()] == [h, w]);
        if !fits {
            return Err(call.misfit(
                format!("weights [{}, {per_group}, ..]", channels[1]),
                format!("{:?} for an input of {:?}", weight.dims(), x.dims()),
            ));
        }
        Ok(shape)
    }

    fn stock(
        &self,
        shape: &ConvShape,
        x: &Dense,
        weight: &Dense,
        bias: Option<Tensor<1>>,
    ) -> Tensor<4> {
        let x: Tensor<4> = to_channels_first(x.tensor());
        let [kh, kw] = shape.kernel_size;
        let dims = weight.dims();
        let weight: Tensor<4> = weight.reshape(&[dims[0], dims[1], kh, kw]).tensor();
        let [top, left, bottom, right] = shape.pads;
        let y = if self.transposed.is_none() {
            let x = x.pad((left, right, top, bottom), 0.0);
            let options = ConvOptions::new(shape.stride, [0, 0], shape.dilation, shape.groups);
            module::conv2d(x, weight, bias, options)
        } else {
            // The output with its padding, which is then cut off.
            let options = ConvTransposeOptions::new(
                shape.stride,
                [0, 0],
                [0, 0],
                shape.dilation,
                shape.groups,
            );
            let full = module::conv_transpose2d(x, weight, None, options);
            let [_, _, h, w] = full.dims();
            let (rows, columns) = (top + shape.h, left + shape.w);
            let full = full.pad(
                (0, columns.saturating_sub(w), 0, rows.saturating_sub(h)),
                0.0,
            );
            let y = full.slice([0..shape.n, 0..shape.c_in, top..rows, left..columns]);
            match bias {
                Some(bias) => y + bias.reshape([1, shape.c_in, 1, 1]),
                None => y,
            }
        };
        to_channels_last(y)
    }
}
