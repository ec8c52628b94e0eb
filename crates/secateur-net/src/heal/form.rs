//! How a layer's output comes from its input: as rows times weights.
//!
//! At each position of the output (a pixel of a sample, a row of a matrix) the layer multiplies
//! a row of its input with its weights, a column for each output channel; with the attribute
//! `group` above 1, each group its own part of the row with its own weights.

use rayon::prelude::*;
use secateur_onnx::graph::Node;

use super::plain::Plain;
use super::window::Window;
use crate::weights::Weight;

/// Form of a layer.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// Convolution; weights `[c_out, c_in / groups, ..]`.
    Conv(Window),
    /// Transposed convolution; weights `[c_in, c_out / groups, ..]`.
    Transposed(Window),
    /// Product with a stored matrix.
    Product(Product),
}

/// A product of a computed value with a stored matrix.
#[derive(Debug, Clone)]
pub(super) struct Product {
    /// The input's axis that is summed over, counted from the end, from 1.
    summed: usize,
    /// The output's axis of channels, counted from the end, from 1.
    channels: usize,
    /// True if the weights are stored `[c_out, c_in]`.
    is_transposed: bool,
    /// Factor of the product.
    alpha: f32,
}

/// Sizes of a layer with the weights that it has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extents {
    /// Parts with weights of their own.
    pub groups: usize,
    /// Columns of a group's rows.
    pub columns: usize,
    /// Output channels of a group.
    pub c_out: usize,
}

impl Form {
    /// Of a node with its weights, of this shape, in input slot `slot`.
    pub fn new(node: &Node, slot: usize, shape: &[usize]) -> Option<Self> {
        match (node.op_type.as_str(), slot) {
            ("Conv", 1) => Some(Self::Conv(Window::new(node, shape.get(2..)?)?)),
            ("ConvTranspose", 1) => Some(Self::Transposed(Window::new(node, shape.get(2..)?)?)),
            ("Gemm", 1) if shape.len() == 2 => Some(Self::Product(Product {
                summed: if node.attr_i("transA", 0) == 0 { 1 } else { 2 },
                channels: 1,
                is_transposed: node.attr_i("transB", 0) != 0,
                alpha: node.attr_f("alpha", 1.0),
            })),
            ("MatMul", 1) if shape.len() == 2 => Some(Self::Product(Product {
                summed: 1,
                channels: 1,
                is_transposed: false,
                alpha: 1.0,
            })),
            ("MatMul", 0) if shape.len() == 2 => Some(Self::Product(Product {
                summed: 2,
                channels: 2,
                is_transposed: true,
                alpha: 1.0,
            })),
            _ => None,
        }
    }

    /// Number of output channels in the original, from the shape of its weights.
    pub fn c_out(&self, shape: &[usize]) -> usize {
        match self {
            Self::Conv(_) => shape[0],
            Self::Transposed(window) => shape[1] * window.groups,
            Self::Product(product) => shape[usize::from(!product.is_transposed)],
        }
    }

    /// Parts with weights of their own in the original: the attribute `group`.
    pub fn groups(&self) -> usize {
        match self {
            Self::Conv(window) | Self::Transposed(window) => window.groups,
            Self::Product(_) => 1,
        }
    }

    /// True if the output's channels are its last axis.
    pub fn channel_is_last(&self) -> bool {
        matches!(self, Self::Product(product) if product.channels == 1)
    }

    /// The output's axis of channels, for an output of `rank` axes.
    pub fn channel_axis(&self, rank: usize) -> Option<usize> {
        match self {
            Self::Conv(_) | Self::Transposed(_) => (rank >= 2).then_some(1),
            Self::Product(product) => rank.checked_sub(product.channels),
        }
    }

    /// Sizes with weights of this shape, for an input of these extents and a number of output
    /// channels; `None` if they do not fit each other.
    pub fn extents(&self, shape: &[usize], input: &[usize], c_out: usize) -> Option<Extents> {
        match self {
            Self::Conv(_) | Self::Transposed(_) => {
                let is_transposed = matches!(self, Self::Transposed(_));
                let (rows, columns) = (*shape.first()?, *shape.get(1)?);
                let c_in = *input.get(1)?;
                let taps: usize = shape[2..].iter().product();
                // Weights hold the channels of one group on one of their axes, all of them on
                // the other.
                let (all, whole, one) = if is_transposed {
                    (c_in, c_out, columns)
                } else {
                    (c_out, c_in, columns)
                };
                let groups = whole.checked_div(one).filter(|&groups| groups > 0)?;
                let fits = rows == all && groups * one == whole && rows % groups == 0;
                let (c_in, c_out) = if is_transposed {
                    (rows / groups, columns)
                } else {
                    (columns, rows / groups)
                };
                fits.then_some(Extents {
                    groups,
                    columns: c_in * taps,
                    c_out,
                })
            }
            Self::Product(product) => {
                let (rows, columns) = (shape[0], shape[1]);
                let (has, c_in) = if product.is_transposed {
                    (rows, columns)
                } else {
                    (columns, rows)
                };
                let axis = input.len().checked_sub(product.summed)?;
                (input[axis] == c_in && has == c_out).then_some(Extents {
                    groups: 1,
                    columns: c_in,
                    c_out,
                })
            }
        }
    }

