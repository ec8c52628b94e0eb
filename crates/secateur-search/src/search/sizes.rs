//! What networks on the way will cost, as far as the policy says how they will be shaped.

use super::Search;
use crate::environment::Environment;
use crate::error::SearchError;

/// Shares of the multiply-adds at some shares of the budget's count, in logarithms, the largest
/// first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sizes(Vec<(f64, f64)>);

impl Sizes {
    /// From pairs of a share of the count and one of the multiply-adds.
    fn new(pairs: impl Iterator<Item = (f64, f64)>) -> Self {
        let mut all = vec![(0.0, 0.0)];
        all.extend(pairs.map(|(share, macs)| (share.ln(), macs.ln())));
        all.retain(|(share, macs)| share.is_finite() && macs.is_finite());
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        all.dedup_by_key(|(share, _)| *share);
        Self(all)
    }

    /// Share of the multiply-adds where a share of the count remains: between two known ones, or
    /// on from the last two; `None` where nothing is known.
    pub fn share_of_macs(&self, share: f64) -> Option<f64> {
        let at = share.ln();
        let next = self.0.windows(2).find(|pair| at >= pair[1].0);
        let [from, to] = next.or(self.0.windows(2).last())? else {
            return None;
        };
        let way = (at - from.0) / (to.0 - from.0);
        Some((from.1 + way * (to.1 - from.1)).exp().min(1.0))
    }
}

impl<E: Environment> Search<'_, E> {
    /// The sizes of networks at the stops, and half of the way to the smallest.
    pub(super) fn sizes_ahead(&mut self) -> Result<Sizes, SearchError> {
        let stops = self.promise.stops().clone();
        let smallest = stops.shares[stops.last()];
        let observation = self.environment.observe(&self.goal(1, 0));
        let mut pairs = Vec::new();
        for share in stops.shares.iter().copied().chain([smallest.sqrt()]) {
            let at_most = stops.count.count(share, &self.environment.space().size);
            let Some(widths) = self.widths(&observation, stops.count, at_most)? else {
                return Ok(Sizes::default());
            };
            let space = self.environment.space();
            let macs = space.count(&space.narrowed(&widths)).macs as f64;
            pairs.push((share, macs / space.size.macs.max(1) as f64));
        }
        Ok(Sizes::new(pairs.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_between_and_beyond_known_ones_follow_in_logarithms() {
        let sizes = Sizes::new([(0.25, 0.5), (0.0625, 0.125)].into_iter());
        for (share, macs) in [
            (1.0, 1.0),
            (0.5, 0.5f64.sqrt()),
            (0.25, 0.5),
            (0.125, 0.25),
            (0.0625, 0.125),
            (0.03125, 0.0625),
        ] {
            let found = sizes.share_of_macs(share).unwrap();
            assert!((found - macs).abs() < 1e-12, "{share}: {found}");
        }
        assert_eq!(Sizes::default().share_of_macs(0.5), None);
        assert_eq!(Sizes::new([].into_iter()).share_of_macs(0.5), None);
    }
}
