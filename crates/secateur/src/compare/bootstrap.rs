//! Bootstrap intervals of a mean.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Samples drawn: the ends of an interval then move by about a hundredth of its width from seed to
/// seed.
const RESAMPLES: usize = 10_000;
/// One for all: a table is made again as it was.
const SEED: u64 = 0x626f_6f74;
/// Share of means beyond each end.
const TAIL: f64 = 0.025;

/// The 95 % interval of the mean of `values`: percentiles of the means of samples drawn from them
/// with replacement. `None` for fewer than two values.
///
/// Plain percentiles are too narrow where values are few (of five, 95 % become 84 %). So the tails are
/// Φ(-√(n / (n - 1)) · t), with t the quantile of Student's distribution of n - 1 degrees of freedom: the
/// expanded percentile interval of Hesterberg, The American Statistician 69 (2015) 371-386, doi
/// 10.1080/00031305.2015.1089789. It reaches from the least value to the largest of up to four.
pub fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..n).map(|_| values[rng.random_range(0..n)]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let beyond = (tail(n) * (RESAMPLES - 1) as f64).round() as usize;
    Some((means[beyond], means[RESAMPLES - 1 - beyond]))
}

/// Share of means that lie beyond each end of the interval of n values.
fn tail(n: usize) -> f64 {
    let n = n as f64;
    let student = StudentsT::new(0.0, 1.0, n - 1.0).expect("n is 2 or more");
    let widened = (n / (n - 1.0)).sqrt() * student.inverse_cdf(TAIL);
    Normal::standard().cdf(widened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn known_intervals() {
        assert_eq!(interval(&[]), None);
        assert_eq!(interval(&[1.0]), None);
        assert_eq!(interval(&[2.0; 7]), Some((2.0, 2.0)));
        // Of so few the ends are the least and the largest.
        assert_eq!(interval(&[3.0, 1.0, 2.0]), Some((1.0, 3.0)));
        // Of many it is the normal interval: 1.96 deviations of the mean.
        let many: Vec<f64> = (0..1000).map(|i| f64::from(i % 10)).collect();
        let (low, high) = interval(&many).unwrap();
        let half = 1.96 * (8.25f64 / 1000.0).sqrt();
        assert!((low - (4.5 - half)).abs() < 0.01, "{low}");
        assert!((high - (4.5 + half)).abs() < 0.01, "{high}");
    }

    #[test]
    fn tails_by_table() {
        // t(4) = 2.776: Φ(-2.776 √1.25) = Φ(-3.104).
        assert!((tail(5) - 0.000_955).abs() < 1e-5, "{}", tail(5));
        assert!((tail(1000) - 0.025).abs() < 5e-4);
    }

    /// How often the interval of n normal values holds their mean; 95 in 100 is what it promises.
    #[test]
    fn it_holds_the_mean_about_as_often_as_it_says() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (n, least, most) in [(5, 0.89, 0.96), (15, 0.92, 0.97)] {
            let trials = 400;
            let held = (0..trials)
                .filter(|_| {
                    let normal = (0..n).map(|_| StandardNormal.sample(&mut rng));
                    let values: Vec<f64> = normal.collect();
                    let (low, high) = interval(&values).unwrap();
                    low <= 0.0 && high >= 0.0
                })
                .count();
            let share = held as f64 / f64::from(trials);
            assert!((least..=most).contains(&share), "{n}: {share}");
        }
    }
}
