//! Winograd convolution F(4x4, 3x3): forward, input gradient and weight gradient.
//!
//! y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A for tiles of 4x4 outputs and 6x6 inputs: 36 products
//! instead of 144. The products of all tiles and channels are one matrix product for each of
//! the 36 points. Source: Lavin and Gray, "Fast algorithms for convolutional neural
//! networks", arXiv:1509.09308.
//!
//! Departures:
//! - The points are 0, ±5/8, ±3/2 and infinity instead of 0, ±1, ±2 and infinity. The cost is
//!   the same, and all constants of A and B are exact in f32; against an f64 reference the
//!   largest error falls by 2 to 5 and the mean one by 1.5 to 2.
//! - Tiles have 4 or 3 outputs along each axis, so that nothing is padded or thrown away:
//!   7 = 4 + 3, 14 = 4 + 4 + 3 + 3. A tile of 3 just lacks the point at infinity. Tiles are
//!   sorted by what they lack, which keeps the rows of every point together. Sides of
//!   1, 2 and 5 cannot be cut like that.
//!
//! dx is the same with flipped, transposed weights. dw = Gᵀ [ Σ over tiles
//! (Bᵀ d B) ⊙ (A dy Aᵀ) ] G.

mod gradient;
mod points;
mod product;
mod transform;
mod weights;

pub(crate) use gradient::{GradientSums, Scratch as GradientScratch};
pub(crate) use product::{Prepared, Scratch};
pub(crate) use weights::Direction;

use super::shape::ConvShape;
use crate::isa::Isa;

/// Points: (4 + 3 - 1)².
pub(crate) const POINTS: usize = 36;

/// True if the shape can be computed this way.
pub(crate) fn supports(s: &ConvShape) -> bool {
    s.kernel_size == [3, 3]
        && s.stride == [1, 1]
        && s.dilation == [1, 1]
        && s.groups == 1
        && s.pads.iter().all(|&p| p <= 2)
        && [s.h, s.w, s.out_h(), s.out_w()]
            .into_iter()
            .all(|side| cut(side).is_some())
}

/// Cuts a side into tiles: start and whether it has 3 outputs instead of 4.
fn cut(side: usize) -> Option<Vec<(usize, bool)>> {
    let n = side.div_ceil(4);
    let short = 4 * n - side;
    (short <= n).then(|| {
        let mut start = 0;
        (0..n)
            .map(|i| {
                let is_short = i >= n - short;
                let tile = (start, is_short);
                start += if is_short { 3 } else { 4 };
                tile
            })
            .collect()
    })
}

/// A tile's place in the image and among the tiles of its class.
#[derive(Debug, Clone, Copy)]
struct Spot {
    class: u8,
    index: u32,
    y: u32,
    x: u32,
}

/// The tiles of one image of `h * w` outputs.
///
/// Classes, in the order of their rows in a block: 0 short in x, 1 full, 2 short in y,
/// 3 short in both. Each point then has one contiguous range of rows.
#[derive(Debug, Clone)]
pub(crate) struct Tiling {
    pub h: usize,
    pub w: usize,
    spots: Vec<Spot>,
    counts: [usize; 4],
}

impl Tiling {
    /// `None` if a side cannot be cut.
    pub fn new(h: usize, w: usize) -> Option<Self> {
        let (rows, cols) = (cut(h)?, cut(w)?);
        let mut counts = [0; 4];
        let mut spots = Vec::with_capacity(rows.len() * cols.len());
        for &(y, short_y) in &rows {
            for &(x, short_x) in &cols {
                let class = match (short_y, short_x) {
                    (false, true) => 0,
                    (false, false) => 1,
                    (true, false) => 2,
                    (true, true) => 3,
                };
                let index = counts[class];
                counts[class] += 1;
                spots.push(Spot {
                    class: class as u8,
                    index: index as u32,
                    y: y as u32,
                    x: x as u32,
                });
            }
        }
        Some(Self {
            h,
            w,
            spots,
            counts,
        })
    }

    /// Tiles of an image.
    pub fn len(&self) -> usize {
        self.spots.len()
    }

    /// Rows of point `p` that exist in a block of `images` images.
    fn rows(&self, images: usize, p: usize) -> std::ops::Range<usize> {
        let c = &self.counts;
        let (first, second) = (c[0] * images, (c[0] + c[1]) * images);
        let third = second + c[2] * images;
        match (p / 6 == 5, p % 6 == 5) {
            (false, false) => 0..self.len() * images,
            (true, false) => 0..second,
            (false, true) => first..third,
            (true, true) => first..second,
        }
    }

    /// Row of a tile of image `image` in a block of `images` images.
    #[inline(always)]
    fn row(&self, images: usize, image: usize, spot: &Spot) -> usize {
        let class = usize::from(spot.class);
        let before: usize = self.counts[..class].iter().sum();
        images * before + image * self.counts[class] + spot.index as usize
    }
}

/// Floats from one tile's row to the next in a block of transformed pixels of `c` channels:
/// exact where parts of vectors can be stored cheaply.
fn pitch(isa: Isa, c: usize) -> usize {
    if isa == Isa::Avx512 {
        c
    } else {
        c.next_multiple_of(isa.lanes())
    }
}

/// Floats from one point to the next: a cache line more than needed, so that the points of a
/// tile do not fall into the same cache sets; and room for a vector past the end.
fn point_stride(rows: usize, pitch: usize) -> usize {
    (rows * pitch).next_multiple_of(16) + 16
}

/// Least and most floats of the transformed tiles of a block of images: 240 KB, which
/// narrow layers like best, and what the second-level cache holds beside the weights.
const LEAST_BLOCK: usize = 60_000;
const MOST_FORWARD: usize = 120_000;
const MOST_GRADIENT: usize = 240_000;
/// Blocks are this many times as large as the transformed weights, which every block reads
/// (and a gradient writes) once.
const BLOCK_PER_WEIGHT: usize = 4;

/// Images of a block, of which each tile has `floats` floats for each point; there is a
/// block for every thread.
fn group(
    tiling: &Tiling,
    floats: usize,
    weights: usize,
    most: usize,
    n: usize,
    threads: usize,
) -> usize {
    let budget = (BLOCK_PER_WEIGHT * weights).clamp(LEAST_BLOCK, most);
    let image = POINTS * floats * tiling.len();
    (budget / image).clamp(1, n.div_ceil(threads).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_cut_exactly() {
        for side in 1..200 {
            let Some(tiles) = cut(side) else {
                assert!([1, 2, 5].contains(&side), "{side}");
                continue;
            };
            let mut next = 0;
            for (start, short) in tiles {
                assert_eq!(start, next);
                next += if short { 3 } else { 4 };
            }
            assert_eq!(next, side);
        }
    }

    #[test]
    fn every_tile_has_its_own_row_within_the_rows_of_its_points() {
        for (h, w, images) in [(7, 7, 3), (14, 28, 2), (4, 3, 2), (6, 10, 1)] {
            let tiling = Tiling::new(h, w).unwrap();
            let mut seen = vec![false; images * tiling.len()];
            for image in 0..images {
                for spot in &tiling.spots {
                    let row = tiling.row(images, image, spot);
                    assert!(!std::mem::replace(&mut seen[row], true));
                    let (short_y, short_x) = (spot.class >= 2, spot.class % 3 == 0);
                    for p in 0..POINTS {
                        let missing = short_y && p / 6 == 5 || short_x && p % 6 == 5;
                        assert_eq!(tiling.rows(images, p).contains(&row), !missing);
                    }
                }
            }
            assert!(seen.iter().all(|&s| s));
        }
    }
}
