//! What may remain.

use serde::{Deserialize, Serialize};

use super::Metric;

/// A share of the given network that may remain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Counted in.
    pub metric: Metric,
    /// Share that may remain, in (0, 1).
    pub remaining: f64,
}

impl Budget {
    /// `params=0.06`.
    pub fn label(&self) -> String {
        format!("{}={}", self.metric, self.remaining)
    }
}
