"""Settings that functions take by name; made from their declarations by a test."""

from collections.abc import Sequence
from typing import Literal, TypedDict

class DataSettings(TypedDict, total=False):
    """How data are read."""

    labels: Literal["auto", "none"]
    """What says which class a sample is of: `auto`, what the data bring, or `none`, so that
    sub-folders are no classes and networks are held against the given one.

    Default: auto.
    """
    validation: int | None
    """Training samples set apart for validation.

    Default: the model's, else 5000, at most a fifth. May be 0 to 1000000000.
    """
    confirm_share: float
    """Share of the validation samples that the search never sees.

    Default: 0.5. May be above 0 and below 1.
    """
    split_seed: int
    """Seed of the split.

    Default: 0.
    """
    normalise: str | None
    """Mean and deviation: `measured`, `imagenet`, `cifar10`, `mnist`, `half`, `none`, `bytes`, or
    numbers such as 0.5,0.5,0.5/0.2,0.2,0.2.

    Default: the model's, else measured for class scores, none for other outputs.
    """
    resize: str | None
    """How images in folders get the network's size: `crop`, `crop:SHARE`, `stretch`, `letterbox`
    or `letterbox:BYTE`.

    Default: the model's, else crop.
    """
    task: Literal["classify", "dense", "sequence", "detect", "match"] | None
    """What the outputs mean.

    Default: what the outputs look like.
    """
    colour: Literal["rgb", "bgr"] | None
    """Order of three channels as the network takes them.

    Default: the model's, else rgb.
    """
    image_size: int | str | tuple[int, int] | None
    """Size of images in folders where no network says it: N, or HEIGHTxWIDTH.

    Default: their own, if all are alike. May be 1 to 65536.
    """
    input_shape: str | Sequence[str]
    """Shape of an input whose extents the file leaves open, such as x=1x3x48x320; `?` for an
    extent that stays open. Once for each input.

    Default: none.
    """
    layout: Literal["nhwc", "nchw"] | None
    """Axes of arrays of images.

    Default: seen from their extents.
    """
    test_share: float
    """Share of the samples that is set apart for the test where the data have no parts.

    Default: 0.1. May be at least 0 and below 1.
    """
    test_seed: int
    """Seed that picks them.

    Default: 0.
    """
    max_skipped: int
    """Images that may be left out because they cannot be decoded.

    Default: 10. May be 0 to 1000000000.
    """
    cache_mib: int
    """Memory for decoded images, MiB; the rest is decoded beside the training.

    Default: 2048. May be 0 to 1000000000.
    """

class LookSettings(DataSettings, total=False):
    """What looks at files depend on."""

    engine: Literal["onnxruntime", "tract", "own"] | None
    """Engine that files are checked and timed in.

    Default: the first of onnxruntime, tract and (for checks) own that runs the file.
    """
    ort_lib: str | None
    """Library of ONNX Runtime, such as `libonnxruntime.so`.

    Default: that of `ORT_DYLIB_PATH`, else of the Python package `onnxruntime`.
    """
    latency_batch: int
    """Samples at once where a budget is a latency.

    Default: 1. May be 1 to 65536.
    """
    latency_threads: int | None
    """Threads of the engine where a budget is a latency.

    Default: as many as the program has. May be 1 to 1024.
    """

