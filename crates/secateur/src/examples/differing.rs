//! Which samples differ most.

use std::cmp::Reverse;

use secateur_net::task::{Judged, Pair};

use super::MOST_SHOWN;

/// The samples on which two networks differ most.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Differing {
    /// Of both the same quality.
    pub alike: usize,
    /// Those to show, the most differing first.
    pub indices: Vec<usize>,
}

/// Picks by how far the qualities of both are apart, then by their losses (qualities are often
/// just 0 or 1), then by the order of the samples.
pub(super) fn differing(judged: Pair<&[Judged]>) -> Differing {
    let pairs = judged.original.iter().zip(judged.result);
    let mut differing: Vec<(Apart, Apart, usize)> = pairs
        .enumerate()
        .map(|(index, (a, b))| {
            let qualities = Apart::of(f64::from(a.quality), f64::from(b.quality));
            (qualities, Apart::of(a.loss, b.loss), index)
        })
        .filter(|(qualities, ..)| qualities.0 > 0.0)
        .collect();
    let alike = judged.original.len().min(judged.result.len()) - differing.len();
    differing.sort_by_key(|&(qualities, losses, index)| (Reverse((qualities, losses)), index));
    Differing {
        alike,
        indices: differing
            .iter()
            .map(|&(.., index)| index)
            .take(MOST_SHOWN)
            .collect(),
    }
}

/// How far two figures are apart; without bound if one is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Apart(f64);

impl Apart {
    fn of(a: f64, b: f64) -> Self {
        let apart = (a - b).abs();
        Self(if apart.is_nan() { f64::INFINITY } else { apart })
    }
}

impl Eq for Apart {}

impl PartialOrd for Apart {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Apart {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(original: &[(f32, f64)], result: &[(f32, f64)], alike: usize, expected: &[usize]) {
        let judged = |samples: &[(f32, f64)]| -> Vec<Judged> {
            let judged = |&(quality, loss): &(f32, f64)| Judged {
                quality,
                loss,
                class: None,
            };
            samples.iter().map(judged).collect()
        };
        let (original, result) = (judged(original), judged(result));
        let found = differing(Pair {
            original: &original,
            result: &result,
        });
        assert_eq!((found.alike, found.indices.as_slice()), (alike, expected));
    }

    #[test]
    fn qualities_count_first_then_losses_then_the_order() {
        let own = [(1.0, 0.0); 6];
        let other = [
            (0.5, 9.0),
            (0.0, 1.0),
            (1.0, 0.2),
            (0.0, 3.0),
            (0.0, 1.0),
            (0.9, 0.0),
        ];
        check(&own, &other, 1, &[3, 1, 4, 0, 5]);
        // Right against wrong either way.
        check(
            &[(0.0, 2.0), (1.0, 0.1), (0.0, 1.0)],
            &[(1.0, 0.5), (0.0, 0.9), (0.0, 7.0)],
            1,
            &[0, 1],
        );
        // A loss that is no number is the largest difference.
        check(
            &own[..3],
            &[(0.0, 1.0), (0.0, f64::NAN), (0.0, f64::INFINITY)],
            0,
            &[1, 2, 0],
        );
    }

    #[test]
    fn there_may_be_nothing_or_more_than_is_shown() {
        check(&[], &[], 0, &[]);
        check(&[(1.0, 0.0)], &[(1.0, 0.5)], 1, &[]);
        check(&[(1.0, 0.0)], &[(0.5, 0.5)], 0, &[0]);
        let all: Vec<usize> = (0..MOST_SHOWN).collect();
        check(&[(1.0, 0.0); 40], &[(0.0, 1.0); 40], 0, &all);
    }
}
