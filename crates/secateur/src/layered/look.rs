//! Settings of looks at files: inspecting, verifying, timing.

use secateur_net::settings;
use secateur_search::config::{LatencyConfig, RuntimeConfig};

use crate::data::DataConfig;

settings! {
    /// What looks at files depend on.
    pub struct LookConfig {
        /// How data are read; sizes of open inputs.
        pub data: DataConfig;
        /// The engine.
        pub runtime: RuntimeConfig;
        /// How it is timed.
        pub latency: LatencyConfig;
    }
}
