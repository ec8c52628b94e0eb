//! Pooling over windows: maximum and average.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__MaxPool.html> (opset 1 to 22),
//! <https://onnx.ai/onnx/operators/onnx__AveragePool.html> (1 to 22; dilation from 19).

use std::sync::{Arc, Mutex};

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};
use secateur_cpu::memory::Buffer;
use secateur_cpu::pool::{self, PoolShape};
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule};
use super::operator::{to_channels_first, to_channels_last};
use super::window::{Padding, Window};
use crate::error::{NetError, Result};
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::pass::Pass;
use crate::value::{Dense, Value};

/// 2x2 max pooling with stride 2 on `[n, c, h, w]`.
pub(super) fn max_pool_2x2(x: Tensor<4>) -> Tensor<4> {
    module::max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2]))
}

/// Which pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Largest value of the window.
    Max,
    /// Mean of the window.
    Average {
        /// Whether padded positions count.
        count_include_pad: bool,
    },
}

/// Windowed pooling.
#[derive(Debug)]
pub struct Pool {
    kind: Kind,
    window: Window,
    ceil_mode: bool,
}

impl Pool {
    /// Reads a `MaxPool` or `AveragePool` node.
    ///
    /// # Errors
    /// [`crate::NetError::Unsupported`] for windows that training lacks.
    pub fn new(planner: &Planner<'_>, node: &Node) -> Result<Self> {
        let kernel_size = Window::stated_size(planner, node)?;
        Ok(Self {
            kind: match node.op_type.as_str() {
                "MaxPool" => Kind::Max,
                _ => Kind::Average {
                    count_include_pad: node.attr_i("count_include_pad", 0) != 0,
                },
            },
            window: Window::new(planner, node, &kernel_size)?,
            ceil_mode: node.attr_i("ceil_mode", 0) != 0,
        })
    }

    /// True for 2x2 max pooling with stride 2 and no padding, which convolutions take in.
    pub fn is_fusable(&self) -> bool {
        self.kind == Kind::Max
            && !self.ceil_mode
            && self.window
                == Window {
                    rank: 2,
                    kernel_size: [2, 2],
                    stride: [2, 2],
                    dilation: [1, 1],
                    padding: Padding::Explicit([0; 4]),
                }
    }

    fn forward_fused(&self, shape: PoolShape, x: &Dense) -> Dense {
        let dims = [shape.n, shape.out_h(), shape.out_w(), shape.c];
        let inputs = FusedInputs::new(x.untyped());
        let y = match self.kind {
            Kind::Max => inputs.run(Arc::new(MaxCall {
                shape,
                indices: Mutex::default(),
            })),
            Kind::Average { count_include_pad } => inputs.run(Arc::new(AverageCall {
                shape,
                count_include_pad,
            })),
        };
        Dense::from_untyped(y, &dims)
    }

    /// Padded by hand, so that the sizes of ONNX come out whatever Burn's conventions are.
    fn forward_stock(&self, shape: PoolShape, pass: &Pass<'_>, x: &Dense) -> Dense {
        let x: Tensor<4> = to_channels_first(x.tensor());
        let [top, left, bottom, right] = shape.pads;
        let reach =
            |out: usize, axis: usize| (out - 1) * shape.stride[axis] + self.window.extent(axis);
        let behind = [
            reach(shape.out_h(), 0).saturating_sub(shape.h + top),
            reach(shape.out_w(), 1).saturating_sub(shape.w + left),
        ];
        let pad = |x: Tensor<4>, value: f32| x.pad((left, behind[1], top, behind[0]), value);
        let y = match self.kind {
            Kind::Max => module::max_pool2d(
                pad(x, f32::MIN),
                MaxPoolOptions::new(shape.kernel_size)
                    .with_stride(shape.stride)
                    .with_dilation(shape.dilation),
            ),
            Kind::Average { count_include_pad } => {
                let [kh, kw] = shape.kernel_size;
                let sum = |x: Tensor<4>| {
                    let c = x.dims()[1];
                    let ones = Tensor::ones([c, 1, kh, kw], &pass.device);
                    let options = ConvOptions::new(shape.stride, [0, 0], shape.dilation, c);
                    module::conv2d(x, ones, None, options)
                };
                let mut counted: Tensor<4> = Tensor::ones([1, 1, shape.h, shape.w], &pass.device);
                if count_include_pad {
                    counted = counted.pad((left, right, top, bottom), 1.0);
                    let more = |axis: usize, after: usize| behind[axis].saturating_sub(after);
                    counted = counted.pad((0, more(1, right), 0, more(0, bottom)), 0.0);
                } else {
                    counted = pad(counted, 0.0);
                }
                let y = sum(pad(x, 0.0));
                let [_, _, h, w] = y.dims();
                y / sum(counted).clamp_min(1.0).slice([0..1, 0..1, 0..h, 0..w])
            }
        };
        let (h, w) = (shape.out_h(), shape.out_w());
        let y = y.slice([0..shape.n, 0..shape.c, 0..h, 0..w]);
        Dense::from_tensor(to_channels_last(y))
    }
}

