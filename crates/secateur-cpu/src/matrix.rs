//! Sums of products in 64 bits, as least squares need them: C += s · AᵀB.
//!
//! Both operands are read by strides, in 32 or 64 bits, so that a matrix and its transpose, a part
//! of one and a block of a factorisation all go through the same routine. Blocks of both are packed
//! for tiles of registers (Goto and van de Geijn, ACM TOMS 34, 2008).

use rayon::prelude::*;

use crate::isa::{self, Isa};
use crate::simd::{Simd, Wide, dispatch, unrolled};

/// Rows of a tile, and its columns at most.
const TILE_ROWS: usize = 6;
const TILE_COLUMNS: usize = 16;

/// Products of a sum that are added at a time: a panel of B stays in the first cache.
const DEPTH: usize = 256;

/// Rows of C that a thread takes at a time: the block of A stays in the second cache.
const ROWS: usize = 16 * TILE_ROWS;

/// An operand: its value for product `k` and index `i` lies at `start + k · step + i · stride`.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a, T> {
    /// Where its elements lie.
    pub values: &'a [T],
    /// The first of them.
    pub start: usize,
    /// From one product of a sum to the next.
    pub step: usize,
    /// From one index to the next.
    pub stride: usize,
    /// Number of indices.
    pub len: usize,
}

impl<'a, T: Copy> Operand<'a, T> {
    /// All of a row-major matrix of `columns` columns: a product for each row, an index for each
    /// column.
    pub fn rows(values: &'a [T], columns: usize) -> Self {
        Self {
            values,
            start: 0,
            step: columns,
            stride: 1,
            len: columns,
        }
    }

    /// The transpose of the first `rows` rows of such a matrix: a product for each column, an
    /// index for each row.
    pub fn columns(values: &'a [T], columns: usize, rows: usize) -> Self {
        Self {
            values,
            start: 0,
            step: 1,
            stride: columns,
            len: rows,
        }
    }

    /// From product `from` on.
    #[must_use]
    pub fn from_product(self, from: usize) -> Self {
        Self {
            start: self.start + from * self.step,
            ..self
        }
    }

    /// The `len` indices from `from` on.
    #[must_use]
    pub fn part(self, from: usize, len: usize) -> Self {
        Self {
            start: self.start + from * self.stride,
            len,
            ..self
        }
    }

    fn check(&self, products: usize) {
        if self.len > 0 && products > 0 {
            let last = self.start + (products - 1) * self.step + (self.len - 1) * self.stride;
            assert!(
                last < self.values.len(),
                "an operand has {} values, not {last}",
                self.values.len()
            );
        }
    }

    /// Panels of `width` indices from `from` to `to`, a row of `width` for each product; zeros
    /// behind the last index.
    fn pack(
        &self,
        products: std::ops::Range<usize>,
        range: std::ops::Range<usize>,
        width: usize,
    ) -> Vec<f64>
    where
        T: Into<f64>,
    {
        let panels = range.len().div_ceil(width);
        let mut packed = vec![0.0; panels * products.len() * width];
        let size = products.len() * width;
        for (panel, to) in packed.chunks_exact_mut(size).enumerate() {
            let first = range.start + panel * width;
            let count = width.min(range.end - first);
            let first = self.start + products.start * self.step + first * self.stride;
            // Whichever lies side by side is read in one go.
            if self.stride == 1 {
                for (k, row) in to.chunks_exact_mut(width).enumerate() {
                    let values = &self.values[first + k * self.step..][..count];
                    let values = row.iter_mut().zip(values);
                    values.for_each(|(to, &value)| *to = value.into());
                }
            } else {
                for i in 0..count {
                    let values = self.values[first + i * self.stride..].iter();
                    let column = to[i..].iter_mut().step_by(width);
                    let values = column.zip(values.step_by(self.step));
                    values.for_each(|(to, &value)| *to = value.into());
                }
            }
        }
        packed
    }
}

