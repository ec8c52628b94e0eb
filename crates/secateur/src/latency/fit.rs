//! From the sum of the pieces to the time of whole networks.

/// A network's sum of pieces beside what it took as a whole, in one unit.
pub(super) type Pair = (f64, f64);

/// What the sums are multiplied by, and what is added: both positive, of the least squares of
/// relative errors.
pub(super) fn fit(pairs: &[Pair]) -> (f64, f64) {
    // In units of what was measured: a + b with a = sum / time, b = 1 / time, towards 1.
    let rows: Vec<(f64, f64)> = pairs
        .iter()
        .filter(|(sum, time)| *sum > 0.0 && *time > 0.0)
        .map(|(sum, time)| (sum / time, 1.0 / time))
        .collect();
    let total = |term: fn(&(f64, f64)) -> f64| rows.iter().map(term).sum::<f64>();
    let (aa, ab, bb) = (
        total(|r| r.0 * r.0),
        total(|r| r.0 * r.1),
        total(|r| r.1 * r.1),
    );
    let (a, b) = (total(|r| r.0), total(|r| r.1));
    if rows.is_empty() {
        return (1.0, 0.0);
    }
    let determinant = aa * bb - ab * ab;
    let (scale, rest) = (
        (a * bb - b * ab) / determinant,
        (b * aa - a * ab) / determinant,
    );
    match scale > 0.0 && rest > 0.0 {
        true => (scale, rest),
        false => (a / aa, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_again() {
        let near = |found: (f64, f64), expected: (f64, f64)| {
            assert!(
                (found.0 - expected.0).abs() < 1e-9 && (found.1 - expected.1).abs() < 1e-9,
                "{found:?}"
            );
        };
        near(fit(&[(10.0, 23.0), (20.0, 43.0), (5.0, 13.0)]), (2.0, 3.0));
        // Below nought nothing can be.
        assert_eq!(fit(&[(10.0, 9.0), (20.0, 19.0)]).1, 0.0);
        near(fit(&[(10.0, 20.0)]), (2.0, 0.0));
        near(fit(&[]), (1.0, 0.0));
    }
}
