//! Ranks within a layer or a network.

/// Ranks in 0..=1 of `values` among those marked; equal values share the mean rank.
/// Unmarked ones are ranked where they would stand.
pub fn ranks(values: &[f32], marked: &[bool]) -> Vec<f32> {
    let mut sorted: Vec<f32> = values
        .iter()
        .zip(marked)
        .filter(|(_, m)| **m)
        .map(|(v, _)| *v)
        .collect();
    sorted.sort_by(f32::total_cmp);
    let last = sorted.len().saturating_sub(1).max(1) as f32;
    values
        .iter()
        .map(|value| {
            let below = sorted.partition_point(|v| v < value);
            let up_to = sorted.partition_point(|v| v <= value);
            let middle = if up_to > below {
                (below + up_to - 1) as f32 / 2.0
            } else {
                below as f32
            };
            (middle / last).min(1.0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::ranks;

    #[test]
    fn ranks_run_from_zero_to_one_and_ties_share() {
        assert_eq!(ranks(&[3.0, 1.0, 2.0], &[true; 3]), [1.0, 0.0, 0.5]);
        assert_eq!(ranks(&[1.0, 1.0], &[true; 2]), [0.5, 0.5]);
        assert_eq!(ranks(&[9.0, 1.0, 2.0], &[false, true, true])[0], 1.0);
    }
}