/// Which elements of C are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// All.
    Both,
    /// Those on and below the diagonal; others may be changed as well.
    Lower,
}

/// `c[i · stride + j] += scale · Σ_k a(k, i) · b(k, j)` for `products` values of k.
///
/// # Panics
/// If an operand or `c` is too short.
pub fn add_products<A, B>(
    scale: f64,
    (a, b): (Operand<'_, A>, Operand<'_, B>),
    products: usize,
    c: &mut [f64],
    stride: usize,
    half: Half,
) where
    A: Copy + Into<f64> + Sync,
    B: Copy + Into<f64> + Sync,
{
    a.check(products);
    b.check(products);
    if a.len == 0 || b.len == 0 {
        return;
    }
    assert!(b.len <= stride, "rows of {stride} for {} columns", b.len);
    assert!(
        (a.len - 1) * stride + b.len <= c.len(),
        "the result is too short"
    );
    let isa = isa::active();
    // Two vectors of 64-bit numbers hold as many as one of 32-bit numbers.
    let width = isa.lanes();
    for first in (0..products).step_by(DEPTH) {
        let range = first..(first + DEPTH).min(products);
        let packed = b.pack(range.clone(), 0..b.len, width);
        let blocks = c.par_chunks_mut(ROWS * stride).enumerate();
        blocks.for_each(|(block, c)| {
            let rows = block * ROWS..((block + 1) * ROWS).min(a.len);
            if rows.is_empty() {
                return;
            }
            let left = a.pack(range.clone(), rows.clone(), TILE_ROWS);
            let tiles = Tiles {
                isa,
                width,
                depth: range.len(),
                scale,
                half,
            };
            tiles.add(&left, &packed, (rows, b.len), c, stride);
        });
    }
}

/// How tiles are computed.
struct Tiles {
    isa: Isa,
    width: usize,
    depth: usize,
    scale: f64,
    half: Half,
}

impl Tiles {
    /// Adds the products of packed blocks to the rows `rows` and first `columns` of C; `c` begins
    /// with the first of those rows.
    fn add(
        &self,
        left: &[f64],
        right: &[f64],
        (rows, columns): (std::ops::Range<usize>, usize),
        c: &mut [f64],
        stride: usize,
    ) {
        let left = left.chunks_exact(self.depth * TILE_ROWS);
        let right = right.chunks_exact(self.depth * self.width);
        for (first, right) in (0..columns).step_by(self.width).zip(right) {
            let count = self.width.min(columns - first);
            for (top, left) in rows.clone().step_by(TILE_ROWS).zip(left.clone()) {
                let extents = (TILE_ROWS.min(rows.end - top), count);
                if self.half == Half::Lower && top + extents.0 <= first {
                    continue;
                }
                let c = &mut c[(top - rows.start) * stride + first..];
                // SAFETY: `isa` is active, so the machine has it.
                unsafe { tile(self.isa, left, right, self.scale, extents, c, stride) };
            }
        }
    }
}

dispatch! {
    fn tile / tile_of(
        left: &[f64],
        right: &[f64],
        scale: f64,
        extents: (usize, usize),
        c: &mut [f64],
        stride: usize,
    )
}

