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
//!   7 = 4 + 3, 14 = 4 + 4 + 3 + 3. A tile of 3 outputs is one of 4 without the point at
//!   infinity. Tiles are sorted by the points they lack, which keeps the rows of every point
//!   together. Sides of 1, 2 and 5 cannot be cut like that.
//!
//! dx is the same with flipped, transposed weights. dw = Gᵀ [ Σ over tiles
//! (Bᵀ d B) ⊙ (A dy Aᵀ) ] G.

mod gradient;
mod points;
mod product;
mod tiling;
mod transform;
mod weights;

pub(crate) use gradient::{GradientSums, Scratch as GradientScratch};
pub(crate) use product::{Prepared, Scratch};
pub(crate) use tiling::POINTS;
pub(crate) use weights::Direction;

use super::shape::ConvShape;
use tiling::cut;

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
