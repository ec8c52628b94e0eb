//! Shares of the softmax of class scores.

use super::contrast::ClassShare;

/// Classes that are shown of a sample.
const SHOWN: usize = 3;

/// The classes of the largest scores, the best first, with their shares.
pub(super) fn likeliest(scores: &[f32]) -> Vec<ClassShare> {
    let shares = (0..).zip(log_softmax(scores).into_iter().map(f64::exp));
    let mut shares: Vec<ClassShare> = shares
        .map(|(class, share)| ClassShare { class, share })
        .collect();
    shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.class.cmp(&b.class)));
    shares.truncate(SHOWN);
    shares
}

/// Kullback-Leibler divergence from the shares of `original` to those of `scores`.
pub(super) fn divergence(scores: &[f32], original: &[f32]) -> f64 {
    let (logs, of_original) = (log_softmax(scores), log_softmax(original));
    // A score of minus infinity has no share: p · ln(p / q) goes to 0 with p. NaN stays NaN.
    let has_share = |p: &f64| *p != f64::NEG_INFINITY;
    let terms = of_original.iter().zip(&logs).filter(|(p, _)| has_share(p));
    terms.map(|(p, q)| p.exp() * (p - q)).sum()
}

fn log_softmax(scores: &[f32]) -> Vec<f64> {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = scores.iter().map(|&z| f64::from(z - max));
    let sum: f64 = shifted.clone().map(f64::exp).sum();
    shifted.map(|z| z - sum.ln()).collect()
}
