//! The statistics of the report.

use serde::{Deserialize, Serialize};

/// Difference of two networks' quality on the same images, with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Mean of second minus first, -1..=1.
    pub difference: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Images on which the second is better.
    pub gained: u64,
    /// Images on which the first is better.
    pub lost: u64,
    /// Images.
    pub images: u64,
}

/// The 97.5 % quantile of the standard normal distribution, for two-sided 95 % intervals.
///
/// Source: OEIS A220510 (1.95996398454005423552...).
const Z95: f64 = 1.959_963_984_540_054;

/// Paired difference of two networks' qualities, each in 0..=1, by image.
///
/// Where every quality is 0 or 1 (right or wrong), by the adjusted Wald interval: with b images
/// gained, c lost, n in all, half an image is added to each cell of the 2x2 table:
/// d = (b - c) / (n + 2), se = sqrt(b' + c' - (b' - c')² / (n + 2)) / (n + 2) with b' = b + 1/2,
/// c' = c + 1/2.
///
/// Otherwise by the normal interval of the mean of the differences d_i: se = s / sqrt(n) with s
/// their standard deviation (by n - 1). It wants some tens of images, and is all of -1..=1 for
/// fewer than two.
///
/// Sources: Agresti and Min, Statistics in Medicine 24 (2005) 729-740, doi 10.1002/sim.1781;
/// NIST/SEMATECH e-Handbook of Statistical Methods, doi 10.18434/M32189, section 7.3.1.1
/// (analysis of paired observations), here with the normal quantile in place of Student's t.
///
/// # Panics
/// If the two have different lengths.
pub fn paired_difference(first: &[f32], second: &[f32]) -> PairedDifference {
    assert_eq!(
        first.len(),
        second.len(),
        "both must be judged on the same images"
    );
    let differences = || {
        first
            .iter()
            .zip(second)
            .map(|(&a, &b)| f64::from(b) - f64::from(a))
    };
    let gained = differences().filter(|&d| d > 0.0).count() as u64;
    let lost = differences().filter(|&d| d < 0.0).count() as u64;
    let images = first.len() as u64;
    let binary = first.iter().chain(second).all(|&q| q == 0.0 || q == 1.0);
    let difference = differences().sum::<f64>() / images.max(1) as f64;
    let (centre, error) = if binary {
        let n = images as f64 + 2.0;
        let (b, c) = (gained as f64 + 0.5, lost as f64 + 0.5);
        let error = (b + c - (b - c) * (b - c) / n).max(0.0).sqrt() / n;
        ((b - c) / n, error)
    } else if images > 1 {
        let n = images as f64;
        let squares: f64 = differences().map(|d| (d - difference).powi(2)).sum();
        (difference, (squares / (n - 1.0) / n).sqrt())
    } else {
        (difference, f64::INFINITY)
    };
    PairedDifference {
        difference,
        low: (centre - Z95 * error).max(-1.0),
        high: (centre + Z95 * error).min(1.0),
        gained,
        lost,
        images,
    }
}

/// Spearman's rank correlation; ties share their mean rank. `None` where one side does
/// not vary or there are fewer than 3 pairs.
pub fn spearman(a: &[f32], b: &[f32]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 3 {
        return None;
    }
    let (ra, rb) = (mean_ranks(a), mean_ranks(b));
    let mean = (a.len() as f64 + 1.0) / 2.0;
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in ra.iter().zip(&rb) {
        ab += (x - mean) * (y - mean);
        aa += (x - mean) * (x - mean);
        bb += (y - mean) * (y - mean);
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

fn mean_ranks(values: &[f32]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let mut end = start;
        while end < order.len() && values[order[end]] == values[order[start]] {
            end += 1;
        }
        for &index in &order[start..end] {
            ranks[index] = (start + end + 1) as f64 / 2.0;
        }
        start = end;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(gained: usize, lost: usize, both: usize, neither: usize) -> (Vec<f32>, Vec<f32>) {
        let mut pairs = vec![(0.0, 1.0); gained];
        pairs.extend(vec![(1.0, 0.0); lost]);
        pairs.extend(vec![(1.0, 1.0); both]);
        pairs.extend(vec![(0.0, 0.0); neither]);
        pairs.into_iter().unzip()
    }

    #[test]
    fn agresti_and_min_by_hand() {
        // b = 9, c = 3, n = 100: b' = 9.5, c' = 3.5, N = 102,
        // d = 6 / 102 = 0.058824, se = sqrt(13 - 36 / 102) / 102 = 0.034866.
        let (a, b) = outcomes(9, 3, 80, 8);
        let d = paired_difference(&a, &b);
        assert!((d.difference - 0.06).abs() < 1e-12);
        assert!(
            (d.low - (0.058_824 - 1.959_964 * 0.034_866)).abs() < 1e-5,
            "{d:?}"
        );
        assert!(
            (d.high - (0.058_824 + 1.959_964 * 0.034_866)).abs() < 1e-5,
            "{d:?}"
        );
        assert_eq!((d.gained, d.lost, d.images), (9, 3, 100));
    }

    #[test]
    fn equal_networks_differ_by_nothing_but_not_with_certainty() {
        let (a, _) = outcomes(0, 0, 50, 50);
        let d = paired_difference(&a, &a);
        assert_eq!(d.difference, 0.0);
        assert!(d.low < 0.0 && d.high > 0.0);
    }

    #[test]
    fn shares_of_an_image_by_hand() {
        // d = 0.5, 0, -0.25, 0.25: mean 0.125, squares 0.3125, s² = 0.104167,
        // se = sqrt(0.104167 / 4) = 0.161374.
        let d = paired_difference(&[0.25, 0.5, 0.75, 0.5], &[0.75, 0.5, 0.5, 0.75]);
        assert!((d.difference - 0.125).abs() < 1e-12);
        assert!(
            (d.low - (0.125 - 1.959_964 * 0.161_374)).abs() < 1e-5,
            "{d:?}"
        );
        assert!(
            (d.high - (0.125 + 1.959_964 * 0.161_374)).abs() < 1e-5,
            "{d:?}"
        );
        assert_eq!((d.gained, d.lost, d.images), (2, 1, 4));
        let one = paired_difference(&[0.25], &[0.5]);
        assert_eq!((one.low, one.high), (-1.0, 1.0));
    }

    #[test]
    fn spearman_with_and_without_ties() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 40.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(spearman(&[1.0, 1.0, 1.0], &[3.0, 2.0, 1.0]), None);
        // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
        let rho = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((rho - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
    }
}