impl Rule for Pool {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = self.window.lift(call.pass, call.node, call.value(0)?)?;
        Ok(self.window.lower(call.pass, self.run(call, &x)?))
    }
}

impl Pool {
    /// Of images `[n, h, w, c]`.
    fn run(&self, call: &Call<'_>, x: &Dense) -> Result<Dense> {
        let image = [x.dims()[0], x.dims()[1], x.dims()[2], x.dims()[3]];
        let shape = self.window.pool_shape(call, image, self.ceil_mode)?;
        Ok(if call.pass.engine.is_fused() {
            self.forward_fused(shape, x)
        } else {
            self.forward_stock(shape, call.pass, x)
        })
    }
}

/// Pooling over volumes: along the first axis, then in every plane. Largest values and means of
/// means are those of the whole window, since what counts in it is counted axis by axis.
#[derive(Debug)]
struct VolumePool {
    depth: Pool,
    plane: Pool,
}

impl Rule for VolumePool {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.dense(0)?;
        let &[n, c, d, h, w] = x.dims() else {
            return Err(call.misfit("[n, c, depth, height, width]", format!("{:?}", x.dims())));
        };
        // Planes are the channels of a row of pixels.
        let rows = x.permute(&[0, 2, 3, 4, 1]).reshape(&[n, 1, d, h * w * c]);
        let y = self.depth.run(call, &rows)?;
        let depth = y.dims()[2];
        let y = self.plane.run(call, &y.reshape(&[n * depth, h, w, c]))?;
        let (h, w) = (y.dims()[1], y.dims()[2]);
        let y = y.reshape(&[n, depth, h, w, c]);
        Ok(Value::Dense(y.permute(&[0, 4, 1, 2, 3])))
    }
}

/// Reads a `MaxPool` or `AveragePool` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for windows that training lacks.
pub fn windowed(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let kernel_size = Window::stated_size(planner, node)?;
    if kernel_size.len() != 3 {
        return Ok(Box::new(Pool::new(planner, node)?));
    }
    let part = |axes| Pool::new(planner, &Window::of_axes(node, &kernel_size, axes));
    Ok(Box::new(VolumePool {
        depth: part(0..1)?,
        plane: part(1..3)?,
    }))
}

/// Positions along an axis of `size` that a window over that axis alone reads, for each of its
/// places.
///
/// # Errors
/// [`NetError::Window`] for a window that does not fit.
pub(super) fn window_positions(
    call: &Call<'_>,
    window: &Window,
    size: usize,
    ceil_mode: bool,
) -> Result<Vec<Vec<usize>>> {
    let shape = window.pool_shape(call, [1, 1, size, 1], ceil_mode)?;
    let (stride, front, dilation) = (shape.stride[1], shape.pads[1], shape.dilation[1]);
    let positions = |place: usize| {
        let reads = (0..shape.kernel_size[1])
            .map(move |k| (place * stride + k * dilation).checked_sub(front));
        reads.flatten().filter(|&at| at < size).collect()
    };
    Ok((0..shape.out_w()).map(positions).collect())
}

impl Window {
    /// Sizes of a pooling of `image` `[n, h, w, c]`.
    fn pool_shape(&self, call: &Call<'_>, image: [usize; 4], ceil_mode: bool) -> Result<PoolShape> {
        PoolShape::new(
            image,
            self.kernel_size,
            self.stride,
            self.pads([image[1], image[2]]),
            self.dilation,
            ceil_mode,
        )
        .map_err(|source| NetError::Window {
            node: call.node.to_string(),
            expected: "an image that the window fits".to_string(),
            source,
        })
    }
}

#[derive(Debug)]
struct MaxCall {
    shape: PoolShape,
    indices: Mutex<Vec<u32>>,
}

impl FusedOp for MaxCall {
    fn output_shape(&self) -> Vec<usize> {
        let s = &self.shape;
        vec![s.n, s.out_h(), s.out_w(), s.c]
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let (y, indices) = pool::max_forward(&self.shape, x);
        *lock(&self.indices) = indices;
        y.into()
    }

    fn backward(
        &self,
        [x, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::get(x.len());
            let indices = lock(&self.indices);
            pool::max_backward(&self.shape, dy, &indices, &mut dx);
            gradients[0] = Some(dx);
        }
        gradients
    }
}

#[derive(Debug)]
struct AverageCall {
    shape: PoolShape,
    count_include_pad: bool,
}

impl FusedOp for AverageCall {
    fn output_shape(&self) -> Vec<usize> {
        let s = &self.shape;
        vec![s.n, s.out_h(), s.out_w(), s.c]
    }

    fn forward(&self, [x, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(self.shape.y_len());
        pool::average_forward(&self.shape, self.count_include_pad, x, &mut y);
        y.into()
    }

    fn backward(
        &self,
        [x, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::get(x.len());
            pool::average_backward(&self.shape, self.count_include_pad, dy, &mut dx);
            gradients[0] = Some(dx);
        }
        gradients
    }
}
