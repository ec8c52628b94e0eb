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

    /// The pixel along an axis that a tap of the window reads for a place of the output; `None` outside
    /// of the image. `input` and `output` are the extents of both along the axis.
    fn pixel(
        &self,
        axis: usize,
        (input, output): (usize, usize),
        (place, tap): (usize, usize),
        is_transposed: bool,
    ) -> Option<usize> {
        let (stride, reach) = (self.strides[axis], tap * self.dilations[axis]);
        let pixel = if is_transposed {
            let front = self.cut_off(axis, input, output);
            let place = (place + front).checked_sub(reach)?;
            (place % stride == 0).then_some(place / stride)?
        } else {
            let (front, _) = self.pads(axis, input);
            (place * stride + reach).checked_sub(front)?
        };
        (pixel < input).then_some(pixel)
    }

    /// Where the window reads in `input` for an output of extents `positions`, `[n, ..]`.
    pub fn reads(&self, input: &Plain, positions: &[usize], is_transposed: bool) -> Reads {
        let axes = self.kernel_size.iter().enumerate().map(|(axis, &taps)| {
            let extents = (input.dims[axis + 2], positions[axis + 1]);
            let places = (0..extents.1).flat_map(|place| (0..taps).map(move |tap| (place, tap)));
            let stride = input.strides[axis + 2];
            let pixel = |at| Some(self.pixel(axis, extents, at, is_transposed)? * stride);
            Axis {
                taps,
                offsets: places.map(pixel).collect(),
            }
        });
        let taps = self.kernel_size.iter().product();
        Reads {
            axes: axes.collect(),
            taps: (0..taps)
                .map(|tap| unravel(tap, &self.kernel_size))
                .collect(),
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
}

/// Where a window reads in an input.
pub(super) struct Reads {
    axes: Vec<Axis>,
    /// The index of each tap along every axis.
    taps: Vec<Vec<usize>>,
}

/// Offsets along an axis, `[place of the output, tap]`; `None` outside of the image.
struct Axis {
    taps: usize,
    offsets: Vec<Option<usize>>,
}

impl Reads {
    /// Writes the row at one position of the output, `[n, ..]`: of each channel all taps; zeros outside
    /// of the image.
    pub fn row(&self, input: &Plain, at: &[usize], row: &mut [f32]) {
        for (index, tap) in self.taps.iter().enumerate() {
            let along = self.axes.iter().zip(&at[1..]).zip(tap);
            let offset = along.map(|((axis, &place), &tap)| axis.offsets[place * axis.taps + tap]);
            let offset: Option<usize> = offset.sum();
            let columns = row.iter_mut().skip(index).step_by(self.taps.len());
            match offset {
                None => columns.for_each(|value| *value = 0.0),
                Some(offset) => {
                    let channels = &input.data[at[0] * input.strides[0] + offset..];
                    let channels = channels.iter().step_by(input.strides[1].max(1));
                    columns.zip(channels).for_each(|(to, &value)| *to = value);
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