class PruneSettings(LookSettings, total=False):
    """Everything that a pruning run depends on."""

    seed: int
    """Seed of every random choice.

    Default: 0.
    """
    batch_size: int
    """Samples a step, at most.

    Default: 128. May be 1 to 65536.
    """
    memory: str | None
    """Memory that what the layers of a training step give may take, such as 8GiB.

    Default: 4GiB, nothing is computed twice, fewer samples a step where they do not fit.
    """
    recover_lr: float | None
    """Peak learning rate of a recovery.

    Default: 0.05, and 0.02 where networks are held against the given one. May be above 0 and
    finite.
    """
    smoothing: float
    """Label smoothing.

    Default: 0. May be at least 0 and below 1.
    """
    max_shift: int | None
    """Largest random shift of an image in a recovery, pixels.

    Default: what the given network withstands. May be 0 to 65536.
    """
    max_rotation: float | None
    """Largest random rotation of an image in a recovery, degrees.

    Default: what the given network withstands. May be 0 to 180.
    """
    max_zoom: float | None
    """Largest random change of an image's size in a recovery, as share of it.

    Default: what the given network withstands. May be 0 to 0.9.
    """
    flip: bool | None
    """Random horizontal flips of training images.

    Default: in recoveries, if the given network withstands them.
    """
    distillation: float | None
    """Share of the loss that follows the given network's scores, where labels say what is right; 0
    turns it off.

    Default: 0.5 for fewer than 10,000 training samples, 0 from there on. May be 0 to 1.
    """
    temperature: float
    """Softens the scores in distillation.

    Default: 2. May be 0.01 to 1000.
    """
    optimizer: Literal["sgd", "adamw"]
    """Update rule.

    Default: sgd.
    """
    momentum: float
    """Momentum of SGD.

    Default: 0.9. May be at least 0 and below 1.
    """
    weight_decay: float
    """Weight decay (not on norms and biases).

    Default: 0.0005. May be 0 to 1.
    """
    policy: str
    """Which policy ranks kernels: `dqn`, or CRITERION-uniform (the same share of every layer),
    CRITERION-knapsack (what loses least) or CRITERION-global with a score such as `l1`, `l2`,
    `taylor`, or `random`; or `random-shapes`; without training the default is `l2-uniform`,
    with --calibrate `second-order-knapsack`.

    Default: dqn.
    """
    explore_episodes: int
    """Episodes that explore, each from the given network; none where an agent has explored enough.

    Default: 1. May be 0 to 100000.
    """
    exchange_epochs: int
    """Pruning epochs in which kernels are exchanged after a cut, in each episode; shared out where
    several budgets ask for a cut each.

    Default: 3. May be 0 to 100000.
    """
    recover_steps: int | None
    """Steps that a recovery takes at most.

    Default: as many as `max_cost` allows. May be 1 to 10000000.
    """
    recover_tries: int
    """Recoveries that AEC may try before it returns the best network that held the floor.

    Default: 6. May be 1 to 100000.
    """
    hold_loss: bool
    """AEC holds the loss to the floor too, not quality alone.

    Default: true.
    """
    front: Sequence[float]
    """Shares of the parameters at which CECA without a budget keeps a network.

    Default: [0.5, 0.3, 0.18, 0.1, 0.06, 0.035, 0.02]. May be above 0 and below 1.
    """
    aec_target: float
    """Share of the parameters that AEC aims to leave.

    Default: 0.06. May be above 0 and below 1.
    """
    max_cost: float
    """The search stops early when it has cost this share of the reference training, in
    multiply-adds or in the time that they and what they move take, whichever is more.

    Default: 0.5. May be above 0 and at most 1000000000.
    """
    reference_epochs: float
    """Reference training in epochs, for models that do not carry their training cost; of few
    samples, as many passes as make 40,000 samples.

    Default: 6. May be above 0 and at most 100000.
    """
    agent_updates: int
    """Updates of the Q-network per pruning epoch.

    Default: 60. May be 0 to 100000.
    """
    ablation_images: int
    """Validation images on which the report takes out kernels one by one; 0: it does not.

    Default: 128. May be 0 to 1000000000.
    """
    round_to: int
    """Keep a multiple of this many kernels in every layer.

    Default: 1. May be 1 to 65536.
    """
    ignore: str | Sequence[str]
    """Layers to leave alone (names or globs).

    Default: none.
    """
    force: bool
    """Prunes a network that is no better than guessing on the data, too.

    Default: false.
    """
    allow_mixing: bool
    """Prune layers too whose channels a node mixes: a mean, a maximum or a norm over channels is
    then taken over fewer, which the report states.

    Default: false.
    """
    metric_lower_is_better: bool
    """Smaller numbers of the command are better.

    Default: false.
    """
    metric_timeout: float
    """Seconds that the command may take for one network.

    Default: 3600. May be above 0 and at most 31536000.
    """
    agent_hidden: int
    """Width of the two hidden layers.

    Default: 64. May be 1 to 4096.
    """
    agent_pretrained: bool
    """A new agent knows how much layers' errors matter from the networks of tools/agent; else all
    matter alike.

    Default: true.
    """
    agent_gamma: float
    """Discount of the next pruning epoch's worth.

    Default: 0.9. May be 0 to 1.
    """
    agent_learning_rate: float
    """Learning rate of Adam.

    Default: 0.001. May be above 0 and at most 1.
    """
    agent_batch_size: int
    """Transitions an update; the first update waits for as many.

    Default: 256. May be 1 to 65536.
    """
    agent_replay_capacity: int
    """Transitions kept.

    Default: 40000. May be 1 to 10000000.
    """
    agent_epsilon_start: float
    """Share of kernels that act at random in the first pruning epoch.

    Default: 0.3. May be 0 to 1.
    """
    agent_exploration_share: float
    """Share of the run over which that falls.

    Default: 0.5. May be 0 to 1.
    """
    agent_width_noise: float
    """Standard deviation of what episodes that explore add to the logarithms of how much layers'
    errors matter; 0: they exchange kernels, and widths are not tried.

    Default: 0. May be 0 to 10.
    """
    reward_quality: float
    """w_q, weight of the fall of the loss, a unit for each factor e.

    Default: 0.3. May be -1000 to 1000.
    """
    reward_compression: float
    """w_c, weight of compression gained, a unit for each factor e.

    Default: 0.5. May be -1000 to 1000.
    """
    reward_convergence: float
    """w_v, weight of convergence: by how much healing lowers the loss.

    Default: 0.1. May be -1000 to 1000.
    """
    reward_dense: float
    """w_d, weight of a kernel's own share.

    Default: 1. May be -1000 to 1000.
    """

