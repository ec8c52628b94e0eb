//! What became of settings of earlier versions, for those whose config still names them.

/// What became of short trainings between the cuts.
const NO_SLICES: &str = "weights are solved after each cut now, and trained in recoveries alone";

/// Settings that are no more, by their place in a config, and what became of each.
pub const GONE: [(&str, &str); 28] = [
    (
        "agent.learning_starts",
        "the first update waits for `batch_size` transitions",
    ),
    ("agent.replay_decay", "it is a constant now, 0.9"),
    ("agent.target_update_interval", "it is a constant now, 50"),
    ("agent.huber_delta", "it is a constant now, 1"),
    ("agent.max_gradient_norm", "it is a constant now, 10"),
    ("agent.epsilon_end", "it is a constant now, 0.01"),
    ("reward.below_scale", "quality earns by the loss now"),
    ("reward.above_scale", "quality earns by the loss now"),
    ("reward.accuracy", "it is called `quality` now"),
    ("reward.worst_accuracy", "it is a constant now, 2"),
    ("search.slice_steps", NO_SLICES),
    ("search.recover_cost", "it is a constant now, 0.1"),
    (
        "search.recover_passes",
        "`recover_steps` and `max_cost` bound every recovery",
    ),
    ("search.exchange_ratio", "it is a constant now, 0.1"),
    ("search.scoring_batches", "it is a constant now, 8"),
    ("search.rescue_share", NO_SLICES),
    ("search.rescue_margin", NO_SLICES),
    (
        "search.explore_epochs",
        "an episode is one cut and `exchange_epochs` for every budget",
    ),
    (
        "search.descent_epochs",
        "networks are cut to their size at once",
    ),
    (
        "search.max_switch_ratio",
        "networks are cut to their size at once",
    ),
    ("search.explore_slice_cost", NO_SLICES),
    ("search.slice_cost", NO_SLICES),
    ("search.max_slice_steps", NO_SLICES),
    ("training.lr", NO_SLICES),
    ("training.max_shift", "`recover_max_shift` alone is left"),
    ("training.optimizer.beta1", "it is a constant now, 0.9"),
    ("training.optimizer.beta2", "it is a constant now, 0.999"),
    ("training.optimizer.epsilon", "it is a constant now, 1e-8"),
];
