//! Means and variances of channels, without cancellation.
//!
//! E\[x²\] - E\[x\]² in f32 would lose all digits of channels whose mean is much larger than
//! their deviation. So the sums of an image are taken about one of its own pixels, which is no
//! further from the image's mean than other pixels are. The images are then combined in f64 and
//! in order. Source: shifted data and pairwise updates in Chan, Golub and LeVeque, "Algorithms for
//! computing the sample variance", 1983.

use super::matrix::{Matrix, WIDE, accumulate, padded, with_sums};
use crate::simd::{Simd, dispatch};

/// Floats that [`moments`] writes for an image.
pub(crate) fn moments_len(c: usize) -> usize {
    3 * padded(c)
}

#[inline(always)]
unsafe fn moments_body<V: Simd>(m: Matrix, x: *const f32, out: *mut f32) {
    // SAFETY: the caller's contract; the shifts of a row fit their array.
    unsafe {
        let middle = x.add(m.pixels / 2 * m.c);
        let mut c0 = 0;
        while c0 < m.c {
            V::store(out.add(c0), V::load_up_to(middle.add(c0), m.c - c0));
            for array in 1..3 {
                V::store(out.add(array * padded(m.c) + c0), V::zero());
            }
            c0 += V::LANES;
        }
        let mut shifts = [0.0f32; WIDE];
        let mut shift = out.cast_const();
        if m.repeat > 1 {
            for pixel in 0..m.repeat {
                let to = shifts.as_mut_ptr().add(pixel * m.c);
                middle.copy_to_nonoverlapping(to, m.c);
            }
            shift = shifts.as_ptr();
        }
        with_sums!(m, 2, out.add(padded(m.c)), |to, stride| {
            add_moments::<V>(m, x, shift, to, stride)
        });
    }
}

/// Adds Σ (x - shift) and Σ (x - shift)² to two arrays.
#[inline(always)]
unsafe fn add_moments<V: Simd>(
    m: Matrix,
    x: *const f32,
    shift: *const f32,
    to: *mut f32,
    stride: usize,
) {
    // SAFETY: the contract of `moments`.
    unsafe {
        let mut done = 0;
        while done < m.pixels {
            let strip = m.strip(done);
            let mut c0 = 0;
            while c0 < strip.width {
                let n = strip.width - c0;
                let shift = V::load(shift.add(c0));
                let (mut sum, mut square) = ([V::zero(); 4], [V::zero(); 4]);
                let mut p = x.add(done * m.c + c0);
                for _ in 0..strip.rows / 4 {
                    for i in 0..4 {
                        let d = V::sub(V::load_up_to(p, n), shift);
                        sum[i] = V::add(sum[i], d);
                        square[i] = V::fma(d, d, square[i]);
                        p = p.wrapping_add(strip.width);
                    }
                }
                for _ in 0..strip.rows % 4 {
                    let d = V::sub(V::load_up_to(p, n), shift);
                    sum[0] = V::add(sum[0], d);
                    square[0] = V::fma(d, d, square[0]);
                    p = p.wrapping_add(strip.width);
                }
                for (i, s) in [sum, square].into_iter().enumerate() {
                    let s = V::add(V::add(s[0], s[1]), V::add(s[2], s[3]));
                    accumulate::<V>(to.add(i * stride + c0), s, n);
                }
                c0 += V::LANES;
            }
            done += strip.pixels;
        }
    }
}
dispatch! {
    /// Three padded arrays: a shift near the mean (the pixel in the middle), Σ (x - shift),
    /// Σ (x - shift)².
    ///
    /// # Safety
    /// The machine has `isa`; `x` is the matrix, `out` has [`moments_len`] floats.
    pub(crate) fn moments / moments_body(m: Matrix, x: *const f32, out: *mut f32)
}

/// Mean and biased variance of every channel.
pub(crate) struct Moments {
    pub mean: Vec<f64>,
    pub var: Vec<f64>,
}

impl Moments {
    /// The moments of a batch from those that [`moments`] gave for its images, which have
    /// `pixels` pixels each.
    pub fn combine(partials: &[f32], c: usize, pixels: usize) -> Self {
        let images = partials.chunks_exact(moments_len(c));
        let n = pixels as f64;
        let total = n * images.len() as f64;
        let at = |image: &[f32], array: usize, i: usize| f64::from(image[array * padded(c) + i]);
        let mean_of = |image: &[f32], i: usize| at(image, 0, i) + at(image, 1, i) / n;
        let mut mean = vec![0.0; c];
        for image in images.clone() {
            for (i, mean) in mean.iter_mut().enumerate() {
                *mean += mean_of(image, i);
            }
        }
        mean.iter_mut().for_each(|mean| *mean *= n / total);
        let mut var = vec![0.0; c];
        for image in images {
            for (i, var) in var.iter_mut().enumerate() {
                let sum = at(image, 1, i);
                let about_own_mean = at(image, 2, i) - sum * sum / n;
                *var += about_own_mean + n * (mean_of(image, i) - mean[i]).powi(2);
            }
        }
        var.iter_mut()
            .for_each(|var| *var = (*var / total).max(0.0));
        Self { mean, var }
    }
}
