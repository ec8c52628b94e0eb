//! The user's own measure.

use secateur_net::settings;
use secateur_net::settings::Range;

/// Seconds; a year is for ever.
const SECONDS: Range = Range::above_to(0.0, 31_536_000.0);

settings! {
    /// The user's own measure.
    pub struct MeasureConfig, under "Own measure" {
        /// Command that prints a number of a network, such as `python3 val.py {model}`: `{model}`
        /// stands for the network's file. AEC holds its floor on that number, with the drop in
        /// its unit.
        ///
        /// Quality as the task defines it decides.
        pub command: Option<String>, unset "none", flag "--metric <COMMAND>";
        /// Smaller numbers of the command are better.
        ///
        /// Most measures of quality grow with it.
        pub lower_is_better: bool = false, flag "--metric-lower-is-better";
        /// Seconds that the command may take for one network.
        ///
        /// Some thousand images take minutes on a CPU; what takes an hour mostly hangs.
        pub timeout: f64 = 3600.0, in SECONDS, flag "--metric-timeout <SECONDS>";
    }
}
