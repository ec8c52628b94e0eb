//! Weights in the order in which the tiles read them.
//!
//! `[group][block of output channels][tap][source channel][output channel of the block]`,
//! blocks padded with zeros to whole vectors. Gradients of weights have the same layout.

use super::program::Program;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};
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
    /// Kernel positions.
    pub taps: usize,
}

impl Strides {
    /// Strides for a forward program over weights `[c_out, c_in / groups, taps]`.
    pub fn forward(p: &Program, taps: usize) -> Self {
        Self {
            group: p.c_output * p.c_source * taps,
            output: p.c_source * taps,
            source: taps,
            taps,
        }
    }

    /// Strides for an input gradient, whose source channels are the weights' output channels.
    pub fn transposed(p: &Program, taps: usize) -> Self {
        Self {
            group: p.c_output * p.c_source * taps,
            output: taps,
            source: p.c_output * taps,
            taps,
        }
    }
}

/// Floats of the packed weights of some kernel positions.
pub(crate) fn packed_len(p: &Program, taps: &[usize], isa: Isa) -> usize {
    let width = total_width(&blocks(p.c_output, isa), isa.lanes());
    p.groups * width * taps.len() * p.c_source
}

/// Packs the weights of some kernel positions; `out` has [`packed_len`] floats.
pub(crate) fn pack(p: &Program, taps: &[usize], s: Strides, isa: Isa, w: &[f32], out: &mut [f32]) {
    let out = Shared::write(out);
    each_vector(p, taps, s, isa, |v, vectors| {
        for o in 0..v.count {
            let weights = &w[v.first + o * s.output..];
            let mut at = o;
            for &tap in taps {
                vectors[at] = weights[tap];
                at += v.width;
            }
        }
        for (t, vector) in vectors.chunks_exact_mut(v.width).enumerate() {
            vector[v.count..].fill(0.0);
            let at = v.packed + t * p.c_source * v.width;
            // SAFETY: inside `out`; the vectors of a source channel are this call's alone.
            unsafe {
                let to = out.ptr().add(at);
                to.copy_from_nonoverlapping(vector.as_ptr(), v.width);
            }
        }
    });
}

/// dw in the ONNX layout: the sum of packed gradients, in their order.
pub(crate) fn unpack(
    p: &Program,
    taps: &[usize],
    s: Strides,
    isa: Isa,
    packed: &[Buffer],
    dw: &mut [f32],
) {
    let out = Shared::write(dw);
    each_vector(p, taps, s, isa, |v, vectors| {
        for (t, vector) in vectors.chunks_exact_mut(v.width).enumerate() {
            let at = v.packed + t * p.c_source * v.width;
            vector.fill(0.0);
            for part in packed {
                let part = &part[at..at + v.width];
                vector.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
        }
        for o in 0..v.count {
            let mut at = o;
            for &tap in taps {
                // SAFETY: inside dw; the weights of a source channel are this call's alone.
                unsafe { *out.ptr().add(v.first + o * s.output + tap) = vectors[at] }
                at += v.width;
            }
        }
    });
}

/// What lies between one source channel and a block of output channels.
struct Vectors {
    /// Where the vector of the first tap lies, packed; of the others a source image of vectors on.
    packed: usize,
    /// Floats of a vector, and how many of them are channels.
    width: usize,
    count: usize,
    /// ONNX index of the weight of the first channel, without the tap.
    first: usize,
}

/// Weights below which one thread is quicker.
const FEW: usize = 16 * 1024;
/// Source channels per unit of work.
const CHUNK: usize = 8;

/// Calls `visit` for every source channel and block, on all threads, with room for a vector a tap.
fn each_vector(
    p: &Program,
    taps: &[usize],
    s: Strides,
    isa: Isa,
    visit: impl Fn(&Vectors, &mut [f32]) + Sync,
) {
    let blocks = blocks(p.c_output, isa);
    let (c, lanes) = (p.c_source, isa.lanes());
    let group_len = total_width(&blocks, lanes) * taps.len() * c;
    let is_short = p.groups * group_len < FEW;
    let chunk = if is_short { c } else { CHUNK };
    let chunks = c.div_ceil(chunk);
    let one = |unit: usize, vectors: &mut [f32]| {
        let (at, first) = (unit / chunks, unit % chunks * chunk);
        let (group, block) = (at / blocks.len(), &blocks[at % blocks.len()]);
        let width = block.width(lanes);
        for source in first..(first + chunk).min(c) {
            // All blocks before this one are full.
            let before = group * group_len + block.start * taps.len() * c;
            let vector = Vectors {
                packed: before + source * width,
                width,
                count: block.count,
                first: group * s.group + block.start * s.output + source * s.source,
            };
            visit(&vector, &mut vectors[..taps.len() * width]);
        }
    };
    let units = p.groups * blocks.len() * chunks;
    let room = || vec![0.0; taps.len() * 2 * lanes];
    if is_short {
        let mut vectors = room();
        (0..units).for_each(|unit| one(unit, &mut vectors));
    } else {
        parallel::dynamic(units, |queue| {
            let mut vectors = room();
            queue.for_each(|unit| one(unit, &mut vectors));
        });
    }
}

/// A copy of per-channel values that full vectors may read past the end of.
pub(crate) fn with_slack(values: &[f32]) -> Buffer {
    let mut padded = Buffer::zeroed(values.len() + SLACK);
    padded[..values.len()].copy_from_slice(values);
    padded
}
