//! The same share of every layer, or shares in proportion.

use super::Frame;

/// Halvings of the interval in which the share lies.
const BISECTIONS: usize = 16;

/// The widths of the largest network that fits and keeps the same share of every layer that may
/// be switched.
pub fn even(frame: &Frame<'_>) -> Vec<usize> {
    in_proportion(frame, &vec![1.0; frame.space.switchable.len()])
}

/// The widths of the largest network that fits and whose layers keep shares in proportion to
/// `parts`, one for each group, as far as the layers' own widths allow.
pub fn in_proportion(frame: &Frame<'_>, parts: &[f64]) -> Vec<usize> {
    let full = frame.full();
    let least = parts.iter().copied().fold(f64::INFINITY, f64::min);
    let at = |share: f64| -> Vec<usize> {
        let of_group = |(group, &width): (usize, &usize)| {
            let share = (share * parts[group]).min(1.0);
            frame.allowed(group, (width as f64 * share).ceil() as usize)
        };
        full.iter().enumerate().map(of_group).collect()
    };
    if frame.fits(&full) {
        return full;
    }
    let (mut low, mut high) = (0.0, 1.0 / least.max(f64::MIN_POSITIVE));
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
