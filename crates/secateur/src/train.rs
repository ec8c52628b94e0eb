//! Training a network from an ONNX graph.

use std::time::Instant;

use secateur_net::data::{
    Augment, BatchSampler, DataConfig, DataError, ModelData, Part, SkippedImage, Source, metadata,
    settle_image_size,
};
use secateur_net::fresh::fresh_weights;
use secateur_net::settings;
use secateur_net::settings::{BATCH, EPOCHS, NOT_ALL, RATE, SHIFT, SettingError, Settings};
use secateur_net::task::{self, Against, Task, TaskKind};
use secateur_net::train::{
    Evaluation, Optimizer, OptimizerConfig, Reference, Schedule, ScheduleKind, Slice, StepObserver,
    evaluate, train_slice,
};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter, NetError};
use secateur_onnx::OnnxError;
use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::model::Model;
use secateur_search::environment::training::{ProblemError, check_finite};
use thiserror::Error;

settings! {
    /// How to train.
    pub struct TrainConfig {
        /// Passes over the training data.
        ///
        /// MNIST is learnt by then; harder data take more.
        pub epochs: f64 = 6.0, in EPOCHS, flag "--epochs <EPOCHS>";
        /// Images a step.
        ///
        /// Usual.
        pub batch_size: usize = 128, in BATCH, flag "--batch-size <BATCH_SIZE>";
        /// Peak learning rate.
        ///
        /// Usual for SGD with momentum and batch norm.
        pub lr: f32 = 0.1, in RATE, flag "--lr <LR>";
        /// Update rule and its constants.
        pub optimizer: OptimizerConfig;
        /// Learning rate over time.
        ///
        /// Goes high early and ends low, whatever the number of epochs.
        pub schedule: ScheduleKind = ScheduleKind::OneCycle, flag "--schedule <SCHEDULE>";
        /// Label smoothing.
        ///
        /// Batch norm and a falling rate are enough for MNIST.
        pub smoothing: f32 = 0.0, in NOT_ALL, flag "--smoothing <SMOOTHING>";
        /// Largest random shift of an image, pixels.
        ///
        /// 4 is usual for CIFAR-10.
        pub max_shift: usize = 0, in SHIFT, flag "--max-shift <PIXELS>";
        /// Largest random rotation of an image, degrees.
        ///
        /// Off unless asked for: it changes what some images show.
        pub max_rotation: f32 = 0.0, in Augment::ROTATIONS, flag "--max-rotation <DEGREES>";
        /// Largest random change of an image's size, as share of it.
        ///
        /// As for rotations.
        pub max_zoom: f32 = 0.0, in Augment::ZOOMS, flag "--max-zoom <SHARE>";
        /// Random horizontal flips.
        ///
        /// Digits have a side.
        pub flip: bool = false, flag "--flip";
        /// Seed of weights, split and batches.
        pub seed: u64 = 0, flag "--seed <SEED>";
        /// How data are read and split; the seed of the split is `seed`.
        pub data: DataConfig;
    }
}

/// What can go wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A setting.
    #[error("cannot train: {0}")]
    Setting(#[from] SettingError),
    /// The model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The weights to begin with.
    #[error(transparent)]
    Weights(#[from] ProblemError),
}

impl TrainError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Setting(error) => error.hint(),
            Self::Onnx(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Weights(_) => None,
        }
    }
}

/// A trained model and how it came about.
pub struct Trained {
    /// The model, with what pruning must know in its metadata.
    pub model: Model,
    /// What quality is called: `accuracy`.
    pub quality_name: &'static str,
    /// On the whole validation part.
    pub validation: Evaluation,
    /// Cost in sample-MACs (forward 1, backward 2).
    pub sample_macs: f64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if it was stopped before its end.
    pub stopped: bool,
    /// Why it ended early, where the loss was no longer finite: the model is that after the last
    /// whole pass over the data.
    pub diverged: Option<NetError>,
    /// Images that were left out because they cannot be decoded.
    pub skipped: Vec<SkippedImage>,
    /// What the user should know of the data.
    pub notes: Vec<String>,
}

/// Says so if the file asks engines to run batch norms as in training.
pub(crate) fn training_mode_note(graph: &Graph) -> Option<String> {
    let is_training =
        |node: &&Node| node.op_type == "BatchNormalization" && node.attr_i("training_mode", 0) != 0;
    let node = graph.nodes.iter().find(is_training)?;
    Some(format!(
        "batch norms such as `{}` are in training mode (`training_mode` 1): other engines use the \
         statistics of each batch there, or refuse the file; export the network in evaluation mode \
         (PyTorch: `model.eval()`, and `training=TrainingMode.PRESERVE` to keep them)",
        node.name
    ))
}

