//! Aligned, recycled memory for activations and scratch.
//!
//! A training step asks for the same sizes over and over. Fresh memory of that
//! size costs a page fault per 4 KiB, which is as much time as a batch norm, so
//! buffers return to a pool when dropped and a warm step allocates nothing.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// Bytes that memory from the pool is aligned to: one cache line.
pub const ALIGNMENT: usize = 64;
/// Floats in a cache line; capacities are multiples of it.
const LINE: usize = ALIGNMENT / size_of::<f32>();
/// Idle bytes that are kept in any case.
const LEAST_LIMIT: usize = 1 << 30;

/// How many live and idle bytes are kept together, in quarters of the most live bytes so far.
/// The forward and the backward pass need blocks of different sizes: with four quarters a
/// training step of MobileNetV2 frees a hundred blocks and takes them again.
const PER_QUARTER: usize = 6;

/// Blocks from this size on ask for huge pages, which spare address translations.
const HUGE_PAGE: usize = 2 << 20;

/// Asks for huge pages in the first `n_bytes` bytes of a fresh allocation.
fn ask_for_huge_pages(start: NonNull<f32>, n_bytes: usize) {
    // The call may fail or not exist: then memory comes in ordinary pages, which is only slower.
    #[cfg(target_os = "linux")]
    // SAFETY: the range belongs to an allocation of ours; the advice changes no contents.
    unsafe {
        libc::madvise(start.as_ptr().cast(), n_bytes, libc::MADV_HUGEPAGE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, n_bytes);
}

/// Memory of `capacity` floats. All of it is initialised, always.
struct Block {
    start: NonNull<f32>,
    capacity: usize,
}

// SAFETY: a block owns its memory; nothing in it is tied to a thread.
unsafe impl Send for Block {}
// SAFETY: shared access only reads.
unsafe impl Sync for Block {}

impl Block {
    fn layout(capacity: usize) -> Layout {
        let n_bytes = capacity.checked_mul(size_of::<f32>());
        let is_huge = n_bytes.is_some_and(|n| n >= HUGE_PAGE);
        let alignment = if is_huge { HUGE_PAGE } else { ALIGNMENT };
        n_bytes
            .and_then(|n| Layout::from_size_align(n, alignment).ok())
            .unwrap_or_else(|| {
                panic!("cannot reserve memory: {capacity} floats exceed the address space")
            })
    }

    fn new(capacity: usize) -> Self {
        let layout = Self::layout(capacity);
        // SAFETY: the capacity, and with it the layout's size, is at least one line.
        let start = unsafe { alloc(layout) }.cast::<f32>();
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout)
        };
        if layout.align() == HUGE_PAGE {
            ask_for_huge_pages(start, layout.size() / HUGE_PAGE * HUGE_PAGE);
        }
        // SAFETY: just allocated with room for `capacity` floats, of which 0 is a valid one.
        unsafe { start.write_bytes(0, capacity) };
        Self { start, capacity }
    }

    fn n_bytes(&self) -> usize {
        self.capacity * size_of::<f32>()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this very layout and freed only here.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.capacity)) }
    }
}

struct Pool {
    /// The block that was returned first stands first, and is freed first: it may have a size
    /// that nothing asks for any more.
    idle: Vec<Block>,
    idle_bytes: usize,
    live_bytes: usize,
    peak_bytes: usize,
    /// Largest `live_bytes` since the start, whatever [`reset_peak`] does: the limit of idle
    /// memory follows from it.
    most_bytes: usize,
    n_allocations: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    idle: Vec::new(),
    idle_bytes: 0,
    live_bytes: 0,
    peak_bytes: 0,
    most_bytes: 0,
    n_allocations: 0,
});

fn pool() -> std::sync::MutexGuard<'static, Pool> {
    // A poisoned lock is fine: nothing that changes the pool can panic halfway.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    fn free_down_to(&mut self, limit: usize) -> Vec<Block> {
        let mut n = 0;
        while self.idle_bytes > limit && n < self.idle.len() {
            self.idle_bytes -= self.idle[n].n_bytes();
            n += 1;
        }
        self.idle.drain(..n).collect()
    }
}

/// Rounds up so that nearly equal sizes share memory: at most an eighth is wasted.
fn capacity_for(len: usize) -> usize {
    let len = len.max(1);
    let step = (len.next_power_of_two() / 16).max(LINE);
    len.checked_next_multiple_of(step).unwrap_or(usize::MAX)
}

