//! Settings of a run. Every field has a default; `run.toml` names only what differs.

pub mod ranges;

use serde::{Deserialize, Serialize};

use crate::agent::DqnConfig;
use crate::env::reward::RewardConfig;
use crate::pruner::PruneError;
use ranges::MAX_SEED;
use secateur_net::data::Augment;
pub use secateur_net::data::DataConfig;
use secateur_net::train::OptimizerConfig;
use secateur_onnx::cost::Size;

/// What a budget is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// All parameters.
    Params,
    /// Multiply-adds of one inference.
    Macs,
    /// Output filters of convolutions.
    Kernels,
    /// Parameters of convolutions.
    ConvParams,
}

impl Metric {
    /// All metrics.
    pub const ALL: [Self; 4] = [Self::Params, Self::Macs, Self::Kernels, Self::ConvParams];

    /// Name as written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Params => "params",
            Self::Macs => "macs",
            Self::Kernels => "kernels",
            Self::ConvParams => "conv-params",
        }
    }

    /// What it counts, for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Params => "parameters",
            Self::Macs => "multiply-adds",
            Self::Kernels => "kernels",
            Self::ConvParams => "convolution parameters",
        }
    }

    /// That count of a size.
    pub fn of(self, size: &Size) -> u64 {
        match self {
            Self::Params => size.params,
            Self::Macs => size.macs,
            Self::Kernels => size.kernels,
            Self::ConvParams => size.conv_params,
        }
    }
}

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
        format!("{}={}", self.metric.name(), self.remaining)
    }
}

/// Which promise the run makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub enum Mode {
    /// Accuracy-ensured compression: never below the floor.
    Aec {
        /// Points (hundredths) that validation accuracy may lose.
        #[serde(default)]
        max_drop: f64,
    },
    /// Compression-ensured: the budgets are met.
    Ceca {
        /// One output each, in one descent; empty: as far down as it goes.
        #[serde(default)]
        budgets: Vec<Budget>,
        /// Without budgets: the most compressed network within this many points is the output.
        #[serde(default = "Mode::ceca_drop")]
        max_drop: f64,
    },
}

impl Mode {
    /// Points that the output of CECA without budgets may lose, unless told otherwise.
    pub const CECA_DROP: f64 = 0.5;

    fn ceca_drop() -> f64 {
        Self::CECA_DROP
    }
}

/// The promise where none is given.
impl Default for Mode {
    fn default() -> Self {
        Self::Aec { max_drop: 0.0 }
    }
}

/// How the network trains during the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Images a step.
    pub batch_size: usize,
    /// Peak learning rate of a slice.
    pub lr: f32,
    /// Peak learning rate of the final recovery.
    pub recover_lr: f32,
    /// Label smoothing, 0..1.
    pub smoothing: f32,
    /// Largest random shift of an image in a slice, pixels; 0 for none.
    pub max_shift: usize,
    /// The same in a recovery.
    pub recover_max_shift: usize,
    /// Largest random rotation of an image in a recovery, degrees.
    pub recover_max_rotation: f32,
    /// Largest random change of an image's size in a recovery, as share of it.
    pub recover_max_zoom: f32,
    /// Random horizontal flips.
    pub flip: bool,
    /// Share of the loss that follows the given network's scores, 0..=1; 0 turns it off.
    pub distillation: f32,
    /// Softens the scores in distillation.
    pub temperature: f32,
    /// Update rule and its constants.
    pub optimizer: OptimizerConfig,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            batch_size: 128,
            lr: 0.02,
            recover_lr: 0.05,
            smoothing: 0.0,
            max_shift: 0,
            recover_max_shift: 1,
            recover_max_rotation: 0.0,
            recover_max_zoom: 0.0,
            flip: false,
            distillation: 0.5,
            temperature: 2.0,
            optimizer: OptimizerConfig::default(),
        }
    }
}

impl TrainingConfig {
    /// Random changes to the images of a slice.
    pub fn slice_augment(&self) -> Augment {
        Augment {
            max_shift: self.max_shift,
            flip: self.flip,
            ..Augment::default()
        }
    }

    /// Random changes to the images of a recovery.
    pub fn recover_augment(&self) -> Augment {
        Augment {
            max_shift: self.recover_max_shift,
            max_rotation: self.recover_max_rotation,
            max_zoom: self.recover_max_zoom,
            flip: self.flip,
        }
    }
}