/// Adds a tile of two vectors of columns, of which the first `[rows, columns]` are wanted, to `c`.
///
/// # Safety
/// The machine has the level of `V`.
#[inline(always)]
unsafe fn tile_of<V: Simd>(
    left: &[f64],
    right: &[f64],
    scale: f64,
    (rows, columns): (usize, usize),
    c: &mut [f64],
    stride: usize,
) {
    let lanes = V::Wide::LANES;
    let depth = (left.len() / TILE_ROWS).min(right.len() / (2 * lanes));
    assert!((1..=TILE_ROWS).contains(&rows) && columns <= 2 * lanes);
    assert!((rows - 1) * stride + columns <= c.len());
    // SAFETY: `depth` rows lie in both blocks, and what is written lies in `c`.
    unsafe {
        let mut tile = [[V::Wide::zero(); 2]; TILE_ROWS];
        let (mut a, mut b) = (left.as_ptr(), right.as_ptr());
        for _ in 0..depth {
            let values = [V::Wide::load(b), V::Wide::load(b.add(lanes))];
            unrolled!(row < TILE_ROWS {
                let factor = V::Wide::splat(*a.add(row));
                tile[row][0] = V::Wide::fma(factor, values[0], tile[row][0]);
                tile[row][1] = V::Wide::fma(factor, values[1], tile[row][1]);
            });
            a = a.wrapping_add(TILE_ROWS);
            b = b.wrapping_add(2 * lanes);
        }
        let factor = V::Wide::splat(scale);
        let mut edge = [0.0; TILE_COLUMNS];
        unrolled!(row < TILE_ROWS {
            if row < rows {
                let row_of_c = c.as_mut_ptr().add(row * stride);
                let is_whole = columns == 2 * lanes;
                if !is_whole {
                    for column in 0..columns {
                        edge[column] = *row_of_c.add(column);
                    }
                }
                let to = if is_whole { row_of_c } else { edge.as_mut_ptr() };
                for half in 0..2 {
                    let to = to.add(half * lanes);
                    V::Wide::store(to, V::Wide::fma(factor, tile[row][half], V::Wide::load(to)));
                }
                if !is_whole {
                    for column in 0..columns {
                        *row_of_c.add(column) = edge[column];
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of some hundred products of numbers below 1.
    const TOLERANCE: f64 = 1e-12;

    fn values(n: usize, seed: usize) -> Vec<f64> {
        (0..n)
            .map(|i| ((i * 7919 + seed * 104_729) % 1000) as f64 / 500.0 - 1.0)
            .collect()
    }

    fn check(products: usize, rows: usize, columns: usize, stride: usize, half: Half) {
        let (a, b) = (values(products * rows, 1), values(products * columns, 2));
        let start = values((rows - 1) * stride + columns, 3);
        let by_rows = Operand::rows(&a, rows);
        // The same operand from its transpose.
        let transposed: Vec<f64> = (0..rows * products)
            .map(|at| a[at % products * rows + at / products])
            .collect();
        let by_columns = Operand::columns(&transposed, products, rows);
        for isa in isa::available() {
            for a_operand in [by_rows, by_columns] {
                let mut c = start.clone();
                isa::with(isa, || {
                    let operands = (a_operand, Operand::rows(&b, columns));
                    add_products(-0.5, operands, products, &mut c, stride, half);
                });
                for i in 0..rows {
                    let last = if half == Half::Lower {
                        columns.min(i + 1)
                    } else {
                        columns
                    };
                    for j in 0..last {
                        let sum: f64 = (0..products)
                            .map(|k| a[k * rows + i] * b[k * columns + j])
                            .sum();
                        let expected = start[i * stride + j] - 0.5 * sum;
                        let found = c[i * stride + j];
                        assert!((found - expected).abs() < TOLERANCE, "{isa} {i} {j}");
                    }
                    // What lies between the rows is not touched.
                    let gap = (i * stride + columns..((i + 1) * stride).min(c.len())).clone();
                    assert_eq!(c[gap.clone()], start[gap]);
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_plain_loops() {
        check(1, 1, 1, 1, Half::Both);
        check(5, 7, 3, 4, Half::Both);
        check(300, 13, 17, 17, Half::Both);
        check(257, 200, 33, 40, Half::Both);
        check(40, 101, 101, 101, Half::Lower);
        check(270, 230, 230, 231, Half::Lower);
    }

    #[test]
    #[should_panic(expected = "an operand has")]
    fn short_operands_are_refused() {
        let mut c = [0.0; 4];
        let short = Operand::rows(&[0.0; 5], 2);
        add_products(1.0, (short, short), 3, &mut c, 2, Half::Both);
    }
}
