//! How good the given network is: what all others are held against.

use secateur_net::task::Against;
use secateur_net::train::Evaluation;

/// The given network on the two parts of the held-out data.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// What quality is held against.
    pub against: Against,
    /// On the part that guides the search.
    pub search: Evaluation,
    /// On the part that confirms its result, which the search never sees.
    pub confirm: Evaluation,
}

impl Baseline {
    /// Samples of both parts.
    pub fn n_samples(&self) -> usize {
        self.search.samples.len() + self.confirm.samples.len()
    }

    /// Quality on both parts together, from that on each.
    pub fn of_both(&self, search: f64, confirm: f64) -> f64 {
        let (a, b) = (self.search.samples.len(), self.confirm.samples.len());
        (search * a as f64 + confirm * b as f64) / (a + b).max(1) as f64
    }
}
