//! Prefetching: memory that is needed soon is fetched while something else is computed.
//!
//! Matrix products keep the arithmetic units busy and the memory idle; passes over activations
//! do the opposite. So the memory that a thread reads and writes after a product is fetched, some
//! cache lines at a time, between the parts of the product.

use crate::simd::Simd;

/// Floats that will be read or written.
#[derive(Clone, Copy)]
struct Span {
    start: *const f32,
    len: usize,
    is_written: bool,
}

/// Most spans at a time: as many as the backward pass of a batch norm with a residual needs.
const MOST: usize = 4;

/// The memory that a caller needs next. These are hints only: nothing is read or written.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    spans: [Span; MOST],
    has_output: bool,
}

/// Floats in a cache line.
const LINE: usize = 16;

impl Ahead {
    /// Nothing is to be fetched.
    pub const NONE: Self = Self {
        spans: [Span {
            start: std::ptr::null(),
            len: 0,
            is_written: false,
        }; MOST],
        has_output: false,
    };

    /// The product's own output is to be fetched. That is wrong for scratch, which is in the caches
    /// already: it would push out what the product works on.
    pub const OUTPUT: Self = Self {
        has_output: true,
        ..Self::NONE
    };

    fn with(mut self, start: *const f32, len: usize, is_written: bool) -> Self {
        if start.is_null() {
            return self;
        }
        if let Some(free) = self.spans.iter_mut().find(|span| span.len == 0) {
            *free = Span {
                start,
                len,
                is_written,
            };
        }
        self
    }

    /// Adds `len` floats that will be read; none if `start` is null.
    pub fn read(self, start: *const f32, len: usize) -> Self {
        self.with(start, len, false)
    }

    /// Adds `len` floats that will be written; none if `start` is null.
    pub fn write(self, start: *const f32, len: usize) -> Self {
        self.with(start, len, true)
    }

    /// True if the output is to be fetched.
    pub fn has_output(&self) -> bool {
        self.has_output
    }

    /// Fetches part `part` of `parts` of everything but the output.
    ///
    /// # Safety
    /// As [`Simd`].
    #[inline(always)]
    pub unsafe fn fetch<V: Simd>(&self, part: usize, parts: usize) {
        // SAFETY: addresses are only hints.
        unsafe {
            for span in &self.spans {
                let lines = span.len.div_ceil(LINE);
                let range = lines * part / parts..lines * (part + 1) / parts;
                if span.is_written {
                    fetch_lines::<V, true>(span.start, range);
                } else {
                    fetch_lines::<V, false>(span.start, range);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn fetch_lines<V: Simd, const WRITE: bool>(
    start: *const f32,
    lines: std::ops::Range<usize>,
) {
    // SAFETY: addresses are only hints.
    unsafe {
        for line in lines {
            V::fetch::<WRITE>(start.wrapping_add(line * LINE));
        }
    }
}

/// Fetches `len` floats that will be written.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(crate) unsafe fn fetch_to_write<V: Simd>(start: *const f32, len: usize) {
    // SAFETY: addresses are only hints.
    unsafe { fetch_lines::<V, true>(start, 0..len.div_ceil(LINE)) }
}

/// Fetches `width` floats that will be written, from `start` on in each of some rows that are
/// `pitch` floats long.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(crate) unsafe fn fetch_columns<V: Simd>(
    rows: std::ops::Range<usize>,
    pitch: usize,
    start: *const f32,
    width: usize,
) {
    // SAFETY: addresses are only hints.
    unsafe {
        if width >= pitch {
            fetch_to_write::<V>(start.wrapping_add(rows.start * pitch), rows.len() * pitch);
            return;
        }
        for row in rows {
            fetch_to_write::<V>(start.wrapping_add(row * pitch), width);
        }
    }
}

/// Fetches `len` floats that will be read.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(crate) unsafe fn fetch_to_read<V: Simd>(start: *const f32, len: usize) {
    // SAFETY: addresses are only hints.
    unsafe { fetch_lines::<V, false>(start, 0..len.div_ceil(LINE)) }
}
