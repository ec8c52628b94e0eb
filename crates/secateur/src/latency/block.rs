//! The channels that an engine computes together.
//!
//! A routine for 8 channels at once takes as long for one as for eight: over more and more kernels a
//! layer's time rises in steps. Between 16 and 32 kernels of one convolution we look which part of
//! the whole rise lies right behind multiples of 16, of 8 and of 4.

use serde::{Deserialize, Serialize};

/// Blocks that are looked for, the largest first.
const BLOCKS: [usize; 3] = [16, 8, 4];
/// Kernels of the convolution.
pub(super) const KERNELS: std::ops::RangeInclusive<usize> = 16..=33;
/// Part of the rise that must lie behind the ends of blocks: of even steps a quarter does behind
/// those of 4.
const ENOUGH: f64 = 0.75;

/// Times of a layer kernel by kernel, and what they show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Node of the layer.
    pub layer: String,
    /// Kernels and nanoseconds.
    pub times: Vec<(usize, f64)>,
    /// Channels that are computed together; 1 where no steps are seen.
    pub size: usize,
}

impl Block {
    pub(super) fn new(layer: String, times: Vec<(usize, f64)>) -> Self {
        let rise = |of: &dyn Fn(usize) -> bool| -> f64 {
            let steps = times.windows(2).filter(|pair| of(pair[0].0));
            steps.map(|pair| pair[1].1 - pair[0].1).sum()
        };
        let whole = rise(&|_| true);
        let found = BLOCKS.into_iter().find(|&block| {
            whole > 0.0 && rise(&|kernels| kernels.is_multiple_of(block)) > ENOUGH * whole
        });
        Self {
            layer,
            size: found.unwrap_or(1),
            times,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(time: impl Fn(usize) -> f64) -> usize {
        let times = KERNELS.map(|kernels| (kernels, time(kernels))).collect();
        Block::new("conv".to_string(), times).size
    }

    #[test]
    fn steps_tell_the_block() {
        for block in [4, 8, 16] {
            // A little noise, and blocks of uneven worth.
            let stepped = |k: usize| k.div_ceil(block) as f64 * 10.0 + 0.3 * (k % 3) as f64;
            assert_eq!(of(stepped), block);
        }
        assert_eq!(of(|kernels| kernels as f64), 1);
        assert_eq!(of(|_| 5.0), 1);
        assert_eq!(of(|kernels| 50.0 - kernels as f64), 1);
    }
}