/// Trains the weights of `model` on the training part of `source`.
///
/// The model written carries normalisation, split and cost in its metadata, so that
/// pruning uses the same and compares with the true cost. Training on from a trained
/// model keeps its split and adds to its cost.
///
/// # Errors
/// [`TrainError`] for a setting out of its range, a graph that cannot be trained, data that do not fit, and divergence.
pub fn train(
    model: &Model,
    source: &Source,
    config: &TrainConfig,
    observer: &mut dyn StepObserver,
) -> Result<Trained, TrainError> {
    config.check_ranges()?;
    source.check_labelled("train")?;
    let mut model = model.clone();
    model.give_input_shapes(&config.data.input_shapes)?;
    settle_image_size(&mut model, source)?;
    let model = &model;
    let graph = Graph::from_model(model)?;
    check_finite(&graph, None)?;
    let task = task::find(&graph, Against::Labels, Some(TaskKind::Classify))?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let data_config = DataConfig {
        split_seed: config.seed,
        confirm_share: 0.0,
        ..config.data.clone()
    };
    let mut data = ModelData::new(
        model,
        source,
        &data_config,
        network.inputs(),
        task.n_classes(),
    )?;
    let part = data.train()?;
    let validation_part = data.load(&data.splits.search)?;

    let started = Instant::now();
    let mut weights = Weights::from_graph(&graph)?;
    let reached = descend(
        &network,
        task.as_ref(),
        &part,
        config,
        &mut weights,
        observer,
    )?;
    let seconds = started.elapsed().as_secs_f64();

    let groups = ChannelGroups::find(&graph)?;
    let size = CostModel::new(&graph, &groups)?.count(&Masks::all_active(&groups));
    let earlier = |key: &str| -> f64 {
        model
            .metadata(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0)
    };
    let sample_macs =
        3.0 * reached.samples as f64 * size.macs as f64 + earlier(metadata::SAMPLE_MACS);
    let mut trained = model.with_weights(&weights.values())?;
    let total_seconds = seconds + earlier(metadata::SECONDS);
    data.store(&mut trained);
    trained.set_metadata(metadata::SAMPLE_MACS, format!("{sample_macs:e}"));
    trained.set_metadata(metadata::SECONDS, format!("{total_seconds:.1}"));
    let mut notes = data.notes;
    notes.extend(training_mode_note(&graph));
    Ok(Trained {
        quality_name: task.quality_name(),
        validation: evaluate(
            &network,
            task.as_ref(),
            &weights,
            &validation_part,
            &Reference::Labels,
        )?,
        model: trained,
        sample_macs,
        seconds,
        stopped: reached.stopped,
        diverged: reached.diverged,
        skipped: data.source.skipped(),
        notes,
    })
}

/// The model with new weights in place of its own, as if it had never been trained; data are prepared
/// and split as before.
///
/// # Errors
/// [`TrainError`] for a graph that cannot be read, and parameters that no rule gives new values to.
pub fn with_new_weights(model: &Model, seed: u64) -> Result<Model, TrainError> {
    let graph = Graph::from_model(model)?;
    let mut renewed = model.with_weights(&fresh_weights(&graph, seed)?)?;
    for cost in [metadata::SAMPLE_MACS, metadata::SECONDS] {
        if renewed.metadata(cost).is_some() {
            renewed.set_metadata(cost, "0");
        }
    }
    Ok(renewed)
}

/// How far a training came.
struct Reached {
    /// Images that the weights were trained on, each as often as it was seen.
    samples: usize,
    /// True if it ended before its last step.
    stopped: bool,
    /// Why, where the loss was no longer finite.
    diverged: Option<NetError>,
}

/// Trains `weights` on `part`. Where training diverges, they are those after the last whole pass.
///
/// # Errors
/// [`NetError::Diverged`] within the first pass, and whatever the network cannot run.
fn descend(
    network: &Interpreter,
    task: &dyn Task,
    part: &Part,
    config: &TrainConfig,
    weights: &mut Weights,
    observer: &mut dyn StepObserver,
) -> Result<Reached, NetError> {
    let mut sampler = BatchSampler::new(part.len(), config.batch_size, config.seed);
    let steps = (config.epochs * part.len() as f64 / sampler.batch_size() as f64)
        .round()
        .max(1.0) as usize;
    let slice = Slice {
        network,
        task,
        data: part,
        schedule: Schedule {
            kind: config.schedule,
            peak: config.lr,
            steps,
        },
        done: 0,
        smoothing: config.smoothing,
        augment: Augment {
            max_shift: config.max_shift,
            max_rotation: config.max_rotation,
            max_zoom: config.max_zoom,
            flip: config.flip,
        },
        teacher: None,
        collector: None,
    };
    let mut optimizer = Optimizer::new(config.optimizer.clone());
    match train_slice(&slice, weights, &mut optimizer, &mut sampler, observer) {
        Ok(report) => Ok(Reached {
            samples: report.samples,
            stopped: report.steps < steps,
            diverged: None,
        }),
        // What whole passes have reached is worth keeping.
        Err(NetError::Diverged { step, what, kept }) if kept > 0 => Ok(Reached {
            samples: kept * sampler.batch_size(),
            stopped: kept < steps,
            diverged: Some(NetError::Diverged { step, what, kept }),
        }),
        Err(error) => Err(error),
    }
}
