//! Running sums, cutting and padding to a size, windows put together: linear maps along axes.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__CumSum.html> (opset 11, 14),
//! <https://onnx.ai/onnx/operators/onnx__CenterCropPad.html> (18),
//! <https://onnx.ai/onnx/operators/onnx__Col2Im.html> (18).

use secateur_onnx::graph::Node;

use super::axis_map::AxisMap;
use super::call::{Call, Planner, Rule};
use super::picking::product;
use crate::error::Result;
use crate::value::Value;

/// Most positions of an axis that is summed up: the map has half of its square entries.
const MAX_SUMMED: usize = 1 << 13;

#[derive(Debug)]
struct CumSum {
    exclusive: bool,
    reverse: bool,
}

impl Rule for CumSum {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let value = call.value(0)?;
        let dims = value.onnx_dims();
        let axis = call.known_ints(1)?.first().copied().unwrap_or(0);
        let axis = call.axis(axis, dims.len())?;
        let n = dims[axis];
        if n > MAX_SUMMED {
            return Err(call.misfit(format!("an axis of at most {MAX_SUMMED}"), n.to_string()));
        }
        let own = usize::from(!self.exclusive);
        let rows = (0..n).map(|j| {
            let read = if self.reverse {
                j + 1 - own..n
            } else {
                0..j + own
            };
            read.map(|i| (i, 1.0)).collect()
        });
        AxisMap::new(n, rows).apply(call, value, axis)
    }
}

/// Reads a `CumSum` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for a computed axis.
pub fn cum_sum(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(CumSum {
        exclusive: node.attr_i("exclusive", 0) != 0,
        reverse: node.attr_i("reverse", 0) != 0,
    }))
}

#[derive(Debug)]
struct CenterCropPad(Option<Vec<i64>>);

impl Rule for CenterCropPad {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let mut value = call.value(0)?.clone();
        let dims = value.onnx_dims();
        let sizes = call.known_ints(1)?;
        let all: Vec<i64> = (0..dims.len() as i64).collect();
        let axes = self.0.as_deref().unwrap_or(&all);
        if axes.len() != sizes.len() {
            return Err(call.misfit(format!("{} sizes", axes.len()), sizes.len().to_string()));
        }
        for (&axis, &size) in axes.iter().zip(&sizes) {
            let axis = call.axis(axis, dims.len())?;
            let from = dims[axis];
            let to = usize::try_from(size)
                .ok()
                .filter(|to| (1..=1 << 24).contains(to));
            let to = to.ok_or_else(|| call.misfit("positive sizes", size.to_string()))?;
            // What is left over goes behind.
            let (cut, pad) = (from.saturating_sub(to) / 2, to.saturating_sub(from) / 2);
            let place = |j: usize| (j + cut).checked_sub(pad).filter(|&at| at < from);
            let positions: Vec<Option<usize>> = (0..to).map(place).collect();
            value = AxisMap::select(from, &positions, 0.0).apply(call, &value, axis)?;
        }
        Ok(value)
    }
}

/// Reads a `CenterCropPad` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed sizes.
pub fn center_crop_pad(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    Ok(Box::new(CenterCropPad(
        node.attr_ints("axes").map(<[i64]>::to_vec),
    )))
}

#[derive(Debug)]
struct Col2Im {
    strides: Option<Vec<usize>>,
    dilations: Option<Vec<usize>>,
    pads: Option<Vec<usize>>,
}

