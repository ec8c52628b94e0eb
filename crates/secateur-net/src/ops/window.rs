//! Sliding windows: sizes, strides, dilation and padding as nodes state them, for
//! images and, as images of one row, for sequences.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html>; pooling and transposed convolution
//! share the attributes.

use secateur_onnx::graph::Node;

use super::call::Planner;
use crate::error::Result;
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
    /// [`crate::NetError::Unsupported`] for windows over three axes and more, negative
    /// padding and unknown values of `auto_pad`.
    pub fn new(planner: &Planner<'_>, node: &Node, kernel_size: &[usize]) -> Result<Self> {
        let rank = kernel_size.len();
        if !(1..=2).contains(&rank) {
            return Err(planner.refuse(
                node,
                format!("has a window over {rank} axes; training takes 1 and 2"),
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
            return Ok(Dense::from_tensor(Value::Dense(image).image(node)?));
        }
        let value = match value {
            Value::Host(_) => &Value::Dense(value.dense(&pass.device)),
            value => value,
        };
        if self.rank == 2 {
            return Ok(Dense::from_tensor(value.image(node)?));
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
