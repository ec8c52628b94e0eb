//! The gradient of a value that several operations read.
//!
//! Burn adds such gradients up one by one, each sum in new memory and on one thread. Here the first
//! operation of a backward pass that has a part of the gradient gives Burn a tensor whose values are
//! not fixed yet; each later one takes the values back, adds its own part, mostly while that lies in
//! the caches, and gives Burn nothing. With the first look at the tensor its values are fixed: whoever
//! comes after that goes the way of Burn.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use burn_autodiff::NodeId;
use rayon::prelude::*;
use secateur_cpu::memory::Buffer;

use super::{CHUNK, timed};
use crate::lock::lock;

/// Sums that are remembered before those that nobody holds any more are forgotten.
const REMEMBERED: usize = 64;

thread_local! {
    /// The sums of the backward pass that runs on this thread.
    static SUMS: RefCell<HashMap<NodeId, Weak<GradientSum>>> = RefCell::default();
}

/// A sum of gradients that grows until it is read.
#[derive(Debug, Default)]
pub struct GradientSum {
    growing: Mutex<Option<Buffer>>,
    read: OnceLock<Arc<Buffer>>,
}

impl GradientSum {
    /// The sum of the gradients of `node` that may still grow, or a new one.
    pub(super) fn of(node: NodeId) -> Arc<Self> {
        let known = SUMS.with_borrow(|sums| sums.get(&node).and_then(Weak::upgrade));
        known
            .filter(|sum| sum.read.get().is_none())
            .unwrap_or_else(|| {
                let sum = Arc::new(Self::default());
                SUMS.with_borrow_mut(|sums| {
                    if sums.len() >= REMEMBERED {
                        sums.retain(|_, sum| sum.strong_count() > 0);
                    }
                    sums.insert(node, Arc::downgrade(&sum));
                });
                sum
            })
    }

    /// True once there is a part.
    pub(super) fn has_begun(&self) -> bool {
        lock(&self.growing).is_some()
    }

    /// The sum so far, for an operation that adds it to its own part ([`Self::grow`]).
    pub(super) fn take(&self) -> Option<Buffer> {
        lock(&self.growing).take()
    }

    /// Takes in a part, to which `before`, the sum that was taken, is added already. True if it is the
    /// first one.
    pub(super) fn grow(&self, part: Option<Buffer>, before: Option<Buffer>) -> bool {
        let mut growing = lock(&self.growing);
        let begins = growing.is_none() && before.is_none();
        *growing = match (part, growing.take()) {
            (Some(mut part), Some(sum)) => {
                timed(|| add(&mut part, &sum));
                Some(part)
            }
            (part, sum) => part.or(sum).or(before),
        };
        begins && growing.is_some()
    }

    /// The values, which are fixed from now on.
    pub(super) fn values(&self) -> &Arc<Buffer> {
        let fix = || {
            let sum = lock(&self.growing).take();
            Arc::new(sum.expect("a tensor is made of a sum that has a part"))
        };
        self.read.get_or_init(fix)
    }
}

/// Adds `other` to `sum`, which is as long.
pub(super) fn add(sum: &mut [f32], other: &[f32]) {
    let parts = sum.par_chunks_mut(CHUNK).zip(other.par_chunks(CHUNK));
    parts.for_each(|(sum, other)| {
        sum.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(values: &[f32]) -> Option<Buffer> {
        Some(Buffer::from(values))
    }

    #[test]
    fn a_sum_grows_until_it_is_read() {
        let node = NodeId::new();
        let sum = GradientSum::of(node);
        assert!(sum.grow(part(&[1.0, 2.0]), None));
        assert!(GradientSum::of(node).has_begun());
        assert!(!sum.grow(part(&[3.0, 4.0]), None));
        let taken = sum.take();
        assert!(
            !sum.grow(part(&[5.0, 7.0]), taken),
            "added by the operation"
        );
        assert_eq!(***sum.values(), [5.0, 7.0]);
        assert!(
            !GradientSum::of(node).has_begun(),
            "read: another one begins"
        );
    }

    #[test]
    fn a_part_that_does_not_come_leaves_the_sum() {
        let sum = GradientSum::of(NodeId::new());
        assert!(!sum.grow(None, None));
        assert!(sum.grow(part(&[1.0]), None));
        let taken = sum.take();
        assert!(!sum.grow(None, taken));
        assert_eq!(***sum.values(), [1.0]);
    }
}
