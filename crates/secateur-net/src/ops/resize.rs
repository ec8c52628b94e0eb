//! Resizing by interpolation, one axis after the other.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Resize.html> (opset 10, 11, 13, 18, 19),
//! <https://onnx.ai/onnx/operators/onnx__Upsample.html> (7, 9). Opset 10 and Upsample know
//! one way to place pixels: output pixel i lies at i / scale.

use secateur_onnx::graph::Node;

use super::axis_map::AxisMap;
use super::call::{Call, Planner, Rule, attr_floats};
use crate::error::Result;
use crate::value::Value;

/// Where an output pixel lies in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placing {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// Opset 11 only.
    TfHalfPixelForNn,
}

/// How a place between pixels gets its value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Interpolation {
    Nearest(Rounding),
    Linear,
    Cubic {
        /// a of Keys' kernel.
        coefficient: f32,
        /// Pixels outside have no weight.
        exclude_outside: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

/// What a policy makes of stated sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Stretch,
    NotLarger,
    NotSmaller,
}

#[derive(Debug)]
struct Resize {
    placing: Placing,
    interpolation: Interpolation,
    policy: Policy,
    axes: Option<Vec<i64>>,
    /// Scales of an attribute (Upsample before opset 9).
    scales: Option<Vec<f32>>,
    scales_slot: usize,
    sizes_slot: usize,
}

impl Placing {
    /// Place of output pixel `i` of `n_out`, in pixels of the input.
    fn place(self, i: usize, n_in: usize, n_out: usize, scale: f64) -> f64 {
        let x = i as f64;
        let half = |x: f64| (x + 0.5) / scale - 0.5;
        match self {
            Self::HalfPixel => half(x),
            Self::HalfPixelSymmetric => {
                let adjustment = n_out as f64 / (scale * n_in as f64);
                n_in as f64 / 2.0 * (1.0 - adjustment) + half(x)
            }
            Self::PytorchHalfPixel if n_out > 1 => half(x),
            Self::PytorchHalfPixel => 0.0,
            Self::AlignCorners if n_out > 1 => x * (n_in - 1) as f64 / (n_out - 1) as f64,
            Self::AlignCorners => 0.0,
            Self::Asymmetric => x / scale,
            Self::TfHalfPixelForNn => (x + 0.5) / scale,
        }
    }
}

impl Interpolation {
    /// Pixels and weights of a place.
    fn taps(self, place: f64, n: usize) -> Vec<(usize, f32)> {
        let last = n as f64 - 1.0;
        let inside = |at: f64| at.clamp(0.0, last) as usize;
        match self {
            Self::Nearest(rounding) => {
                let at = match rounding {
                    Rounding::PreferFloor => (place - 0.5).ceil(),
                    Rounding::PreferCeil => (place + 0.5).floor(),
                    Rounding::Floor => place.floor(),
                    Rounding::Ceil => place.ceil(),
                };
                vec![(inside(at), 1.0)]
            }
            Self::Linear => {
                let place = place.clamp(0.0, last);
                let (left, share) = (place.floor(), place.fract());
                let taps = [(left, 1.0 - share), (left + 1.0, share)];
                let taps = taps.into_iter().filter(|&(_, weight)| weight > 0.0);
                taps.map(|(at, weight)| (inside(at), weight as f32))
                    .collect()
            }
            Self::Cubic {
                coefficient,
                exclude_outside,
            } => {
                // Keys, IEEE Trans. ASSP 29(6), 1981.
                let a = f64::from(coefficient);
                let weight = |distance: f64| {
                    let d = distance.abs();
                    if d <= 1.0 {
                        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
                    } else if d < 2.0 {
                        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
                    } else {
                        0.0
                    }
                };
                let left = place.floor();
                let mut taps: Vec<(f64, f64)> = (-1..=2)
                    .map(|k| left + f64::from(k))
                    .map(|at| (at, weight(place - at)))
                    .collect();
                if exclude_outside {
                    taps.retain(|&(at, _)| (0.0..=last).contains(&at));
                    let sum: f64 = taps.iter().map(|(_, w)| w).sum();
                    taps.iter_mut().for_each(|(_, w)| *w /= sum);
                }
                let taps = taps.into_iter().filter(|&(_, weight)| weight != 0.0);
                taps.map(|(at, weight)| (inside(at), weight as f32))
                    .collect()
            }
        }
    }
}

/// No image is larger than this along an axis.
const MAX_SIZE: f64 = (1u32 << 24) as f64;