/// How much memory the pool has given out and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in buffers that are alive.
    pub live_bytes: usize,
    /// Bytes waiting to be used again.
    pub idle_bytes: usize,
    /// Largest `live_bytes` since the start or the last [`reset_peak`].
    pub peak_bytes: usize,
    /// Blocks that had to be taken from the system since the start: stands still in a warm
    /// training step.
    pub n_allocations: usize,
}

/// What the pool holds now.
pub fn usage() -> Usage {
    let pool = pool();
    Usage {
        live_bytes: pool.live_bytes,
        idle_bytes: pool.idle_bytes,
        peak_bytes: pool.peak_bytes,
        n_allocations: pool.n_allocations,
    }
}

/// Starts a new measurement of [`Usage::peak_bytes`].
pub fn reset_peak() {
    let mut pool = pool();
    pool.peak_bytes = pool.live_bytes;
}

/// A slice of floats, aligned to [`ALIGNMENT`], that returns to the pool when dropped.
pub struct Buffer {
    /// Always `Some` outside `drop`.
    block: Option<Block>,
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: a buffer owns its block; see there.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` floats with unspecified (but initialised) contents.
    ///
    /// # Panics
    /// If `len` floats exceed the address space; out of memory aborts, as for `Vec`.
    pub fn get(len: usize) -> Self {
        let capacity = capacity_for(len);
        let mut pool = pool();
        let found = pool
            .idle
            .iter()
            .rposition(|block| block.capacity == capacity);
        let recycled = found.map(|i| pool.idle.remove(i));
        if let Some(block) = &recycled {
            pool.idle_bytes -= block.n_bytes();
        }
        pool.n_allocations += usize::from(recycled.is_none());
        pool.live_bytes += capacity * size_of::<f32>();
        pool.peak_bytes = pool.peak_bytes.max(pool.live_bytes);
        pool.most_bytes = pool.most_bytes.max(pool.live_bytes);
        drop(pool);
        let block = recycled.unwrap_or_else(|| Block::new(capacity));
        Self {
            start: block.start,
            block: Some(block),
            len,
        }
    }

    /// A buffer of `len` zeros.
    ///
    /// # Panics
    /// As [`Buffer::get`].
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::get(len);
        buffer.fill(0.0);
        buffer
    }

    /// First element; valid for reads of `len()` floats while the buffer lives.
    pub fn as_ptr(&self) -> *const f32 {
        self.start.as_ptr()
    }

    /// First element; valid for reads and writes of `len()` floats while the buffer lives.
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.start.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        let mut pool = pool();
        pool.live_bytes -= block.n_bytes();
        pool.idle_bytes += block.n_bytes();
        pool.idle.push(block);
        let room = (pool.most_bytes / 4 * PER_QUARTER).saturating_sub(pool.live_bytes);
        let freed = pool.free_down_to(room.max(LEAST_LIMIT));
        drop(pool);
        // Returning memory to the system takes time, during which others must not wait for the
        // pool: so it happens after the lock is released.
        drop(freed);
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: the block has at least `len` initialised floats and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} floats)", self.len)
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Self {
        let mut buffer = Self::get(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacities_waste_at_most_an_eighth() {
        for len in (0..5000).chain([1 << 20, (1 << 20) + 1, 3_211_264]) {
            let capacity = capacity_for(len);
            assert!(capacity >= len && capacity.is_multiple_of(LINE));
            assert!(capacity <= len + (len / 8).max(LINE), "{len} -> {capacity}");
            assert_eq!(capacity_for(capacity), capacity);
        }
    }

    #[test]
    fn memory_is_aligned_used_again_and_freed() {
        // An odd size, so that other tests do not take the block in between.
        let len = 7_654_321;
        let mut a = Buffer::zeroed(len);
        assert_eq!(a.len(), len);
        assert_eq!(a.as_ptr() as usize % ALIGNMENT, 0);
        a[len - 1] = 3.0;
        let address = a.as_ptr();
        let b = a.clone();
        assert_ne!(b.as_ptr(), address);
        assert_eq!(b[len - 1], 3.0);
        drop(b);
        drop(a);
        let again = Buffer::get(len);
        assert_eq!(
            again.as_ptr(),
            address,
            "the block used last comes back first"
        );
        assert!(usage().peak_bytes >= usage().live_bytes);
        drop(again);
        assert!(usage().idle_bytes >= len * 4);
        let freed = pool().free_down_to(0);
        drop(freed);
        assert!(
            !pool()
                .idle
                .iter()
                .any(|block| block.capacity == capacity_for(len))
        );
    }

    #[test]
    fn empty_buffers_work() {
        let empty = Buffer::get(0);
        assert!(empty.is_empty());
        assert!(Buffer::from(&[][..]).is_empty());
    }
}
