//! Training a network from an ONNX graph.

use std::time::Instant;

use secateur_net::NetError;
use secateur_net::data::{Augment, BatchSampler, DataConfig, DataError, SkippedImage, Source};
use secateur_net::interpreter::{Engine, Network};
use secateur_net::train::{
    Evaluation, Optimizer, OptimizerConfig, Schedule, ScheduleKind, Slice, StepObserver, evaluate,
    train_slice,
};
use secateur_net::weights::Weights;
use secateur_onnx::OnnxError;
use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::model::Model;
use secateur_search::env::{ModelData, ProblemError, check_finite, metadata, settle_image_size};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Passes over the training part.
    pub epochs: f64,
    /// Images a step.
    pub batch_size: usize,
    /// Peak learning rate.
    pub lr: f32,
    /// Shape of the learning rate over time.
    pub schedule: ScheduleKind,
    /// Update rule.
    pub optimizer: OptimizerConfig,
    /// Label smoothing, 0..1.
    pub smoothing: f32,
    /// Largest random shift, pixels.
    pub max_shift: usize,
    /// Largest random rotation, degrees.
    pub max_rotation: f32,
    /// Largest random change of the size, as share of it.
    pub max_zoom: f32,
    /// Random horizontal flips.
    pub flip: bool,
    /// How the data are read and split; the seed of the split is `seed`.
    pub data: DataConfig,
    /// Seed of weights, split and batches.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 6.0,
            batch_size: 128,
            lr: 0.1,
            schedule: ScheduleKind::OneCycle,
            optimizer: OptimizerConfig::default(),
            smoothing: 0.0,
            max_shift: 0,
            max_rotation: 0.0,
            max_zoom: 0.0,
            flip: false,
            data: DataConfig::default(),
            seed: 0,
        }
    }
}

/// What can go wrong.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
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
            Self::Onnx(error) => error.hint(),
            Self::Net(error @ NetError::Diverged { .. }) => error
                .hint()
                .map(|hint| format!("{hint}; nothing was written, earlier files stay")),
            Self::Net(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::Weights(error) => error.hint(),
        }
    }
}

/// A trained model and how it came about.
pub struct Trained {
    /// The model, with what pruning must know in its metadata.
    pub model: Model,
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
/// [`TrainError`] for a graph that cannot be trained, data that do not fit, and divergence.
pub fn train(
    model: &Model,
    source: &Source,
    config: &TrainConfig,
    observer: &mut dyn StepObserver,
) -> Result<Trained, TrainError> {
    let mut model = model.clone();
    settle_image_size(&mut model, source)?;
    let model = &model;
    let graph = Graph::from_model(model)?;
    check_finite(&graph)?;
    let network = Network::new(&graph, Engine::Fused)?;
    let data_config = DataConfig {
        split_seed: config.seed,
        confirm_share: 0.0,
        ..config.data.clone()
    };
    let mut data = ModelData::new(
        model,
        source,
        &data_config,
        network.input_shape(),
        network.n_classes(),
    )?;
    let part = data.train()?;
    let validation_part = data.load(&data.splits.search)?;

    let started = Instant::now();
    let mut sampler = BatchSampler::new(part.len(), config.batch_size, config.seed);
    let steps = (config.epochs * part.len() as f64 / sampler.batch_size() as f64)
        .round()
        .max(1.0);
    let mut weights = Weights::from_graph(&graph)?;
    let slice = Slice {
        network: &network,
        data: &part,
        schedule: Schedule {
            kind: config.schedule,
            peak: config.lr,
            steps: steps as usize,
        },
        smoothing: config.smoothing,
        augment: Augment {
            max_shift: config.max_shift,
            max_rotation: config.max_rotation,
            max_zoom: config.max_zoom,
            flip: config.flip,
        },
        distillation: None,
        collector: None,
    };
    let mut optimizer = Optimizer::new(config.optimizer.clone());
    let result = train_slice(&slice, &mut weights, &mut optimizer, &mut sampler, observer);
    let (done, samples, diverged) = match result {
        Ok(report) => (report.steps, report.samples, None),
        // What whole passes have reached is worth keeping.
        Err(NetError::Diverged { step, what, kept }) if kept > 0 => {
            let samples = kept * sampler.batch_size();
            (kept, samples, Some(NetError::Diverged { step, what, kept }))
        }
        Err(error) => return Err(error.into()),
    };
    let seconds = started.elapsed().as_secs_f64();

    let groups = ChannelGroups::find(&graph)?;
    let size = CostModel::new(&graph, &groups)?.count(&Masks::all_active(&groups));
    let earlier = |key: &str| -> f64 {
        model
            .metadata(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0)
    };
    let sample_macs = 3.0 * samples as f64 * size.macs as f64 + earlier(metadata::SAMPLE_MACS);
    let mut trained = model.with_weights(&weights.values())?;
    let total_seconds = seconds + earlier(metadata::SECONDS);
    data.store(&mut trained);
    trained.set_metadata(metadata::SAMPLE_MACS, format!("{sample_macs:e}"));
    trained.set_metadata(metadata::SECONDS, format!("{total_seconds:.1}"));
    let mut notes = data.notes;
    notes.extend(training_mode_note(&graph));
    Ok(Trained {
        validation: evaluate(&network, &weights, &validation_part)?,
        model: trained,
        sample_macs,
        seconds,
        stopped: done < steps as usize,
        diverged,
        skipped: data.source.skipped(),
        notes,
    })
}
