//! Settings of a run. Every field has a default; `run.toml` names only what differs.

mod agent;
mod budget;
mod count;
mod gone;
mod measure;
mod metric;
mod mode;
mod reward;
mod runtime;
mod search;
mod training;

use secateur_net::settings;
use secateur_net::settings::{SettingError, Settings};

pub use agent::DqnConfig;
pub use budget::{Budget, BudgetError};
pub use count::{Count, Target};
pub use gone::GONE;
pub use measure::MeasureConfig;
pub use metric::Metric;
pub use mode::Mode;
pub use reward::RewardConfig;
pub use runtime::{LatencyConfig, RuntimeConfig, RuntimeName};
pub use search::{
    EFFORT, EXCHANGE_RATIO, EXPLORING_LOOKS, FULL_EFFORT, LEAST_RECOVERY, LOOKS_SHARE,
    SCORING_BATCHES, SearchConfig,
};
pub use secateur_net::data::DataConfig;
pub use training::{FEW_SAMPLES, TrainingConfig};

settings! {
    /// Everything that a run depends on besides model and data.
    pub struct PruneConfig {
        /// The promise.
        pub mode: Mode;
        /// Seed of every random choice.
        pub seed: u64 = 0, flag "--seed <SEED>";
        /// How data are read and split.
        pub data: DataConfig;
        /// How the network trains.
        pub training: TrainingConfig;
        /// The shape of the search.
        pub search: SearchConfig;
        /// The user's own measure.
        pub measure: MeasureConfig;
        /// The engine that files are checked and timed in.
        pub runtime: RuntimeConfig;
        /// How budgets of latency are timed.
        pub latency: LatencyConfig;
        /// The agent.
        pub agent: DqnConfig;
        /// The reward.
        pub reward: RewardConfig;
    }
}

impl PruneConfig {
    /// Defaults for a mode.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            ..Self::default()
        }
    }

    /// What a run says before it begins if it will cost more than `max_cost` whatever happens, because
    /// every network that is asked for gets a recovery.
    pub fn least_cost_note(&self) -> Option<String> {
        let Mode::Ceca { budgets, .. } = &self.mode else {
            return None;
        };
        let networks = Target::labels(budgets).len().max(1);
        let (least, most) = (LEAST_RECOVERY * networks as f64, self.search.max_cost);
        (most < least).then(|| {
            format!(
                "the run will cost more than `max_cost` ({:.1} %): every network gets at least {:.0} % of a \
                 training of recovery; `--no-train --calibrate` does without",
                100.0 * most,
                100.0 * LEAST_RECOVERY
            )
        })
    }

    /// Checks that a run can use every value.
    ///
    /// # Errors
    /// [`SettingError`] naming the setting, its value and what it may be.
    pub fn check(&self) -> Result<(), SettingError> {
        self.check_for(self.measure.command.is_some())
    }

    /// The same for a run that goes by a measure of the user's own, whether the settings name it
    /// or not.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_for(&self, is_measured: bool) -> Result<(), SettingError> {
        if !is_measured {
            self.mode.check_points()?;
        }
        self.check_ranges()?;
        if let Some(images @ 0..2) = self.data.validation {
            return Err(SettingError {
                setting: "data.validation".to_string(),
                value: images.to_string(),
                expected: "2 or more: one to search by and one to confirm".to_string(),
            });
        }
        self.mode.check_budgets()
    }

    /// What a run cannot change on its way, where it differs from what it was begun with:
    /// the promise, the splits, what may be pruned and how it is ranked and measured, the seed.
    pub fn conflict_with(&self, begun: &Self) -> Option<String> {
        let fixed = |config: &Self| {
            let (search, measure) = (&config.search, &config.measure);
            [
                ("mode", format!("{:?}", config.mode)),
                ("seed", config.seed.to_string()),
                ("data", format!("{:?}", config.data)),
                ("policy", format!("{:?}", search.policy)),
                ("ignore", format!("{:?}", search.ignore)),
                ("latency", format!("{:?}", config.latency)),
                ("round_to", search.round_to.to_string()),
                ("allow_mixing", search.allow_mixing.to_string()),
                ("measure.command", format!("{:?}", measure.command)),
                (
                    "measure.lower_is_better",
                    measure.lower_is_better.to_string(),
                ),
            ]
        };
        let mut pairs = fixed(self).into_iter().zip(fixed(begun));
        let ((name, now), (_, then)) = pairs.find(|(now, then)| now != then)?;
        Some(format!("`{name}` was {then}, now it is {now}"))
    }
}

#[cfg(test)]
mod tests;
