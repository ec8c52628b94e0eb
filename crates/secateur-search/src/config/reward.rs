//! Weights of the reward.

use secateur_net::settings;
use secateur_net::settings::Range;

/// Weights may punish too.
const WEIGHT: Range = Range::from_to(-1e3, 1e3);

settings! {
    /// Weights of the reward's parts (docs/algorithm.md has the equation).
    pub struct RewardConfig {
        /// w_q, weight of the fall of the loss, a unit for each factor e.
        ///
        /// All kernels share it: it must not drown what each earns by itself.
        pub quality: f32 = 0.3, in WEIGHT;
        /// w_c, weight of compression gained, a unit for each factor e.
        ///
        /// The log form follows AMC's weighting of log FLOPs.
        pub compression: f32 = 0.5, in WEIGHT;
        /// w_v, weight of convergence: by how much healing lowers the loss.
        ///
        /// Kernels that the others make up for may go.
        pub convergence: f32 = 0.1, in WEIGHT;
        /// w_d, weight of a kernel's own share.
        ///
        /// The part in which kernels differ, and so what ranks them.
        pub dense: f32 = 1.0, in WEIGHT;
    }
}
