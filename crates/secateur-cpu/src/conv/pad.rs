//! Copies of images with a border of zeros.

use super::program::Padding;

/// Writes the padded copy of the image `src` (`[h, w, c]`) to `dst`.
///
/// # Safety
/// `src` is valid for `h * w * c` floats and `dst` for `rows * cols * c`.
pub(crate) unsafe fn pad_image(src: *const f32, [h, w, c]: [usize; 3], p: Padding, dst: *mut f32) {
    let pitch = p.cols * c;
    // Columns of the source that are visible, and where they go.
    let first = (-p.left).max(0) as usize;
    let left = p.left.max(0) as usize;
    let n = w.saturating_sub(first).min(p.cols.saturating_sub(left));
    for row in 0..p.rows {
        // SAFETY: `row < rows`; the visible columns lie inside both images.
        unsafe {
            let to = dst.add(row * pitch);
            let y = row as isize - p.top;
            if y < 0 || y >= h as isize || n == 0 {
                to.write_bytes(0, pitch);
                continue;
            }
            to.write_bytes(0, left * c);
            let from = src.add((y as usize * w + first) * c);
            to.add(left * c).copy_from_nonoverlapping(from, n * c);
            to.add((left + n) * c)
                .write_bytes(0, pitch - (left + n) * c);
        }
    }
}

/// Writes zeros around the image of `h * w` pixels inside a padded one.
///
/// # Safety
/// `dst` is valid for `rows * cols * c` floats; the image lies inside, not cropped.
pub(crate) unsafe fn zero_border([h, w, c]: [usize; 3], p: Padding, dst: *mut f32) {
    let pitch = p.cols * c;
    let (top, left) = (p.top as usize, p.left as usize);
    // SAFETY: all ranges lie inside the padded image.
    unsafe {
        dst.write_bytes(0, top * pitch);
        for y in top..top + h {
            dst.add(y * pitch).write_bytes(0, left * c);
            dst.add(y * pitch + (left + w) * c)
                .write_bytes(0, (p.cols - left - w) * c);
        }
        dst.add((top + h) * pitch)
            .write_bytes(0, (p.rows - top - h) * pitch);
    }
}