class TrainSettings(DataSettings, total=False):
    """How to train."""

    epochs: float
    """Passes over the training data.

    Default: 6. May be above 0 and at most 100000.
    """
    batch_size: int
    """Images a step.

    Default: 128. May be 1 to 65536.
    """
    lr: float
    """Peak learning rate.

    Default: 0.1. May be above 0 and finite.
    """
    optimizer: Literal["sgd", "adamw"]
    """Update rule.

    Default: sgd.
    """
    momentum: float
    """Momentum of SGD.

    Default: 0.9. May be at least 0 and below 1.
    """
    weight_decay: float
    """Weight decay (not on norms and biases).

    Default: 0.0005. May be 0 to 1.
    """
    schedule: Literal["one-cycle", "cosine", "constant"]
    """Learning rate over time.

    Default: one-cycle.
    """
    smoothing: float
    """Label smoothing.

    Default: 0. May be at least 0 and below 1.
    """
    max_shift: int
    """Largest random shift of an image, pixels.

    Default: 0. May be 0 to 65536.
    """
    max_rotation: float
    """Largest random rotation of an image, degrees.

    Default: 0. May be 0 to 180.
    """
    max_zoom: float
    """Largest random change of an image's size, as share of it.

    Default: 0. May be 0 to 0.9.
    """
    flip: bool
    """Random horizontal flips.

    Default: false.
    """
    seed: int
    """Seed of weights, split and batches.

    Default: 0.
    """

class DemoSettings(TypedDict, total=False):
    """How the network of the demo is trained."""

    epochs: float
    """Passes over the training data in the initial training.

    Default: 3. May be above 0 and at most 100000.
    """
    seed: int
    """Seed.

    Default: 0.
    """