/// The shape of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// Which policy ranks kernels: `dqn`, `random`, `uniform-l1`, `global-l1`, `global-taylor`.
    pub policy: String,
    /// Episodes that explore, each from the given network.
    pub explore_episodes: usize,
    /// Pruning epochs of an exploring episode.
    pub explore_epochs: usize,
    /// Pruning epochs in which the last episode goes down.
    pub descent_epochs: usize,
    /// Pruning epochs after the descent in which kernels are exchanged at constant size.
    pub exchange_epochs: usize,
    /// Cost of one training slice while exploring, as share of the reference training.
    pub explore_slice_cost: f64,
    /// The same for the last episode.
    pub slice_cost: f64,
    /// Least cost of the final recovery of one output of CECA, as share of the reference
    /// training; more where `max_cost` allows it.
    pub recover_cost: f64,
    /// Passes over the training images in a recovery of AEC, as far as `max_cost` allows.
    pub recover_passes: f64,
    /// Recoveries that AEC may try before it returns the best network that held the floor.
    pub recover_tries: usize,
    /// AEC holds the loss to the floor too, not the accuracy alone.
    pub hold_loss: bool,
    /// Steps that a slice takes at least and at most, whatever its cost.
    pub slice_steps: [usize; 2],
    /// Steps that a recovery takes at most.
    pub recover_steps: usize,
    /// Share of a layer's active kernels that may switch in one pruning epoch.
    pub max_switch_ratio: f64,
    /// The same after the descent, when kernels are exchanged at constant size.
    pub exchange_ratio: f64,
    /// A layer keeps at most this many times more, and less, kernels than if all layers kept
    /// the same share; 1 and up, `inf` for any.
    pub max_imbalance: f64,
    /// Shares of the parameters at which CECA without a budget keeps a network.
    pub front: Vec<f64>,
    /// Share of the parameters that AEC aims to leave at the end of its descent.
    pub aec_target: f64,
    /// The search stops early when it has cost this share of the reference training.
    pub max_cost: f64,
    /// Reference training in epochs, for models that do not carry their training cost.
    pub reference_epochs: f64,
    /// Batches that score the given network before the first action.
    pub scoring_batches: usize,
    /// Updates of the Q-network per pruning epoch.
    pub agent_updates: usize,
    /// Validation images on which the report takes out kernels one by one; 0: it does not.
    pub ablation_images: usize,
    /// Kept kernels of a layer are a multiple of this.
    pub round_to: usize,
    /// Layers (names or globs) that are left alone.
    pub ignore: Vec<String>,
    /// Points below the floor at which re-activation by rule sets in; `inf` for never.
    pub rescue_margin: f64,
    /// Share of the kernels turned off last that the rule brings back.
    pub rescue_share: f64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            policy: "dqn".to_string(),
            explore_episodes: 1,
            explore_epochs: 6,
            descent_epochs: 10,
            exchange_epochs: 3,
            explore_slice_cost: 0.001,
            slice_cost: 0.002,
            recover_cost: 0.1,
            recover_passes: 30.0,
            recover_tries: 4,
            hold_loss: true,
            slice_steps: [8, 400],
            recover_steps: 8000,
            max_switch_ratio: 0.35,
            max_imbalance: 1.1,
            exchange_ratio: 0.1,
            front: vec![0.5, 0.3, 0.18, 0.1, 0.06, 0.035, 0.02],
            aec_target: 0.06,
            max_cost: 0.5,
            reference_epochs: 6.0,
            scoring_batches: 8,
            agent_updates: 60,
            ablation_images: 128,
            round_to: 1,
            ignore: Vec::new(),
            rescue_margin: 5.0,
            rescue_share: 0.5,
        }
    }
}

/// Everything that a run depends on besides model and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneConfig {
    /// The promise.
    #[serde(default)]
    pub mode: Mode,
    /// Seed of every random choice.
    #[serde(default)]
    pub seed: u64,
    /// Splits.
    #[serde(default)]
    pub data: DataConfig,
    /// Training.
    #[serde(default)]
    pub training: TrainingConfig,
    /// Search.
    #[serde(default)]
    pub search: SearchConfig,
    /// The agent.
    #[serde(default)]
    pub agent: DqnConfig,
    /// The reward.
    #[serde(default)]
    pub reward: RewardConfig,
}

impl PruneConfig {
    /// Checks that a run can use every number ([`ranges`]).
    ///
    /// # Errors
    /// [`PruneError::Setting`] naming the setting, its value and its range.
    pub fn check(&self) -> Result<(), PruneError> {
        let fail = |setting: &str, value: String, expected: String| {
            Err(PruneError::Setting {
                setting: format!("`{setting}`"),
                value,
                expected,
            })
        };
        if let Some(row) = ranges::rows(self).into_iter().find(|row| !row.holds()) {
            return fail(row.key, row.text, row.range.to_string());
        }
        let seeds = [
            ("seed", self.seed),
            ("data.split_seed", self.data.split_seed),
            ("data.test_seed", self.data.test_seed),
        ];
        for (key, seed) in seeds {
            if seed > MAX_SEED {
                let expected = format!("0 to {MAX_SEED}, the largest integer of a config");
                return fail(key, seed.to_string(), expected);
            }
        }
        let [least, most] = self.search.slice_steps;
        if least > most {
            let value = format!("[{least}, {most}]");
            let expected = "the least steps of a slice, then the most".to_string();
            return fail("search.slice_steps", value, expected);
        }
        if let Mode::Ceca { budgets, .. } = &self.mode
            && let Some(other) = budgets.iter().find(|b| b.metric != budgets[0].metric)
        {
            let [first, other] = [budgets[0].metric, other.metric].map(Metric::name);
            let value = format!("both {first} and {other}");
            let expected = "budgets of one kind in one run".to_string();
            return fail("mode.budgets", value, expected);
        }
        Ok(())
    }

    /// What a run cannot change on its way, where it differs from what it was begun with:
    /// the promise, the splits, what may be pruned and how it is ranked, the seed.
    pub fn conflict_with(&self, begun: &Self) -> Option<String> {
        let differs = |name: &str, now: String, then: String| {
            (now != then).then(|| format!("`{name}` was {then}, now it is {now}"))
        };
        let (a, b) = (&self.search, &begun.search);
        let debug = |value: &dyn std::fmt::Debug| format!("{value:?}");
        differs("mode", debug(&self.mode), debug(&begun.mode))
            .or_else(|| differs("seed", debug(&self.seed), debug(&begun.seed)))
            .or_else(|| differs("data", debug(&self.data), debug(&begun.data)))
            .or_else(|| differs("policy", debug(&a.policy), debug(&b.policy)))
            .or_else(|| differs("ignore", debug(&a.ignore), debug(&b.ignore)))
            .or_else(|| differs("round_to", debug(&a.round_to), debug(&b.round_to)))
    }

    /// Defaults for a mode.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            seed: 0,
            data: DataConfig::default(),
            training: TrainingConfig::default(),
            search: SearchConfig::default(),
            agent: DqnConfig::default(),
            reward: RewardConfig::default(),
        }
    }
}

#[cfg(test)]
mod tests;
