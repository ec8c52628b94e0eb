//! Health of dormant kernels: the estimated fall of the loss if they came back
//! (`secateur_net::health::probe_health`).

use super::{Evidence, Needs, Score};

/// Name of the health of dormant kernels.
pub const HEALTH: &str = "health";

/// Health, 0 for active kernels.
pub(super) struct Health;

impl Score for Health {
    fn name(&self) -> &'static str {
        HEALTH
    }

    fn about(&self) -> &'static str {
        "the most that the loss could gain, to first order, if the dormant kernel came back"
    }

    fn needs(&self) -> Needs {
        Needs::Training
    }

    fn ranks_active(&self) -> bool {
        false
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        evidence.gathered(|statistics| statistics.health)
    }
}
