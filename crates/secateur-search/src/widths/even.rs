//! The same share of every layer.

use super::Frame;

/// Halvings of the interval in which the share lies.
const BISECTIONS: usize = 16;

/// The widths of the largest network that fits and keeps the same share of every layer that may
/// be switched.
pub fn even(frame: &Frame<'_>) -> Vec<usize> {
    let full = frame.full();
    let at = |share: f64| -> Vec<usize> {
        let of_group = |(group, &width): (usize, &usize)| {
            frame.allowed(group, (width as f64 * share).ceil() as usize)
        };
        full.iter().enumerate().map(of_group).collect()
    };
    if frame.fits(&full) {
        return full;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..BISECTIONS {
        let middle = (low + high) / 2.0;
        *(if frame.fits(&at(middle)) {
            &mut low
        } else {
            &mut high
        }) = middle;
    }
    at(low)
}
