//! The records of a run: one [`EpochRecord`] per pruning epoch is one line of
//! `history.jsonl`. Field names are the documented schema (docs/run-folder.md).

use secateur_onnx::cost::Size;
use serde::{Deserialize, Serialize};

use crate::measure::Reading;

/// One kernel (one index of a channel group), the unit that is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KernelId {
    /// Index of the channel group, in the order of `RunHeader::groups`.
    pub group: usize,
    /// Channel index within the group, in the numbering of the original network.
    pub index: usize,
}

/// What a run is doing in a pruning epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The agent acts with a high epsilon to learn.
    Explore,
    /// The agent follows its Q-values (epsilon at its floor).
    Exploit,
    /// Masks are fixed; only weights train, to regain accuracy.
    Recover,
    /// No recovery of AEC held: a larger network is sought that holds with solved weights alone.
    Solve,
}

/// Why a dormant kernel came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReactivatedBy {
    /// The agent chose it.
    Agent,
    /// A network that failed the floor grows: the worthiest return by rule.
    Rule,
}

/// One kernel turned on again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reactivation {
    /// Which kernel.
    pub kernel: KernelId,
    /// Its health then: the most that the loss could fall, to first order, if it came back (units of loss).
    pub health: f32,
    /// By the agent or by rule.
    pub by: ReactivatedBy,
}

/// The parts of an epoch's reward; `total` is their sum (docs/algorithm.md).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardParts {
    /// From the fall of the loss.
    #[serde(alias = "accuracy")]
    pub quality: f32,
    /// From compression gained.
    pub compression: f32,
    /// From how much healing lowered the loss.
    pub convergence: f32,
    /// Mean over kernels of the dense share.
    pub dense: f32,
    /// Sum of the above.
    pub total: f32,
}

/// One pruning epoch: one line of `history.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Running number over the whole run, from 0 (0 is the given network, before any action).
    pub epoch: usize,
    /// Episode number, from 0.
    pub episode: usize,
    /// What the run was doing.
    pub stage: Stage,
    /// Exploration rate used for the actions of this epoch.
    pub epsilon: f32,
    /// Quality on the search part of the validation data, 0..=1.
    #[serde(alias = "accuracy")]
    pub quality: f64,
    /// Loss on the search part of the validation data.
    pub loss: f64,
    /// The floor that quality is held against (mode AEC; the baseline's quality in CECA), 0..=1.
    pub floor: f64,
    /// Mean training loss over the recovery, or over the passes that score kernels.
    pub train_loss: f64,
    /// By how much healing lowered the loss on the search part, as share of what it was.
    pub convergence: f64,
    /// Size of the network now.
    pub size: Size,
    /// Parts of the reward.
    pub reward: RewardParts,
    /// Kernels turned off in this epoch.
    pub turned_off: Vec<KernelId>,
    /// Kernels turned on again in this epoch.
    pub reactivated: Vec<Reactivation>,
    /// Of the kernels switched in this epoch, those that the policy wished to be so; the others went or
    /// came by the widths and the budget.
    #[serde(default)]
    pub wished: usize,
    /// Kernels that the policy wished to be switched, and the limits did not let it.
    #[serde(default)]
    pub held_back: usize,
    /// True where the exchange of this epoch did not lower the loss: the next one goes on from the
    /// network before it.
    #[serde(default)]
    pub taken_back: bool,
    /// Per group, one character per kernel: `1` active, `0` dormant.
    pub masks: Vec<String>,
    /// Per group and kernel: significance rank within the layer, 0..=1 (1 matters most); last known for dormant kernels.
    pub significance: Vec<Vec<f32>>,
    /// Per group and kernel: Q(on) - Q(off). Empty where the policy has no Q-values.
    pub q_advantage: Vec<Vec<f32>>,
    /// Training cost of this epoch in sample-MACs (forward 1, backward 2, evaluation and probes counted).
    pub cost_sample_macs: f64,
    /// Wall-clock seconds of this epoch.
    pub seconds: f64,
    /// Mean Huber loss of the agent's updates in this epoch, if it learned.
    pub agent_loss: Option<f64>,
    /// True where this network was kept as a candidate for the result.
    pub candidate: bool,
}

/// What is fixed for a run: `header.json` beside the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// File name of the input model.
    pub model: String,
    /// Program version.
    pub version: String,
    /// Channel groups in the order used by [`KernelId::group`].
    pub groups: Vec<GroupHeader>,
    /// Size of the given network.
    pub size: Size,
    /// What quality is called: `accuracy`.
    #[serde(default = "accuracy")]
    pub quality_name: String,
    /// Quality of the given network on the search part of the validation data.
    #[serde(alias = "baseline_search_accuracy")]
    pub baseline_search_quality: f64,
    /// The same on the confirmation part.
    #[serde(alias = "baseline_confirm_accuracy")]
    pub baseline_confirm_quality: f64,
    /// The given network's number by the user's own measure, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_measure: Option<Reading>,
    /// Sample-MACs of the initial training that costs are compared with.
    pub initial_training_sample_macs: f64,
    /// Wall-clock seconds of the initial training, where known.
    pub initial_training_seconds: Option<f64>,
}

/// The quality of all tasks in runs made before it had a name.
fn accuracy() -> String {
    "accuracy".to_string()
}

/// One channel group of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupHeader {
    /// Name of the first node that produces the channels.
    pub name: String,
    /// Number of kernels in the given network.
    pub width: usize,
    /// True for convolution kernels, false for fully connected features.
    pub is_conv: bool,
    /// True if the agent may switch its kernels (false: pinned, or `--ignore`d).
    pub switchable: bool,
}