impl Rule for Col2Im {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let x = call.dense(0)?;
        let sizes = |slot: usize| -> Result<Vec<usize>> {
            let given = call.known_ints(slot)?;
            let sizes = given
                .iter()
                .map(|&v| usize::try_from(v).ok().filter(|&v| v > 0));
            let sizes = sizes.collect::<Option<_>>();
            sizes.ok_or_else(|| call.misfit("positive sizes", format!("{given:?}")))
        };
        let (image, block) = (sizes(1)?, sizes(2)?);
        let rank = image.len();
        let or = |given: &Option<Vec<usize>>, default: Vec<usize>| given.clone().unwrap_or(default);
        let (strides, dilations) = (
            or(&self.strides, vec![1; rank]),
            or(&self.dilations, vec![1; rank]),
        );
        let pads = or(&self.pads, vec![0; 2 * rank]);
        let lengths = [block.len(), strides.len(), dilations.len(), pads.len() / 2];
        if lengths != [rank; 4] || strides.contains(&0) {
            return Err(call.misfit(
                format!("a window over {rank} axes"),
                format!("{lengths:?} axes"),
            ));
        }
        let windows = Windows {
            image,
            block,
            strides,
            dilations,
            pads,
        };
        let counts = windows.counts().ok_or_else(|| {
            call.misfit(
                "an image that the window fits",
                format!("{:?}", windows.image),
            )
        })?;
        let (taps, places) = (product(&windows.block), product(&counts));
        let &[n, columns, given] = x.dims() else {
            return Err(call.misfit("[n, c · window, places]", format!("{:?}", x.dims())));
        };
        if columns % taps != 0 || given != places {
            let expected = format!("columns of {taps} at {places} places");
            return Err(call.misfit(expected, format!("{:?}", x.dims())));
        }
        let channels = columns / taps;
        let rows = x.reshape(&[n * channels, taps * places]);
        let map = AxisMap::new(taps * places, windows.reads(&counts));
        let y = map.on_device(call.pass, &rows, 1);
        Ok(Value::Dense(
            y.reshape(&[&[n, channels], &windows.image[..]].concat()),
        ))
    }
}

/// Windows over an image of any number of axes.
struct Windows {
    image: Vec<usize>,
    block: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<usize>,
}

impl Windows {
    /// How many there are along every axis; `None` if they do not fit.
    fn counts(&self) -> Option<Vec<usize>> {
        let rank = self.image.len();
        let count = |axis: usize| {
            let padded = self.image[axis] + self.pads[axis] + self.pads[axis + rank];
            let reach = padded.checked_sub((self.block[axis] - 1) * self.dilations[axis] + 1)?;
            Some(reach / self.strides[axis] + 1)
        };
        (0..rank).map(count).collect()
    }

    /// What every pixel is the sum of: positions of the window by places, row-major.
    fn reads(&self, counts: &[usize]) -> Vec<Vec<(usize, f32)>> {
        let mut reads = vec![Vec::new(); product(&self.image)];
        let places = product(counts);
        for tap in 0..product(&self.block) {
            for place in 0..places {
                if let Some(pixel) = self.pixel(tap, place, counts) {
                    reads[pixel].push((tap * places + place, 1.0));
                }
            }
        }
        reads
    }

    /// The pixel under position `tap` of the window at `place`, if it is none of the padding.
    fn pixel(&self, mut tap: usize, mut place: usize, counts: &[usize]) -> Option<usize> {
        let (mut pixel, mut step) = (0, 1);
        for axis in (0..counts.len()).rev() {
            let (k, at) = (tap % self.block[axis], place % counts[axis]);
            tap /= self.block[axis];
            place /= counts[axis];
            let at = (at * self.strides[axis] + k * self.dilations[axis])
                .checked_sub(self.pads[axis])?;
            pixel += Some(at).filter(|&at| at < self.image[axis])? * step;
            step *= self.image[axis];
        }
        Some(pixel)
    }
}

/// Reads a `Col2Im` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] for computed sizes and negative numbers.
pub fn col2im(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    planner.require_host(node, 1)?;
    planner.require_host(node, 2)?;
    let sizes = |name: &str| -> Result<Option<Vec<usize>>> {
        let Some(given) = node.attr_ints(name) else {
            return Ok(None);
        };
        let sizes: Option<Vec<usize>> = given.iter().map(|&v| usize::try_from(v).ok()).collect();
        match sizes {
            Some(sizes) => Ok(Some(sizes)),
            None => Err(planner.refuse(node, format!("has {name} {given:?}"))),
        }
    };
    Ok(Box::new(Col2Im {
        strides: sizes("strides")?,
        dilations: sizes("dilations")?,
        pads: sizes("pads")?,
    }))
}
