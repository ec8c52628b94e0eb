//! Weights in the order in which the tiles read them.
//!
//! `[group][block of output channels][tap][source channel][output channel of the block]`,
//! blocks padded with zeros to whole vectors. Gradients of weights have the same layout.

use super::program::{Grid, Program};
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::simd::SLACK;

/// A block of output channels that a tile computes at once: `full` vectors and perhaps half a
/// vector.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    /// First channel within the group.
    pub start: usize,
    /// Whole vectors, 0 to 2.
    pub full: usize,
    /// True if half a vector follows them.
    pub half: bool,
    /// Channels of the block that exist; the rest is padding.
    pub count: usize,
}

impl Block {
    /// Channels with padding.
    pub fn width(&self, lanes: usize) -> usize {
        self.full * lanes + if self.half { lanes / 2 } else { 0 }
    }
}

/// Blocks for the output channels of a group: of two vectors as long as they are full, then what
/// is left.
pub(crate) fn blocks(channels: usize, isa: Isa) -> Vec<Block> {
    let lanes = isa.lanes();
    let halves = isa == Isa::Avx512;
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < channels {
        let left = channels - start;
        let (full, half) = if halves && left <= lanes / 2 {
            (0, true)
        } else if left <= lanes {
            (1, false)
        } else if halves && left <= lanes + lanes / 2 {
            (1, true)
        } else {
            (2, false)
        };
        let mut block = Block {
            start,
            full,
            half,
            count: 0,
        };
        block.count = block.width(lanes).min(left);
        start += block.count;
        blocks.push(block);
    }
    blocks
}

/// Width of all blocks together.
pub(crate) fn total_width(blocks: &[Block], lanes: usize) -> usize {
    blocks.iter().map(|block| block.width(lanes)).sum()
}

/// Where a weight lies in the ONNX layout: floats from a group, an output channel and a source
/// channel to the next. Taps lie behind each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strides {
    group: usize,
    output: usize,
    source: usize,
}

impl Strides {
    /// Strides for a forward program over weights `[c_out, c_in / groups, taps]`.
    pub fn forward(p: &Program, taps: usize) -> Self {
        Self {
            group: p.c_output * p.c_source * taps,
            output: p.c_source * taps,
            source: taps,
        }
    }

    /// Strides for an input gradient, whose source channels are the weights' output channels.
    pub fn transposed(p: &Program, taps: usize) -> Self {
        Self {
            group: p.c_output * p.c_source * taps,
            output: taps,
            source: p.c_output * taps,
        }
    }
}

/// Floats of the packed weights of one grid.
pub(crate) fn packed_len(p: &Program, grid: &Grid, isa: Isa) -> usize {
    let width = total_width(&blocks(p.c_output, isa), isa.lanes());
    p.groups * width * grid.taps.len() * p.c_source
}

/// Packs the weights of one grid; `out` has [`packed_len`] floats.
pub(crate) fn pack(p: &Program, grid: &Grid, s: Strides, isa: Isa, w: &[f32], out: &mut [f32]) {
    walk(p, grid, s, isa, |at, width, index, count| {
        let to = &mut out[at..at + width];
        for (o, value) in to[..count].iter_mut().enumerate() {
            *value = w[index + o * s.output];
        }
        to[count..].fill(0.0);
    });
}

/// Adds packed gradients to `dw` in the ONNX layout.
pub(crate) fn unpack_add(
    p: &Program,
    grid: &Grid,
    s: Strides,
    isa: Isa,
    packed: &[f32],
    dw: &mut [f32],
) {
    walk(p, grid, s, isa, |at, _, index, count| {
        for (o, value) in packed[at..at + count].iter().enumerate() {
            dw[index + o * s.output] += value;
        }
    });
}

/// Calls `visit(packed offset, block width, ONNX index of the first channel, channels)`.
fn walk(
    p: &Program,
    grid: &Grid,
    s: Strides,
    isa: Isa,
    mut visit: impl FnMut(usize, usize, usize, usize),
) {
    let mut at = 0;
    for group in 0..p.groups {
        for block in blocks(p.c_output, isa) {
            let width = block.width(isa.lanes());
            let count = block.count;
            for &tap in &grid.taps {
                for source in 0..p.c_source {
                    let index = group * s.group + block.start * s.output + source * s.source + tap;
                    visit(at, width, index, count);
                    at += width;
                }
            }
        }
    }
}

/// A copy of per-channel values that full vectors may read past the end of.
pub(crate) fn with_slack(values: &[f32]) -> Buffer {
    let mut padded = Buffer::zeroed(values.len() + SLACK);
    padded[..values.len()].copy_from_slice(values);
    padded
}
