//! Sliding windows: sizes, strides, dilation and padding as nodes state them, for
//! images and, as images of one row, for sequences.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html>; pooling and transposed convolution
//! share the attributes.

use std::ops::Range;

use secateur_cpu::conv::ConvShape;
use secateur_onnx::graph::{Attribute, Dim, Node};

use super::call::{Call, Planner};
use crate::error::{NetError, Result};
use crate::pass::Pass;
use crate::value::{Dense, Value};

/// How an image is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// `[top, left, bottom, right]`
    Explicit([usize; 4]),
    /// So that the output has ⌈input / stride⌉ pixels; the odd pixel goes behind
    /// (`SAME_UPPER`), or in front (`SAME_LOWER`).
    Same {
        /// `SAME_UPPER`.
        upper: bool,
    },
}

/// The window of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Number of axes that it slides over, 1 or 2.
    pub rank: usize,
    /// `[kh, kw]`
    pub kernel_size: [usize; 2],
    /// `[rows, columns]`
    pub stride: [usize; 2],
    /// `[rows, columns]`
    pub dilation: [usize; 2],
    /// Around the image.
    pub padding: Padding,
}

impl Window {
    /// Reads a node whose window has extents `kernel_size`.
    ///
    /// # Errors
    /// [`crate::NetError::Unsupported`] for windows over other numbers of axes, negative
    /// padding and unknown values of `auto_pad`.
    pub fn new(planner: &Planner<'_>, node: &Node, kernel_size: &[usize]) -> Result<Self> {
        let rank = kernel_size.len();
        if !(1..=2).contains(&rank) {
            return Err(planner.refuse(
                node,
                format!("has a window over {rank} axes; training takes 1 to 3"),
            ));
        }
        let sizes = |name: &str, count: usize, default: usize, least: usize| {
            let Some(values) = node.attr_ints(name).filter(|values| !values.is_empty()) else {
                return Ok(vec![default; count]);
            };
            let sizes: Option<Vec<usize>> = values
                .iter()
                .map(|&v| usize::try_from(v).ok().filter(|&v| v >= least))
                .collect();
            sizes.filter(|sizes| sizes.len() == count).ok_or_else(|| {
                planner.refuse(node, format!("has {name} {values:?} for {rank} axes"))
            })
        };
        // A sequence is an image of one row.
        let lift = |sizes: &[usize], row: usize| match *sizes {
            [size] => [row, size],
            _ => [sizes[0], sizes[1]],
        };
        let auto = node.attr_s("auto_pad").unwrap_or_default();
        let padding = match auto.as_str() {
            "" | "NOTSET" => {
                let pads = sizes("pads", 2 * rank, 0, 0)?;
                Padding::Explicit(match *pads.as_slice() {
                    [left, right] => [0, left, 0, right],
                    _ => [pads[0], pads[1], pads[2], pads[3]],
                })
            }
            "VALID" => Padding::Explicit([0; 4]),
            "SAME_UPPER" => Padding::Same { upper: true },
            "SAME_LOWER" => Padding::Same { upper: false },
            other => {
                return Err(planner.refuse(node, format!("has unknown auto_pad `{other}`")));
            }
        };
        Ok(Self {
            rank,
            kernel_size: lift(kernel_size, 1),
            stride: lift(&sizes("strides", rank, 1, 1)?, 1),
            dilation: lift(&sizes("dilations", rank, 1, 1)?, 1),
            padding,
        })
    }

    /// The node as it would be for some of its axes alone: a window over three axes is one over the
    /// first, and one over the planes of the others.
    pub fn of_axes(node: &Node, kernel_size: &[usize], axes: Range<usize>) -> Node {
        let rank = kernel_size.len();
        let mut part = node.clone();
        for value in part.attributes.values_mut() {
            if let Attribute::Ints(sizes) = value {
                if sizes.len() == rank {
                    *sizes = sizes[axes.clone()].to_vec();
                } else if sizes.len() == 2 * rank {
                    let behind = axes.start + rank..axes.end + rank;
                    *sizes = [&sizes[axes.clone()], &sizes[behind]].concat();
                }
            }
        }
        let own = kernel_size[axes].iter().map(|&size| size as i64);
        part.attributes
            .insert("kernel_shape".to_string(), Attribute::Ints(own.collect()));
        part
    }

