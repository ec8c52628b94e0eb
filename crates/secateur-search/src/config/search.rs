//! The shape of the search.

use secateur_net::settings;
use secateur_net::settings::{AMOUNT, EPOCHS, Range, TRUE_SHARE, WIDTH};

/// Shares of the reference training; above 1 too, for tests and tiny models.
const COST: Range = Range::above_to(0.0, 1e9);
/// Pruning epochs, episodes, updates and the like, of which none are sensible.
const COUNT: Range = Range::from_to(0.0, 100_000.0);
/// The same, of which one is needed.
const SOME: Range = Range::from_to(1.0, 100_000.0);
/// Steps of a recovery; a figure is kept for each.
const STEPS: Range = Range::from_to(1.0, 1e7);

/// Steps that a recovery takes at least, whatever its cost: in fewer nothing is learnt.
const LEAST_STEPS: usize = 8;
/// Least cost of a recovery of CECA, as share of the reference training: where many outputs
/// share `max_cost`, the promise of each goes first.
pub const LEAST_RECOVERY: f64 = 0.1;
/// What the given network's multiply-adds count for against errors by width, where training
/// follows: a layer of which nothing is left. Of 0, 0.3, 1 and 3 the one of the lowest losses on
/// validation images of two networks (docs/algorithm.md, Widths).
pub const EFFORT: f64 = 1.0;
/// `max_cost` from which on they count for so much; below, in proportion.
pub const FULL_EFFORT: f64 = 0.25;
/// Share of a layer's active kernels that may switch in one pruning epoch after the cut: of few it
/// can be told what they brought.
pub const EXCHANGE_RATIO: f64 = 0.1;
/// Share of `max_cost` that looks may take: what they take is missing in the recoveries. Where a
/// training was brief, eight looks take a fifth, and a recovery with a quarter more steps ends where
/// they do (docs/experiments/2026-11-29-zen4-2cores-brief/summary.md).
pub const LOOKS_SHARE: f64 = 0.05;
/// Part of those looks that may go into exploring which kernels stay.
pub const EXPLORING_LOOKS: f64 = 0.5;
/// Batches that score the given network before the first action: a thousand images rank kernels
/// well enough to begin.
pub const SCORING_BATCHES: usize = 8;

settings! {
    /// The shape of the search.
    pub struct SearchConfig {
        /// Which policy ranks kernels: `dqn`, or CRITERION-uniform (the same share of every layer),
        /// CRITERION-knapsack (what loses least) or CRITERION-global with a score such as `l1`, `l2`,
        /// `taylor`, or `random`; or `random-shapes`; without training the default is `l2-uniform`, with --calibrate
        /// `second-order-knapsack`.
        ///
        /// The others are yardsticks; see "Scores and rankings".
        pub policy: String = "dqn".to_string(), flag "--policy <POLICY>";
        /// Episodes that explore, each from the given network; none where an agent has explored enough.
        ///
        /// A second one costs as much and is seldom worth it on one network.
        pub explore_episodes: usize = 1, in COUNT;
        /// Pruning epochs in which kernels are exchanged after a cut, in each episode; shared out where
        /// several budgets ask for a cut each.
        ///
        /// The cut is seldom the best choice at its size; each costs about a thousandth of a training.
        pub exchange_epochs: usize = 3, in COUNT;
        /// Steps that a recovery takes at most.
        ///
        /// The cost is the bound. A LeNet-5 with 1.4 % of its parameters erred on 1.15 % after 19 passes and on
        /// 0.88 % after 93 (docs/experiments/2026-11-29-zen4-2cores-retries/summary.md).
        pub recover_steps: Option<usize>,
            unset "as many as `max_cost` allows", in STEPS;
        /// Recoveries that AEC may try before it returns the best network that held the floor.
        ///
        /// Recovered networks err about as often as the given ones, give or take chance, so that more than
        /// one try pays; the first takes a quarter of the cost, those after the long one little.
        pub recover_tries: usize = 6, in SOME;
        /// AEC holds the loss to the floor too, not quality alone.
        ///
        /// See "Holding the floor".
        pub hold_loss: bool = true;
        /// Shares of the parameters at which CECA without a budget keeps a network.
        ///
        /// Equal steps on a log scale.
        pub front: Vec<f64> = vec![0.5, 0.3, 0.18, 0.1, 0.06, 0.035, 0.02], in TRUE_SHARE;
        /// Share of the parameters that AEC aims to leave.
        ///
        /// A small network gets more passes for the same cost; recovered networks of 5 and 11 %
        /// erred equally often (see `recover_tries`).
        pub aec_target: f64 = 0.06, in TRUE_SHARE;
        /// The search stops early when it has cost this share of the reference training, in multiply-adds
        /// or in the time that they and what they move take, whichever is more.
        ///
        /// The paper's bound: less than half of the initial training. See "A run".
        pub max_cost: f64 = 0.5, in COST, flag "--max-cost <SHARE>";
        /// Reference training in epochs, for models that do not carry their training cost; of few
        /// samples, as many passes as make 40,000 samples.
        ///
        /// As many as `secateur train` takes unless told otherwise; a network was trained on more
        /// than the few hundred inputs that its owner may have left.
        pub reference_epochs: f64 = 6.0, in EPOCHS;
        /// Updates of the Q-network per pruning epoch.
        ///
        /// A pruning epoch of some hundred kernels is seen about twenty times.
        pub agent_updates: usize = 60, in COUNT;
        /// Validation images on which the report takes out kernels one by one; 0: it does not.
        ///
        /// Each kernel costs a pass, and only the report needs it. Where that would cost more
        /// than a twentieth of what the run may: fewer images, and with 32 of each layer some
        /// kernels at even distances.
        pub ablation_images: usize = 128, in AMOUNT;
        /// Keep a multiple of this many kernels in every layer.
        ///
        /// 8 or 16 suit some accelerators.
        pub round_to: usize = 1, in WIDTH, flag "--round-to <N>";
        /// Layers to leave alone (names or globs).
        ///
        /// All are worth a look.
        pub ignore: Vec<String>, flag "--ignore <LAYER>...";
        /// Prunes a network that is no better than guessing on the data, too.
        ///
        /// Nothing can be told from chance there; mostly the input is prepared in another way than
        /// the network was trained with.
        pub force: bool = false, flag "--force";
        /// Prune layers too whose channels a node mixes: a mean, a maximum or a norm over channels
        /// is then taken over fewer, which the report states.
        ///
        /// Attention over channels and norms across them hold every layer before them otherwise;
        /// what they give changes with each channel that goes, so it takes a wish.
        pub allow_mixing: bool = false, flag "--allow-mixing";
    }
}

impl SearchConfig {
    /// Steps that a recovery takes at least and at most, whatever its cost.
    pub fn recovery_steps(&self) -> [usize; 2] {
        let most = self.recover_steps.unwrap_or(usize::MAX);
        [LEAST_STEPS.min(most), most]
    }
}
