//! How an image is cut into tiles, and how large the bundles of images are that are transformed
//! together.

use crate::isa::Isa;

/// Points: (4 + 3 - 1)².
pub(crate) const POINTS: usize = 36;

/// Cuts a side into tiles: where each starts, and whether it is short, with 3 outputs instead of
/// 4. `None` if that is impossible.
pub(super) fn cut(side: usize) -> Option<Vec<(usize, bool)>> {
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
pub(super) struct Spot {
    pub class: u8,
    index: u32,
    pub y: u32,
    pub x: u32,
}

/// The tiles of one image of `h * w` outputs.
///
/// Classes, in the order of their rows in a bundle: 0 short in x, 1 full, 2 short in y, 3 short
/// in both. In this order the tiles that have a point are one contiguous range of rows.
#[derive(Debug, Clone)]
pub(super) struct Tiling {
    pub h: usize,
    pub w: usize,
    pub spots: Vec<Spot>,
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

    /// Rows of the tiles that have point `p`, in a bundle of `images` images.
    pub fn rows(&self, images: usize, p: usize) -> std::ops::Range<usize> {
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

    /// Row of a tile of image `image` in a bundle of `images` images.
    #[inline(always)]
    pub fn row(&self, images: usize, image: usize, spot: &Spot) -> usize {
        let class = usize::from(spot.class);
        let before: usize = self.counts[..class].iter().sum();
        images * before + image * self.counts[class] + spot.index as usize
    }
}

/// Floats from one tile's row to the next in transformed pixels of `c` channels: no more than
/// `c` on the level that stores parts of vectors cheaply, else whole vectors.
pub(super) fn pitch(isa: Isa, c: usize) -> usize {
    if isa == Isa::Avx512 {
        c
    } else {
        c.next_multiple_of(isa.lanes())
    }
}

/// Floats from one point to the next: a cache line more than needed, so that the points of a
/// tile do not fall into the same cache sets; and room for a vector past the end.
pub(super) fn point_stride(rows: usize, pitch: usize) -> usize {
    (rows * pitch).next_multiple_of(16) + 16
}

/// Least floats of the transformed tiles of a bundle of images: narrow layers are fastest with
/// these 240 KB.
const LEAST_BUNDLE: usize = 60_000;
/// Most floats of them: what the second-level cache holds beside the weights.
pub(super) const MOST_FORWARD: usize = 120_000;
/// The same for a weight gradient, whose tiles are those of x and of dy.
pub(super) const MOST_GRADIENT: usize = 240_000;
/// Bundles are this many times as large as the transformed weights, which every bundle reads (and
/// a gradient writes) once.
const BUNDLE_PER_WEIGHT: usize = 4;

/// Images of a bundle, if each tile has `floats` floats for each point: few enough that there is
/// a bundle for every thread.
pub(super) fn bundle(
    tiling: &Tiling,
    floats: usize,
    weights: usize,
    most: usize,
    n: usize,
    threads: usize,
) -> usize {
    let budget = (BUNDLE_PER_WEIGHT * weights).clamp(LEAST_BUNDLE, most);
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
