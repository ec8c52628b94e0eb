//! Windows of convolutions over any number of axes, and the rows that they see.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Conv.html>,
//! <https://onnx.ai/onnx/operators/onnx__ConvTranspose.html>.

use secateur_onnx::graph::Node;

use super::form::unravel;
use super::plain::Plain;

/// A window as a node states it.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Attribute `group`, in the original.
    pub groups: usize,
    kernel_size: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    padding: Padding,
    /// Of a transposed convolution: its output's size, if stated.
    output_size: Option<Vec<usize>>,
    /// Of a transposed convolution: pixels that are added at the end.
    output_padding: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Padding {
    /// All in front, then all behind.
    Explicit(Vec<usize>),
    /// As many output pixels as there are strides; the odd pixel goes behind (`SAME_UPPER`) or
    /// in front (`SAME_LOWER`).
    Same { upper: bool },
}

impl Window {
    /// Of a node whose window has extents `kernel_size`; `None` if its attributes do not fit.
    pub fn new(node: &Node, kernel_size: &[usize]) -> Option<Self> {
        let rank = kernel_size.len();
        let sizes = |name: &str, len: usize, default: usize| {
            let Some(values) = node.attr_ints(name).filter(|values| !values.is_empty()) else {
                return Some(vec![default; len]);
            };
            let sizes: Option<Vec<usize>> = values
                .iter()
                .map(|&value| usize::try_from(value).ok())
                .collect();
            sizes.filter(|sizes| sizes.len() == len)
        };
        let padding = match node.attr_s("auto_pad").unwrap_or_default().as_str() {
            "" | "NOTSET" => Padding::Explicit(sizes("pads", 2 * rank, 0)?),
            "VALID" => Padding::Explicit(vec![0; 2 * rank]),
            "SAME_UPPER" => Padding::Same { upper: true },
            "SAME_LOWER" => Padding::Same { upper: false },
            _ => return None,
        };
        let strides = sizes("strides", rank, 1)?;
        let is_positive = |sizes: &[usize]| sizes.iter().all(|&size| size > 0);
        let output_size = match node.attr_ints("output_shape") {
            Some(stated) if !stated.is_empty() => Some(sizes("output_shape", rank, 0)?),
            _ => None,
        };
        (rank > 0 && is_positive(kernel_size) && is_positive(&strides)).then_some(Self {
            groups: usize::try_from(node.attr_i("group", 1)).ok()?.max(1),
            kernel_size: kernel_size.to_vec(),
            strides,
            dilations: sizes("dilations", rank, 1)?,
            padding,
            output_size,
            output_padding: sizes("output_padding", rank, 0)?,
        })
    }

    /// Extent of the dilated window.
    fn extent(&self, axis: usize) -> usize {
        (self.kernel_size[axis] - 1) * self.dilations[axis] + 1
    }

    /// Pixels of padding in front and behind along an axis of `size` pixels that the window
    /// slides over: the input's of a convolution, the output's of a transposed one.
    fn pads(&self, axis: usize, size: usize) -> (usize, usize) {
        match &self.padding {
            Padding::Explicit(pads) => (pads[axis], pads[axis + self.kernel_size.len()]),
            Padding::Same { upper } => {
                let stride = self.strides[axis];
                let reach = (size.div_ceil(stride).max(1) - 1) * stride;
                split((reach + self.extent(axis)).saturating_sub(size), *upper)
            }
        }
    }

    /// `[n, ..]` of the output for an input `[n, c, ..]`.
    pub fn positions(&self, input: &[usize], is_transposed: bool) -> Option<Vec<usize>> {
        let pixels = input
            .get(2..)
            .filter(|p| p.len() == self.kernel_size.len())?;
        let mut positions = vec![input[0]];
        for (axis, &size) in pixels.iter().enumerate() {
            positions.push(match (is_transposed, &self.padding) {
                (true, _) => self.transposed_size(axis, size)?,
                (false, Padding::Same { .. }) => size.div_ceil(self.strides[axis]),
                (false, Padding::Explicit(_)) => {
                    let (front, behind) = self.pads(axis, size);
                    let room = (size + front + behind).checked_sub(self.extent(axis))?;
                    room / self.strides[axis] + 1
                }
            });
        }
        Some(positions)
    }

