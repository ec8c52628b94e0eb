//! Hyperparameters of the agent.

use secateur_net::settings;
use secateur_net::settings::{BATCH, NOT_NONE, Range, SHARE};

settings! {
    /// Settings of the double DQN.
    pub struct DqnConfig {
        /// Width of the two hidden layers.
        ///
        /// A forward pass over hundreds of kernels takes under a millisecond.
        // Their square is held four times.
        pub hidden: usize = 64, in Range::from_to(1.0, 4096.0);
        /// A new agent knows how much layers' errors matter from the networks of tools/agent; else all
        /// matter alike.
        ///
        /// Residual streams matter more than their errors say.
        pub pretrained: bool = true;
        /// Discount of the next pruning epoch's worth.
        ///
        /// Episodes have about ten epochs.
        pub gamma: f32 = 0.9, in SHARE;
        /// Learning rate of Adam.
        ///
        /// Adam's default (Kingma and Ba 2015, arXiv:1412.6980).
        pub learning_rate: f32 = 1e-3, in NOT_NONE;
        /// Transitions an update; the first update waits for as many.
        ///
        /// A third of the kernels of the VGG-like network.
        pub batch_size: usize = 256, in BATCH;
        /// Transitions kept.
        ///
        /// More than a run makes for networks of up to 1,500 kernels.
        // About 250 bytes each.
        pub replay_capacity: usize = 40_000, in Range::from_to(1.0, 1e7);
        /// Share of kernels that act at random in the first pruning epoch.
        ///
        /// Half of the random decisions keep a kernel as it is.
        pub epsilon_start: f32 = 0.3, in SHARE;
        /// Share of the run over which that falls.
        ///
        /// Of all searching epochs; before it the run *explores*, after it it *exploits*.
        pub exploration_share: f32 = 0.5, in SHARE;
        /// Standard deviation of what episodes that explore add to the logarithms of how much layers'
        /// errors matter; 0: they exchange kernels, and widths are not tried.
        ///
        /// What a try loses is missing in the result, so that this is for teaching an agent that others
        /// start from; 0.5 gives networks near enough to good ones to learn from.
        pub width_noise: f32 = 0.0, in Range::from_to(0.0, 10.0);
    }
}
