//! Weights to points and back: `[block][point][source channel][channel of the block]`, with a
//! cache line behind each point.

use super::tiling::POINTS;
use super::transform::{self, WIDTH};
use crate::conv::pack::Block;
use crate::isa::Isa;
use crate::memory::Buffer;
use crate::parallel::{self, Shared};

/// Whether weights are taken as they are, or flipped and transposed for the input gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}

/// How source and output channels lie in the ONNX weights `[c_out, c_in, 3, 3]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub c_source: usize,
    pub c_output: usize,
    pub direction: Direction,
}

impl Layout {
    /// Index of the first of the nine taps.
    fn at(&self, output: usize, source: usize) -> usize {
        match self.direction {
            Direction::Forward => (output * self.c_source + source) * 9,
            Direction::Back => (source * self.c_output + output) * 9,
        }
    }
}

/// Source channels per unit of work.
const CHUNK: usize = 8;

/// Floats from one point of a block to the next: a cache line more than needed, because points of
/// wide layers that lie a power of two apart would all fall into the same cache sets.
pub(super) fn weight_stride(c_source: usize, width: usize) -> usize {
    c_source * width + 16
}

/// Floats of the points of all weights.
pub(super) fn points_len(c_source: usize, blocks: &[Block], isa: Isa) -> usize {
    let widths = blocks.iter().map(|block| block.width(isa.lanes()));
    widths
        .map(|width| POINTS * weight_stride(c_source, width))
        .sum()
}

/// Offset of a block among the points of all weights, and its width.
pub(super) fn block_offsets(c_source: usize, blocks: &[Block], isa: Isa) -> Vec<(usize, usize)> {
    let mut at = 0;
    blocks
        .iter()
        .map(|block| {
            let width = block.width(isa.lanes());
            let offset = at;
            at += POINTS * weight_stride(c_source, width);
            (offset, width)
        })
        .collect()
}

/// G g Gᵀ of all weights.
pub(super) fn to_points(isa: Isa, layout: Layout, blocks: &[Block], w: &[f32]) -> Buffer {
    let c = layout.c_source;
    let mut points = Buffer::get(points_len(c, blocks, isa));
    let offsets = block_offsets(c, blocks, isa);
    let chunks = c.div_ceil(CHUNK);
    let out = Shared::write(&mut points);
    parallel::dynamic(blocks.len() * chunks, |queue| {
        let mut taps = [0.0f32; 9 * WIDTH];
        for unit in queue {
            let (block, (offset, width)) = (&blocks[unit / chunks], offsets[unit / chunks]);
            let first = unit % chunks * CHUNK;
            for source in first..(first + CHUNK).min(c) {
                for o in 0..block.count {
                    let at = layout.at(block.start + o, source);
                    for (tap, &value) in w[at..at + 9].iter().enumerate() {
                        let to = match layout.direction {
                            Direction::Forward => tap,
                            Direction::Back => 8 - tap,
                        };
                        taps[to * WIDTH + o] = value;
                    }
                }
                // The channels of the padding may still hold values of a wider block. They reach
                // only outputs that are not stored.
                // SAFETY: the block's points lie inside the buffer; units differ in theirs.
                unsafe {
                    let to = out.ptr().add(offset + source * width);
                    let stride = weight_stride(c, width);
                    transform::weights(isa, width, taps.as_ptr(), to, stride);
                }
            }
        }
    });
    points
}

/// dw = Gᵀ (Σ sums) G, for a forward layout.
pub(super) fn from_points(
    isa: Isa,
    layout: Layout,
    blocks: &[Block],
    sums: &[Buffer],
    dw: &mut [f32],
) {
    let c = layout.c_source;
    let offsets = block_offsets(c, blocks, isa);
    let chunks = c.div_ceil(CHUNK);
    let out = Shared::write(dw);
    parallel::dynamic(blocks.len() * chunks, |queue| {
        let mut taps = [0.0f32; 9 * WIDTH];
        let mut from = Vec::with_capacity(sums.len());
        for unit in queue {
            let (block, (offset, width)) = (&blocks[unit / chunks], offsets[unit / chunks]);
            let first = unit % chunks * CHUNK;
            for source in first..(first + CHUNK).min(c) {
                from.clear();
                from.extend(
                    sums.iter()
                        .map(|sum| sum[offset + source * width..].as_ptr()),
                );
                // SAFETY: all sums have the points of all weights; `taps` holds a block.
                unsafe {
                    let stride = weight_stride(c, width);
                    transform::weights_back(isa, width, &from, stride, taps.as_mut_ptr());
                }
                for o in 0..block.count {
                    let at = layout.at(block.start + o, source);
                    for tap in 0..9 {
                        // SAFETY: inside dw; each weight belongs to one unit.
                        unsafe { *out.ptr().add(at + tap) = taps[tap * WIDTH + o] }
                    }
                }
            }
        }
    });
}