impl Resize {
    /// Scale and size of every resized axis.
    fn targets(
        &self,
        call: &Call<'_>,
        dims: &[usize],
        axes: &[usize],
    ) -> Result<Vec<(f64, usize)>> {
        let given = |slot: usize| call.optional(slot).filter(|v| !v.onnx_dims().contains(&0));
        let check = |count: usize| {
            if count == axes.len() {
                return Ok(());
            }
            Err(call.misfit(
                format!("{} factors or sizes", axes.len()),
                count.to_string(),
            ))
        };
        let scales = self.scales.clone().or_else(|| {
            given(self.scales_slot)?;
            call.floats(self.scales_slot)
        });
        let targets: Vec<(f64, f64)> = if let Some(scales) = scales.filter(|s| !s.is_empty()) {
            check(scales.len())?;
            let each = axes.iter().zip(scales);
            each.map(|(&axis, scale)| {
                // The size in 32 bits, as other runtimes compute it.
                (
                    f64::from(scale),
                    f64::from((dims[axis] as f32 * scale).floor()),
                )
            })
            .collect()
        } else {
            let sizes = call.ints(self.sizes_slot).unwrap_or_default();
            check(sizes.len())?;
            let scales = axes
                .iter()
                .zip(&sizes)
                .map(|(&axis, &size)| size as f64 / dims[axis] as f64);
            let common = match self.policy {
                Policy::Stretch => None,
                Policy::NotLarger => Some(scales.clone().fold(f64::INFINITY, f64::min)),
                Policy::NotSmaller => Some(scales.clone().fold(0.0, f64::max)),
            };
            let each = axes.iter().zip(scales).zip(&sizes);
            each.map(|((&axis, scale), &size)| match common {
                None => (scale, size as f64),
                Some(scale) => (scale, (dims[axis] as f64 * scale + 0.5).floor()),
            })
            .collect()
        };
        targets
            .into_iter()
            .map(|(scale, size)| {
                if scale > 0.0 && (1.0..MAX_SIZE).contains(&size) {
                    Ok((scale, size as usize))
                } else {
                    Err(call.misfit("a positive size", format!("{size} (factor {scale})")))
                }
            })
            .collect()
    }
}

impl Rule for Resize {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut value = call.value(0)?.clone();
        let dims = value.onnx_dims();
        let axes: Vec<usize> = match &self.axes {
            Some(axes) => axes
                .iter()
                .map(|&axis| call.axis(axis, dims.len()))
                .collect::<Result<_>>()?,
            None => (0..dims.len()).collect(),
        };
        let targets = self.targets(call, &dims, &axes)?;
        for (&axis, (scale, n_out)) in axes.iter().zip(targets) {
            let n_in = dims[axis];
            if scale == 1.0 && n_out == n_in {
                continue;
            }
            let rows = (0..n_out).map(|i| {
                let place = self.placing.place(i, n_in, n_out, scale);
                self.interpolation.taps(place, n_in)
            });
            value = AxisMap::new(n_in, rows).apply(call, &value, axis)?;
        }
        Ok(value)
    }
}

/// Reads a `Resize` or `Upsample` node of any opset.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for regions of interest, antialiasing, and sizes from
/// computed values.
pub fn resize(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    let text = |name: &str| node.attr_s(name).unwrap_or_default();
    let old = node.op_type == "Upsample" || planner.graph.opset < 11;
    let refuse = |name: &str| planner.refuse(node, format!("has {name} `{}`", text(name)));
    if node.attr_i("antialias", 0) != 0 {
        return Err(planner.refuse(node, "smooths before it makes smaller (antialias)"));
    }
    let placing = match text("coordinate_transformation_mode").as_str() {
        _ if old => Placing::Asymmetric,
        "" | "half_pixel" => Placing::HalfPixel,
        "half_pixel_symmetric" => Placing::HalfPixelSymmetric,
        "pytorch_half_pixel" => Placing::PytorchHalfPixel,
        "align_corners" => Placing::AlignCorners,
        "asymmetric" => Placing::Asymmetric,
        "tf_half_pixel_for_nn" => Placing::TfHalfPixelForNn,
        _ => return Err(refuse("coordinate_transformation_mode")),
    };
    let rounding = match text("nearest_mode").as_str() {
        _ if old => Rounding::Floor,
        "" | "round_prefer_floor" => Rounding::PreferFloor,
        "round_prefer_ceil" => Rounding::PreferCeil,
        "floor" => Rounding::Floor,
        "ceil" => Rounding::Ceil,
        _ => return Err(refuse("nearest_mode")),
    };
    let interpolation = match text("mode").as_str() {
        "" | "nearest" => Interpolation::Nearest(rounding),
        "linear" | "bilinear" => Interpolation::Linear,
        "cubic" => Interpolation::Cubic {
            coefficient: node.attr_f("cubic_coeff_a", -0.75),
            exclude_outside: node.attr_i("exclude_outside", 0) != 0,
        },
        _ => return Err(refuse("mode")),
    };
    let policy = match text("keep_aspect_ratio_policy").as_str() {
        "" | "stretch" => Policy::Stretch,
        "not_larger" => Policy::NotLarger,
        "not_smaller" => Policy::NotSmaller,
        _ => return Err(refuse("keep_aspect_ratio_policy")),
    };
    let (scales_slot, sizes_slot) = if old { (1, usize::MAX) } else { (2, 3) };
    for slot in 1..node.inputs.len() {
        planner.require_host(node, slot)?;
    }
    Ok(Box::new(Resize {
        placing,
        interpolation,
        policy,
        axes: node.attr_ints("axes").map(<[i64]>::to_vec),
        scales: attr_floats(node, "scales").map(<[f32]>::to_vec),
        scales_slot,
        sizes_slot,
    }))
}
