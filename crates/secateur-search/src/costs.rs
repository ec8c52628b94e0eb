//! What a search costs, in sample-MACs (multiply-adds of one sample, forward 1, backward 2), and in work:
//! the sample-MACs of the given network that take as long.
//!
//! Narrow networks take longer than their multiply-adds say, as values are read and written besides. A
//! run is bounded by both. Work follows from counts and not from a clock, so that a run decides
//! alike whatever else the machine does.

/// What costs are compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reference {
    /// Sample-MACs of the initial training.
    pub sample_macs: f64,
    /// Its wall-clock seconds, where known.
    pub seconds: Option<f64>,
    /// False where the model does not carry its training cost and the configured number of
    /// epochs stands in.
    pub is_measured: bool,
}

/// A forward and a backward pass in forward passes: the gradients of inputs and of weights take
/// as many multiply-adds each as the forward pass does.
pub const TRAINING_PASS: f64 = 3.0;

/// Multiply-adds that take as long as one value that a layer reads or gives, in training. Times of an
/// epoch (VGG-like networks, MNIST and CIFAR-10, whole and cut to 6 to 40 % of their parameters, AVX-512)
/// followed it within 4 % (docs/performance.md).
const OF_A_VALUE: f64 = 177.0;

/// The prices of an environment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// The initial training.
    pub reference: Reference,
    /// Multiply-adds of the given network.
    pub full_macs: f64,
    /// How long the given network's values take to move, over its multiply-adds.
    pub traffic: f64,
    /// Samples a training step.
    pub batch_size: usize,
    /// Samples to train on.
    pub n_train: usize,
    /// Samples of an evaluation that guides the search.
    pub n_search: usize,
    /// Samples of a probe of dormant kernels, which runs the given network forward and backward.
    pub n_probe: usize,
    /// Forward passes that a sample's training pass takes as long as: [`TRAINING_PASS`], and one more where
    /// values are computed twice to keep within the memory.
    pub training_pass: f64,
    /// Multiply-adds of the original for each sample that is trained on, where its outputs are not
    /// stored.
    pub teacher_macs: f64,
    /// Sample-MACs spent before the first epoch.
    pub setup: f64,
    /// What the given network's multiply-adds count for against errors by width, where training
    /// follows that they make dearer.
    pub effort: f64,
}

/// How long so many values take to move, over so many multiply-adds.
pub fn traffic_share(values: u64, macs: u64) -> f64 {
    OF_A_VALUE * values as f64 / macs.max(1) as f64
}

impl Costs {
    /// How much longer a network of so many multiply-adds takes for each of them than the given one. Where
    /// all layers keep the same share of their channels, values go by the root of the
    /// multiply-adds.
    pub fn slowdown(&self, macs: f64) -> f64 {
        let share = (macs / self.full_macs.max(1.0)).clamp(f64::MIN_POSITIVE, 1.0);
        (1.0 + self.traffic / share.sqrt()) / (1.0 + self.traffic)
    }

    /// One training step of a network of so many multiply-adds.
    pub fn step(&self, macs: f64) -> f64 {
        (self.training_pass * macs + self.teacher_macs) * self.batch_size as f64
    }

    /// The work of such a step.
    pub fn step_work(&self, macs: f64) -> f64 {
        self.slowdown(macs) * self.step(macs)
    }

    /// An evaluation of such a network.
    pub fn evaluation(&self, macs: f64) -> f64 {
        self.n_search as f64 * macs
    }

    /// A probe of dormant kernels with so many samples.
    pub fn probe(&self, samples: usize) -> f64 {
        self.training_pass * samples as f64 * self.full_macs
    }

    /// An evaluation and a probe: what a look costs besides solving.
    pub fn look(&self, macs: f64) -> f64 {
        self.evaluation(macs) + self.probe(self.n_probe)
    }

    /// Steps in which every training sample is seen once.
    pub fn steps_of_a_pass(&self) -> f64 {
        self.n_train as f64 / self.batch_size as f64
    }

    /// Steps of a network of so many multiply-adds that cost a share of the initial training.
    pub fn steps_for(&self, share: f64, macs: f64, least: usize, most: usize) -> usize {
        let steps = (self.of_share(share) / self.step(macs).max(1.0)) as usize;
        steps.clamp(least, most.max(least))
    }

    /// So many sample-MACs as share of the initial training.
    pub fn share(&self, sample_macs: f64) -> f64 {
        sample_macs / self.reference.sample_macs.max(1.0)
    }

    /// Sample-MACs of a share of the initial training.
    pub fn of_share(&self, share: f64) -> f64 {
        share * self.reference.sample_macs
    }
}