    fn transposed_size(&self, axis: usize, size: usize) -> Option<usize> {
        if let Some(stated) = &self.output_size {
            return Some(stated[axis]);
        }
        match &self.padding {
            Padding::Same { .. } => size.checked_mul(self.strides[axis]),
            Padding::Explicit(_) => {
                let (front, behind) = self.pads(axis, size);
                self.full_size(axis, size)?.checked_sub(front + behind)
            }
        }
    }

    /// Size of a transposed convolution's output before padding is cut off.
    fn full_size(&self, axis: usize, size: usize) -> Option<usize> {
        let reach = size.checked_sub(1)?.checked_mul(self.strides[axis])?;
        reach.checked_add(self.extent(axis) + self.output_padding[axis])
    }

    /// The row at one position of the output, `[n, ..]`.
    pub fn row(&self, input: &Plain, at: &[usize], row: &mut [f32]) {
        let taps: usize = self.kernel_size.iter().product();
        for tap in 0..taps {
            let source = unravel(tap, &self.kernel_size);
            let pixel = source.iter().enumerate().map(|(axis, &k)| {
                let (front, _) = self.pads(axis, input.dims[axis + 2]);
                let place = at[axis + 1] * self.strides[axis] + k * self.dilations[axis];
                place
                    .checked_sub(front)
                    .filter(|&place| place < input.dims[axis + 2])
            });
            self.read(input, at[0], pixel, tap, taps, row);
        }
    }

    /// The row at one position of the output of a transposed convolution, whose extents are
    /// `positions`.
    pub fn transposed_row(
        &self,
        input: &Plain,
        at: &[usize],
        positions: &[usize],
        row: &mut [f32],
    ) {
        let taps: usize = self.kernel_size.iter().product();
        for tap in 0..taps {
            let source = unravel(tap, &self.kernel_size);
            let pixel = source.iter().enumerate().map(|(axis, &k)| {
                let front = self.cut_off(axis, input.dims[axis + 2], positions[axis + 1]);
                let place = (at[axis + 1] + front).checked_sub(k * self.dilations[axis])?;
                let stride = self.strides[axis];
                let pixel = place / stride;
                (place % stride == 0 && pixel < input.dims[axis + 2]).then_some(pixel)
            });
            self.read(input, at[0], pixel, tap, taps, row);
        }
    }

    /// Pixels that are cut off in front of a transposed convolution's output of `size` pixels.
    fn cut_off(&self, axis: usize, input: usize, size: usize) -> usize {
        match &self.padding {
            Padding::Explicit(pads) if self.output_size.is_none() => pads[axis],
            padding => {
                let total = self
                    .full_size(axis, input)
                    .unwrap_or(size)
                    .saturating_sub(size);
                split(total, matches!(padding, Padding::Same { upper: true })).0
            }
        }
    }

    /// Writes what all channels have at a pixel; zeros outside of the image.
    fn read(
        &self,
        input: &Plain,
        sample: usize,
        pixel: impl Iterator<Item = Option<usize>>,
        tap: usize,
        taps: usize,
        row: &mut [f32],
    ) {
        let mut start = Some(sample * input.strides[0]);
        for (index, stride) in pixel.zip(&input.strides[2..]) {
            start = start
                .zip(index)
                .map(|(start, index)| start + index * stride);
        }
        let columns = row.iter_mut().skip(tap).step_by(taps);
        match start {
            None => columns.for_each(|value| *value = 0.0),
            Some(start) => {
                for (channel, value) in columns.enumerate() {
                    *value = input.data[start + channel * input.strides[1]];
                }
            }
        }
    }
}

/// A padding in front and behind; the odd pixel goes behind if `upper`.
fn split(total: usize, upper: bool) -> (usize, usize) {
    let small = total / 2;
    if upper {
        (small, total - small)
    } else {
        (total - small, small)
    }
}
