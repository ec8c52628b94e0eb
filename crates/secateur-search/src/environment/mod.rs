//! What an agent acts in: it shows what is known of a network, turns kernels off and on, heals
//! what remains, and says what that earned.
//!
//! ```text
//! environment.reset()?;
//! loop {
//!     let observation = environment.observe(&goal);
//!     let step = environment.step(&action, &goal, &mut watch)?;
//! }
//! ```
//!
//! The trait knows nothing of how a network is held or trained: [`training`] trains with our
//! own interpreter, others may solve weights, look results up in a table, or drive a module of
//! another framework. Promises (a floor, a budget) are kept outside, by what is asked of it.

pub mod training;

use secateur_net::train::{Evaluation, StepObserver};
use secateur_onnx::coupling::Masks;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::baseline::Baseline;
use crate::config::Count;
use crate::costs::Costs;
use crate::observation::Observation;
use crate::record::RewardParts;
use crate::space::Space;

/// Why an environment could not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// Healing led to numbers that are not finite; go on by restoring a state from before.
    #[error("{0}")]
    Diverged(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// How the present network stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// Active kernels.
    pub masks: Masks,
    /// Quality on the held-out data that guide the search, 0..=1.
    pub quality: f64,
    /// Mean loss there.
    pub loss: f64,
    /// By how much the last healing lowered the loss, as share of what it was before: near 0 where
    /// nothing more comes of healing.
    pub convergence: f64,
}

/// What an episode is held against, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// What sizes are counted in.
    pub count: Count,
    /// Share of the given network that is to remain in the end, 0..=1.
    pub target: f64,
    /// Quality that networks are held against, 0..=1.
    pub floor: f64,
    /// True if the floor is the promise, false if the size is.
    pub keeps_floor: bool,
    /// Progress in the episode, 0..=1.
    pub progress: f32,
}

impl Goal {
    /// Points (hundredths) that a quality lies above the floor.
    pub fn margin(&self, quality: f64) -> f64 {
        (quality - self.floor) * 100.0
    }
}

/// How a network is healed after kernels were switched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Healing {
    /// Without training, from the given network's weights: what remains is made to give what the
    /// whole gave. Quick, and tells networks apart nearly as training them would.
    Solved {
        /// Judge it on all of the search part, as what may become a result must be; else on as many
        /// samples as tell networks apart.
        fully_judged: bool,
    },
    /// By training, at the end, with the whole learning-rate schedule.
    Recovery {
        /// Training steps.
        steps: usize,
        /// Peak of the learning rate, as share of the usual one of recoveries, 0..=1.
        rate: f32,
        /// Probe the dormant kernels afterwards, because others may be chosen then.
        probe: bool,
    },
}

/// What is done in a pruning epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Which kernels are on afterwards.
    pub masks: Masks,
    /// How the network is healed.
    pub healing: Healing,
}

/// What an action earned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reward {
    /// Its parts, for the records.
    pub parts: RewardParts,
    /// What every kernel that may be switched earned for the state that it is in now,
    /// `[group][kernel]`.
    pub kernels: Vec<Vec<f32>>,
}

/// What a pruning epoch brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Mean training loss.
    pub train_loss: f64,
    /// Sample-MACs.
    pub cost: f64,
    /// Work: sample-MACs of the given network that take as long.
    pub work: f64,
    /// What it earned.
    pub reward: Reward,
}

impl Step {
    /// The same where nothing was decided that could be rewarded.
    #[must_use]
    pub fn without_reward(self) -> Self {
        Self {
            reward: Reward::default(),
            ..self
        }
    }
}

/// Tells whether a saved run belongs to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of the given network's values.
    pub fingerprint: u64,
    /// Samples to train on.
    pub n_train: usize,
    /// Samples in a batch of the caller's own training, where that heals networks.
    pub outside_batch_size: Option<usize>,
}

/// See the module.
pub trait Environment {
    /// A network in the middle of a search: all that it is restored from.
    type State: Clone + Serialize + DeserializeOwned;
    /// What all episodes of a run share, such as the order of the batches.
    type Shared: Clone + Serialize + DeserializeOwned;

    /// What may be switched, and what it costs.
    fn space(&self) -> &Space;

    /// The prices of healing and looking.
    fn costs(&self) -> &Costs;

    /// How good the given network is.
    fn baseline(&self) -> &Baseline;

    /// What the quality is called, for people: `accuracy`.
    fn quality_name(&self) -> &str;

    /// Tells runs on other networks and data apart.
    fn identity(&self) -> Identity;

    /// The given network anew, with its kernels scored; returns what that took.
    ///
    /// # Errors
    /// [`EnvironmentError`] if it cannot be run.
    fn reset(&mut self) -> Result<Step, EnvironmentError>;

    /// What policies may look at now.
    fn observe(&mut self, goal: &Goal) -> Observation;

    /// Switches kernels, heals the network, evaluates it, and rewards what came of it. A recovery does not
    /// leave the network worse than it began, and one that `watch` ends before its last step is left
    /// [halfway](Self::is_halfway).
    ///
    /// # Errors
    /// [`EnvironmentError::Diverged`] where healing led nowhere.
    fn step(
        &mut self,
        action: &Action,
        goal: &Goal,
        watch: &mut dyn StepObserver,
    ) -> Result<Step, EnvironmentError>;

    /// True in the middle of a recovery: the same action goes on with it, to the network and the costs that
    /// it would have led to undisturbed. What a step gives that ends here says nothing.
    fn is_halfway(&self) -> bool {
        false
    }

    /// How the present network stands.
    fn standing(&self) -> &Standing;

    /// The present network.
    fn state(&self) -> &Self::State;

    /// How the network of a state stands.
    fn standing_of<'s>(&self, state: &'s Self::State) -> &'s Standing;

    /// The given network, before anything was done to it.
    fn given(&self) -> Self::State;

    /// Goes on with another network.
    fn restore(&mut self, state: Self::State);

    /// What all episodes share.
    fn shared(&self) -> &Self::Shared;

    /// Goes on with what a saved run shared.
    fn resume(&mut self, shared: Self::Shared);

    /// How good a network is on the held-out data that the search never sees.
    ///
    /// # Errors
    /// [`EnvironmentError`] if it cannot be run.
    fn confirm(&self, state: &Self::State) -> Result<Evaluation, EnvironmentError>;
}