    /// The extents of a layer's window: those of its weights, or that attribute `kernel_shape`
    /// states.
    ///
    /// # Errors
    /// [`crate::NetError::Unsupported`] if they are not known.
    pub fn size_of_layer(planner: &Planner<'_>, node: &Node) -> Result<Vec<usize>> {
        let weights = planner.shape(node, 1).and_then(|shape| shape.get(2..));
        let known = weights.and_then(|dims| dims.iter().map(Dim::fixed).collect());
        known.map_or_else(|| Self::stated_size(planner, node), Ok)
    }

    /// Sizes of a convolution of `image` `[n, h, w]` with `weight`.
    ///
    /// # Errors
    /// [`NetError::Window`] if they do not fit together.
    pub fn conv_shape(
        &self,
        call: &Call<'_>,
        image: [usize; 3],
        channels: [usize; 2],
        pads: [usize; 4],
        groups: usize,
        weight: &Dense,
    ) -> Result<ConvShape> {
        ConvShape::new(
            image,
            channels,
            self.kernel_size,
            self.stride,
            pads,
            self.dilation,
            groups,
        )
        .map_err(|source| NetError::Window {
            node: call.node.to_string(),
            expected: format!("an input that fits weights {:?}", weight.dims()),
            source,
        })
    }

    /// The extents that attribute `kernel_shape` states.
    pub fn stated_size(planner: &Planner<'_>, node: &Node) -> Result<Vec<usize>> {
        let size = |&v: &i64| usize::try_from(v).ok().filter(|&v| v > 0);
        node.attr_ints("kernel_shape")
            .and_then(|values| values.iter().map(size).collect())
            .ok_or_else(|| planner.refuse(node, "has no valid kernel_shape"))
    }

    /// Extent of the dilated window along `axis`.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
    }

    /// `[top, left, bottom, right]` for images of `size` pixels.
    pub fn pads(&self, size: [usize; 2]) -> [usize; 4] {
        match self.padding {
            Padding::Explicit(pads) => pads,
            Padding::Same { upper } => {
                let mut pads = [0; 4];
                for axis in 0..2 {
                    let stride = self.stride[axis];
                    let reach = (size[axis].div_ceil(stride).max(1) - 1) * stride;
                    let total = (reach + self.extent(axis)).saturating_sub(size[axis]);
                    let small = total / 2;
                    (pads[axis], pads[axis + 2]) = if upper {
                        (small, total - small)
                    } else {
                        (total - small, small)
                    };
                }
                pads
            }
        }
    }

    /// `value` as images `[n, h, w, c]`.
    ///
    /// # Errors
    /// [`crate::NetError::Shape`] for another rank.
    pub fn lift(&self, pass: &Pass<'_>, node: &str, value: &Value) -> Result<Dense> {
        let dims = value.onnx_dims();
        if let (1, &[n, c, length]) = (self.rank, dims.as_slice()) {
            let image = value.dense(&pass.device).reshape(&[n, c, 1, length]);
            return Ok(Dense::from_tensor(
                Value::Dense(image).image(node, &pass.device)?,
            ));
        }
        if self.rank == 2 {
            return Ok(Dense::from_tensor(value.image(node, &pass.device)?));
        }
        Err(crate::NetError::Shape {
            node: node.to_string(),
            expected: "sequences [n, c, length]".to_string(),
            got: format!("{dims:?}"),
        })
    }

    /// Images in the rank of the file.
    pub fn lower(&self, pass: &Pass<'_>, images: Dense) -> Value {
        let image = Value::Image(images.tensor());
        if self.rank == 2 {
            return image;
        }
        let dims = image.onnx_dims();
        Value::Dense(
            image
                .dense(&pass.device)
                .reshape(&[dims[0], dims[1], dims[3]]),
        )
    }
}
