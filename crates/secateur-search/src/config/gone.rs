//! What became of settings of earlier versions, for those whose config still names them.

/// Settings that are no more, by their place in a config, and what became of each.
pub const GONE: [(&str, &str); 19] = [
    (
        "agent.learning_starts",
        "the first update waits for `batch_size` transitions",
    ),
    ("agent.replay_decay", "it is a constant now, 0.9"),
    ("agent.target_update_interval", "it is a constant now, 50"),
    ("agent.huber_delta", "it is a constant now, 1"),
    ("agent.max_gradient_norm", "it is a constant now, 10"),
    ("agent.epsilon_end", "it is a constant now, 0.01"),
    ("reward.below_scale", "it is a constant now, 0.5"),
    ("reward.above_scale", "it is a constant now, 0.5"),
    ("reward.accuracy", "it is called `quality` now"),
    ("reward.worst_accuracy", "it is a constant now, 2"),
    (
        "search.slice_steps",
        "its second number is `max_slice_steps` now, the first a constant, 8",
    ),
    ("search.recover_cost", "it is a constant now, 0.1"),
    (
        "search.recover_passes",
        "`recover_steps` and `max_cost` bound every recovery",
    ),
    ("search.exchange_ratio", "it is a constant now, 0.1"),
    ("search.scoring_batches", "it is a constant now, 8"),
    ("search.rescue_share", "it is a constant now, 0.5"),
    ("training.optimizer.beta1", "it is a constant now, 0.9"),
    ("training.optimizer.beta2", "it is a constant now, 0.999"),
    ("training.optimizer.epsilon", "it is a constant now, 1e-8"),
];
