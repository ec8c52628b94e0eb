//! Pixels read at places that a grid names, and grids of affine maps.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__GridSample.html> (opset 16, 20, 22; cubic over two
//! axes), <https://onnx.ai/onnx/operators/onnx__AffineGrid.html> (20).

use burn::tensor::{Tensor, TensorData};
use secateur_onnx::graph::Node;

use super::call::{Call, Planner, Rule};
use super::places::{Interpolation, Outside, Taps};
use super::rows::Rows;
use crate::error::Result;
use crate::value::{Dense, Value};

#[derive(Debug)]
struct GridSample {
    interpolation: Interpolation,
    outside: Outside,
    align_corners: bool,
}

impl Rule for GridSample {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let pass = call.pass;
        let (value, grid) = (call.value(0)?, call.dense(1)?);
        let dims = value.onnx_dims();
        let axes = dims.len().saturating_sub(2);
        let fits = axes > 0
            && grid.dims().len() == dims.len()
            && grid.dims()[0] == dims[0]
            && grid.dims()[axes + 1] == axes;
        if !fits {
            let expected = format!("a grid [n, .., {axes}] for an input of {dims:?}");
            return Err(call.misfit(expected, format!("{:?}", grid.dims())));
        }
        let (n, channels, sizes) = (dims[0], dims[1], &dims[2..]);
        let x = match value {
            Value::Image(image) => Dense::from_tensor(image.clone()),
            other => {
                let last: Vec<usize> =
                    [&[0][..], &(2..dims.len()).collect::<Vec<_>>(), &[1]].concat();
                other.dense(&pass.device).permute(&last)
            }
        };
        let pixels: usize = sizes.iter().product();
        let places = grid.len() / axes;
        let coordinates = grid.reshape(&[places, axes]);
        let mut taps: Option<Taps> = None;
        for (axis, &size) in sizes.iter().enumerate() {
            // The first coordinate is that of the last axis.
            let own = axes - 1 - axis;
            let place = self.place(&coordinates.narrow(1, own..own + 1), size);
            let next = Taps::along(pass, &place, size, self.interpolation, self.outside);
            taps = Some(match taps {
                Some(taps) => taps.with(&next, size),
                None => next,
            });
        }
        let Some(mut taps) = taps else {
            return Ok(value.clone());
        };
        let own = taps.at.len() / n;
        for (index, at) in taps.at.iter_mut().enumerate() {
            *at = at.map(|at| index / own * pixels + at);
        }
        let rows = Rows {
            at: taps.at,
            taps: taps.taps,
            parts: n,
        };
        let y = rows.read(
            pass,
            &x.reshape(&[n * pixels, channels]),
            taps.weights.as_ref(),
        );
        let shape = [&grid.dims()[..=axes], &[channels]].concat();
        let y = y.reshape(&shape);
        if axes == 2 {
            return Ok(Value::Image(y.tensor()));
        }
        let order: Vec<usize> = [&[0, axes + 1][..], &(1..=axes).collect::<Vec<_>>()].concat();
        Ok(Value::Dense(y.permute(&order)))
    }
}

impl GridSample {
    /// Places in pixels, of coordinates from -1 to 1.
    fn place(&self, coordinates: &Dense, size: usize) -> Dense {
        let size = size as f32;
        let (scale, shift) = if self.align_corners {
            ((size - 1.0) / 2.0, (size - 1.0) / 2.0)
        } else {
            (size / 2.0, (size - 1.0) / 2.0)
        };
        coordinates.mul_scalar(scale).add_scalar(shift)
    }
}

/// Reads a `GridSample` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for unknown modes.
pub fn grid_sample(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let text = |name: &str| node.attr_s(name).unwrap_or_default();
    let refuse = |name: &str| planner.refuse(node, format!("has {name} `{}`", text(name)));
    let align_corners = node.attr_i("align_corners", 0) != 0;
    let interpolation = match text("mode").as_str() {
        "" | "linear" | "bilinear" => Interpolation::Linear,
        "nearest" => Interpolation::Nearest,
        "cubic" | "bicubic" => Interpolation::Cubic,
        _ => return Err(refuse("mode")),
    };
    let outside = match text("padding_mode").as_str() {
        "" | "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Reflected {
            at_centres: align_corners,
        },
        _ => return Err(refuse("padding_mode")),
    };
    Ok(Box::new(GridSample {
        interpolation,
        outside,
        align_corners,
    }))
}

#[derive(Debug)]
struct AffineGrid {
    align_corners: bool,
}

impl Rule for AffineGrid {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let theta = call.dense(0)?;
        let size = call.ints(1).unwrap_or_default();
        let size: Vec<usize> = size
            .iter()
            .map(|&v| usize::try_from(v).unwrap_or(0))
            .collect();
        let axes = size.len().saturating_sub(2);
        let n = theta.dims().first().copied().unwrap_or(0);
        if axes == 0 || size.contains(&0) || theta.dims() != [n, axes, axes + 1] {
            let expected = format!("maps [n, {axes}, {}] and a size", axes + 1);
            return Err(call.misfit(expected, format!("{:?}, {size:?}", theta.dims())));
        }
        let sizes = &size[2..];
        let pixels: usize = sizes.iter().product();
        // The coordinates of every pixel, the last axis first, and a 1.
        let mut base = vec![1.0f32; pixels * (axes + 1)];
        for (pixel, row) in base.chunks_exact_mut(axes + 1).enumerate() {
            let mut rest = pixel;
            for (to, &size) in row.iter_mut().zip(sizes.iter().rev()) {
                let (at, size) = ((rest % size) as f32, size as f32);
                rest /= size as usize;
                *to = if self.align_corners {
                    2.0 * at / (size - 1.0).max(1.0) - 1.0
                } else {
                    (2.0 * at + 1.0) / size - 1.0
                };
            }
        }
        let data = TensorData::new(base, [1, pixels, axes + 1]);
        let base = Dense::from_tensor(Tensor::<3>::from_data(data, &call.pass.device));
        let grid = base
            .expand(&[n, pixels, axes + 1])
            .matmul(&theta.permute(&[0, 2, 1]));
        let shape = [&[n][..], sizes, &[axes]].concat();
        Ok(Value::Dense(grid.reshape(&shape)))
    }
}

/// Reads an `AffineGrid` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a computed size.
pub fn affine_grid(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(AffineGrid {
        align_corners: node.attr_i("align_corners", 0) != 0,
    }))
}