    /// Where the weight of a group's column and output channel lies in the stored tensor.
    pub fn offset(&self, extents: &Extents, taps: usize, at: WeightAt) -> usize {
        let Extents { columns, c_out, .. } = *extents;
        let WeightAt {
            group,
            column,
            channel,
        } = at;
        match self {
            Self::Conv(_) => (group * c_out + channel) * columns + column,
            Self::Transposed(_) => {
                let (input, tap) = (column / taps, column % taps);
                ((group * (columns / taps) + input) * c_out + channel) * taps + tap
            }
            Self::Product(product) if product.is_transposed => channel * columns + column,
            Self::Product(_) => column * c_out + channel,
        }
    }

    /// Where a group's weights lie in the stored tensor, channel by channel.
    pub fn weights_of(
        &self,
        extents: &Extents,
        taps: usize,
        group: usize,
    ) -> impl Iterator<Item = (WeightAt, usize)> {
        (0..extents.c_out).flat_map(move |channel| {
            (0..extents.columns).map(move |column| {
                let at = WeightAt {
                    group,
                    column,
                    channel,
                };
                (at, self.offset(extents, taps, at))
            })
        })
    }

    /// Extents of the output's positions for an input of these extents; `None` if it does not
    /// fit.
    pub fn positions(&self, input: &[usize]) -> Option<Vec<usize>> {
        match self {
            Self::Conv(window) => window.positions(input, false),
            Self::Transposed(window) => window.positions(input, true),
            Self::Product(product) => {
                let axis = input.len().checked_sub(product.summed)?;
                let mut positions = input.to_vec();
                positions.remove(axis);
                Some(positions)
            }
        }
    }

    /// Writes the rows at `positions` (counted over the extents of [`Self::positions`]) one
    /// after the other: all groups side by side, `[channel of the input, tap]` each.
    pub fn rows(&self, input: &Plain, positions: &[usize], out: &mut [f32]) {
        let width = out.len() / positions.len().max(1);
        if width == 0 {
            return;
        }
        let Some(extents) = self.positions(&input.dims) else {
            return;
        };
        let rows = out.par_chunks_mut(width).zip(positions).with_min_len(16);
        let at = |&position: &usize| unravel(position, &extents);
        match self {
            Self::Conv(window) | Self::Transposed(window) => {
                let is_transposed = matches!(self, Self::Transposed(_));
                let reads = window.reads(input, &extents, is_transposed);
                rows.for_each(|(row, position)| reads.row(input, &at(position), row));
            }
            Self::Product(product) => rows.for_each(|(row, position)| {
                let axis = input.dims.len() - product.summed;
                let (start, stride) = input.line(&at(position), axis);
                for (column, value) in row.iter_mut().enumerate() {
                    *value = product.alpha * input.data[start + column * stride];
                }
            }),
        }
    }
}

/// A weight of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct WeightAt {
    pub group: usize,
    pub column: usize,
    pub channel: usize,
}

/// The index on each axis of the element at `position`, row-major.
pub(super) fn unravel(mut position: usize, extents: &[usize]) -> Vec<usize> {
    let mut at = vec![0; extents.len()];
    for (index, &extent) in at.iter_mut().zip(extents).rev() {
        *index = position % extent.max(1);
        position /= extent.max(1);
    }
    at
}

/// The matrix of a group's weights, `[c_out, columns]`.
pub(super) fn group_matrix(
    form: &Form,
    weight: &Weight,
    extents: &Extents,
    group: usize,
) -> Vec<f32> {
    let places = form.weights_of(extents, taps(weight), group);
    places.map(|(_, offset)| weight.data[offset]).collect()
}

/// Weights of a convolution for each pair of channels; 1 for a matrix.
pub(super) fn taps(weight: &Weight) -> usize {
    weight.shape.get(2..).unwrap_or_default().iter().product()
}
