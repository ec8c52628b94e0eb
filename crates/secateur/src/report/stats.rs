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

/// Confidence of one-sided bounds.
const CONFIDENCE: f64 = 0.95;

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

/// How often chance does as well or better: at least `successes` of `trials`, each with
/// probability `p`.
///
/// P(X >= k) = 1 - Σ_{i<k} C(n, i) p^i (1 - p)^(n - i): the exact binomial test, one-sided.
///
/// Source: Clopper and Pearson, Biometrika 26 (1934) 404-413, doi 10.1093/biomet/26.4.404.
pub fn binomial_tail(successes: u64, trials: u64, p: f64) -> f64 {
    if successes == 0 || p >= 1.0 {
        return 1.0;
    }
    if p <= 0.0 {
        return 0.0;
    }
    let n = trials as f64;
    let (mut log_term, mut below) = (n * (1.0 - p).ln(), 0.0);
    for i in 0..successes {
        below += f64::exp(log_term);
        let i = i as f64;
        log_term += ((n - i) / (i + 1.0)).ln() + (p / (1.0 - p)).ln();
    }
    (1.0 - below).clamp(0.0, 1.0)
}

/// How often a network decided otherwise than the given one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Samples that it decided otherwise.
    pub found: u64,
    /// Samples.
    pub samples: u64,
    /// Largest share of such samples in all data of this kind that the figures leave open, 95 %,
    /// one-sided ([`upper_bound`]).
    pub at_most: f64,
}

impl Disagreement {
    /// Of qualities that are each 0 (otherwise) or 1 (alike); `None` for others.
    pub fn of(samples: &[f32]) -> Option<Self> {
        let is_binary = samples.iter().all(|&q| q == 0.0 || q == 1.0);
        let found = samples.iter().filter(|&&q| q == 0.0).count() as u64;
        let n = samples.len() as u64;
        (is_binary && n > 0).then(|| Self {
            found,
            samples: n,
            at_most: upper_bound(found, n),
        })
    }
}

/// The largest share of a population that `found` of `n` samples drawn from it leave open, one-sided,
/// with 95 % confidence: the p at which so few or fewer are found in 5 % of all cases.
///
/// Source: Clopper and Pearson, Biometrika 26 (1934) 404-413, doi 10.1093/biomet/26.4.404.
pub fn upper_bound(found: u64, n: u64) -> f64 {
    if found >= n {
        return 1.0;
    }
    let (mut low, mut high) = (found as f64 / n as f64, 1.0);
    // Halved until nothing is left between them that a report could show.
    while high - low > 1e-9 {
        let middle = (low + high) / 2.0;
        let at_most_found = 1.0 - binomial_tail(found + 1, n, middle);
        if at_most_found > 1.0 - CONFIDENCE {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// How many deviations answers agree with labels above what they would in a random order; 0
/// where no order differs from another.
///
/// With r_c of n answers and l_c of n labels in class c, the number of agreements has over all
/// orders the mean n m and the variance n² / (n - 1) · (m - Σ r_c l_c (r_c + l_c) / n³ + m²), where
/// m = Σ r_c l_c / n². That is Cohen's kappa, tested against 0.
///
/// Source: Fleiss, Cohen and Everitt, Psychological Bulletin 72 (1969) 323-327, doi
/// 10.1037/h0028106; the exact variance over orders by Hoeffding, Annals of Mathematical
/// Statistics 22 (1951) 558-566, doi 10.1214/aoms/1177729545.
pub fn chance_agreement(answers: &[usize], labels: &[usize], n_classes: usize) -> f64 {
    let n = labels.len() as f64;
    let share = |of: &[usize], class: usize| of.iter().filter(|&&c| c == class).count() as f64 / n;
    let (mut mean, mut less) = (0.0, 0.0);
    for class in 0..n_classes {
        let (r, l) = (share(answers, class), share(labels, class));
        mean += r * l;
        less += r * l * (r + l);
    }
    let variance = n * n / (n - 1.0) * (mean - less + mean * mean);
    let agreed = answers.iter().zip(labels).filter(|(a, b)| a == b).count() as f64;
    if variance > 0.0 {
        (agreed - n * mean) / variance.sqrt()
    } else {
        0.0
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
    fn binomial_tails_by_hand() {
        // 3 or 4 heads of 4 coins: (4 + 1) / 16.
        assert!((binomial_tail(3, 4, 0.5) - 0.3125).abs() < 1e-12);
        assert_eq!(binomial_tail(0, 4, 0.5), 1.0);
        assert!((binomial_tail(4, 4, 0.1) - 1e-4).abs() < 1e-12);
        // Of many trials the normal distribution is close: 2 deviations above the mean.
        let tail = binomial_tail(5100, 10_000, 0.5);
        assert!((tail - 0.0233).abs() < 5e-4, "{tail}");
        assert!(binomial_tail(450, 5000, 0.1) > 0.98);
    }

    #[test]
    fn upper_bounds_by_hand() {
        // None of n: 1 - 0.05^(1/n); all of n: 1.
        for n in [1, 20, 250, 5000] {
            let expected = 1.0 - 0.05f64.powf(1.0 / n as f64);
            assert!((upper_bound(0, n) - expected).abs() < 1e-8, "{n}");
            assert_eq!(upper_bound(n, n), 1.0);
        }
        assert_eq!(upper_bound(0, 0), 1.0);
        // One of two: (1 - p)^2 + 2 p (1 - p) = 1 - p^2 = 0.05.
        assert!((upper_bound(1, 2) - 0.95f64.sqrt()).abs() < 1e-8);
        // Of many, the normal distribution is close: 100 of 10,000 and 1.645 deviations.
        assert!((upper_bound(100, 10_000) - 0.0118).abs() < 2e-4);
    }

    #[test]
    fn agreement_is_counted_against_all_orders() {
        // Orders of answers 0, 0, 1 against labels 0, 0, 1: 3, 1, 1 agree; mean 5/3, variance 8/9.
        let z = chance_agreement(&[0, 0, 1], &[0, 0, 1], 2);
        let expected = (3.0 - 5.0 / 3.0) / (8.0f64 / 9.0).sqrt();
        assert!((z - expected).abs() < 1e-12, "{z}");
        assert_eq!(chance_agreement(&[1, 1, 1], &[0, 1, 0], 2), 0.0);
        // Nine of ten images are of one class: a network that finds half of the others, at the
        // cost of some of the many, is less often right than a guess, and yet knows something.
        let labels: Vec<usize> = (0..400).map(|i| usize::from(i % 10 == 0)).collect();
        let answers: Vec<usize> = (0..400)
            .map(|i| usize::from(i % 20 == 0 || i % 13 == 1))
            .collect();
        let right = answers.iter().zip(&labels).filter(|(a, b)| a == b).count() as u64;
        assert!(binomial_tail(right, 400, 0.9) > 0.5, "{right}");
        assert!(chance_agreement(&answers, &labels, 2) > 3.0);
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
