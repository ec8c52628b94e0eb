//! What is given and stays: network, data, baseline.

use secateur_onnx::text::counted;
use std::sync::Arc;

use secateur_net::data::{DataError, ModelData, Part, Source, metadata, settle_image_size};
use secateur_net::interpreter::Frontier;
use secateur_net::mask::Selection;
use secateur_net::task::{self, Against, Task};
use secateur_net::train::{Evaluation, Original};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter, NetError};
use secateur_onnx::cost::traffic;
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::{OnnxError, surgery};
use thiserror::Error;

use super::given::{check_finite, file_notes};
use super::held::Held;
use super::{PROBE_IMAGES, State};
use crate::baseline::Baseline;
use crate::config::{DataConfig, EFFORT, SearchConfig};
use crate::costs::{Costs, Reference, TRAINING_PASS, traffic_share};
use crate::space::{Space, SpaceError};
use crate::store::checksum;

/// What can be wrong with a problem.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// The model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Layers that cannot be pruned, or not as far as asked for.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// NaN or infinity in the given weights.
    #[error(
        "cannot use these weights: tensor `{tensor}`, which node `{node}` reads, holds {value} at \
         index {index}"
    )]
    NonFinite {
        /// Its name.
        tensor: String,
        /// The first node that reads it.
        node: String,
        /// Offset of the first such value.
        index: usize,
        /// `NaN` or `infinity`.
        value: String,
    },
    /// Outputs of the given network overflow.
    #[error(
        "cannot prune: the given network's loss on the validation samples is {loss}, expected a \
         finite number"
    )]
    LossNotFinite {
        /// NaN or infinity.
        loss: f64,
    },
    /// Nothing to hold networks against.
    #[error(
        "cannot prune: {search} validation samples guide the search and {confirm} confirm its \
         result; each part needs some"
    )]
    NoValidation {
        /// Of the search part.
        search: usize,
        /// Of the confirmation part.
        confirm: usize,
    },
}

/// Validation samples below which the user is told how little they decide.
const FEW_SAMPLES: usize = 1000;

/// Everything that a search by training works on.
pub struct Problem {
    /// The given model.
    pub model: Model,
    /// Its graph.
    pub graph: Graph,
    /// What may be pruned, and what it costs.
    pub space: Space,
    /// Its parameters.
    pub weights: Weights,
    /// What computes networks.
    pub engine: Engine,
    /// What outputs mean.
    pub task: Arc<dyn Task>,
    /// The network at full width.
    pub network: Arc<Interpreter>,
    /// The given network, for what it gives.
    pub original: Arc<Original>,
    /// Training part.
    pub train: Part,
    /// Validation data that guide.
    pub search: Held,
    /// Validation data that confirm.
    pub confirm: Held,
    /// The data as the model takes them.
    pub data: ModelData,
    /// How good the given network is.
    pub baseline: Baseline,
    /// Cost of the initial training.
    pub reference: Reference,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Problem {
    /// Prepares a search.
    ///
    /// # Errors
    /// See [`ProblemError`].
    pub fn new(
        model: Model,
        source: &Source,
        data: &DataConfig,
        search: &SearchConfig,
        engine: &Engine,
    ) -> Result<Self, ProblemError> {
        let mut model = model.with_mixing(search.allow_mixing);
        model.give_input_shapes(&data.input_shapes)?;
        settle_image_size(&mut model, source)?;
        let graph = Graph::from_model(&model)?;
        let frontier = Frontier::find(&graph)?;
        let task = task::up_to(&graph, &frontier, source.against(), data.task)?;
        let network = Arc::new(Interpreter::new(&graph, &task.outputs(), engine)?);
        let n_classes = task.n_classes();
        let mut data = ModelData::new(&model, source, data, network.inputs(), n_classes)?;
        data.store(&mut model);
        let space = Space::up_to(&graph, &frontier, &search.ignore)?;
        check_finite(&graph, Some(&space.groups))?;
        let mut weights = Weights::from_graph(&graph)?;
        weights.freeze(frontier.shared());
        let train = data.train()?;
        let search_part = data.load(&data.splits.search)?;
        let confirm = data.load(&data.splits.confirm)?;
        let original = Arc::new(Original::new(network.clone(), &weights)?);
        let task = original.fit(task, &train)?;
        let held = |part: Part| Held::new(part, task.as_ref(), &original);
        let (search_part, confirm) = (held(search_part)?, held(confirm)?);
        let judge = |held: &Held| held.evaluate(&network, task.as_ref(), &weights);
        let baseline = baseline(task.against(), judge, &search_part, &confirm)?;
        let mut notes = data.notes.clone();
        notes.extend(file_notes(&model, &graph, &space.cost));
        notes.extend(few_samples_note(
            &baseline,
            task.quality_name(),
            data.source.noun(),
        ));
        if network.is_fed_one_by_one() {
            let how = "samples go through it one after the other, which takes longer";
            notes.push(format!("the network takes one sample at a time: {how}"));
        }
        let reference = reference(&model, &space, train.len(), search.reference_epochs);
        Ok(Self {
            model,
            graph,
            space,
            weights,
            engine: engine.clone(),
            task,
            network,
            original,
            train,
            search: search_part,
            confirm,
            data,
            baseline,
            reference,
            notes,
        })
    }

    /// The same, whose network was trained on so many samples, of which the data at hand are a few:
    /// where the model does not carry the cost of its training, that follows.
    pub fn trained_on(&mut self, samples: usize, epochs: f64) {
        self.reference = reference(&self.model, &self.space, samples, epochs);
    }

    /// The compact network of some masks.
    ///
    /// # Errors
    /// As surgery and planning.
    pub fn compact(&self, masks: &Masks) -> Result<Interpreter, NetError> {
        self.compact_with(masks, [])
    }

    /// The compact network of some masks, planned for further values behind the task's.
    ///
    /// # Errors
    /// As surgery and planning.
    pub fn compact_with<'v>(
        &'v self,
        masks: &Masks,
        values: impl IntoIterator<Item = &'v str>,
    ) -> Result<Interpreter, NetError> {
        let model = surgery::remove(&self.model, &self.space.groups, masks)?;
        let graph = Graph::from_model(&model)?;
        let mut planned = self.task.outputs();
        planned.extend(values);
        Ok(Interpreter::new(&graph, &planned, &self.engine)?.fed_as(&self.network))
    }

    /// The model of a state: its dormant kernels removed, its weights as trained last.
    ///
    /// # Errors
    /// As surgery.
    pub fn pruned(&self, state: &State) -> Result<Model, OnnxError> {
        let (groups, masks) = (&self.space.groups, &state.standing.masks);
        let removed = surgery::remove(&self.model, groups, masks)?;
        removed.with_weights(&self.gathered(state).values())
    }

    /// The compact parameters of a state.
    pub(super) fn gathered(&self, state: &State) -> Weights {
        Selection::new(&self.space.groups, &state.standing.masks).gather(&state.weights)
    }

    /// Evaluates a state's network on the confirmation part.
    ///
    /// # Errors
    /// As an inference pass.
    pub(super) fn confirmed(&self, state: &State) -> Result<Evaluation, NetError> {
        let network = self.compact(&state.standing.masks)?;
        let weights = self.gathered(state);
        self.confirm
            .evaluate(&network, self.task.as_ref(), &weights)
    }

    /// The prices of training in batches of this size.
    pub(super) fn costs(&self, batch_size: usize) -> Result<Costs, NetError> {
        let values = traffic(&self.graph)?;
        Ok(Costs {
            reference: self.reference,
            full_macs: self.space.size.macs as f64,
            traffic: traffic_share(values, self.space.size.macs),
            batch_size,
            n_train: self.train.len(),
            n_search: self.search.part.len(),
            n_probe: PROBE_IMAGES,
            training_pass: TRAINING_PASS,
            teacher_macs: 0.0,
            setup: 0.0,
            effort: EFFORT,
        })
    }

    /// Tells networks of the same layers apart.
    pub(super) fn fingerprint(&self) -> u64 {
        let bytes = self.weights.iter().flat_map(|(name, weight)| {
            let values = weight.data.iter().flat_map(|v| v.to_le_bytes());
            name.bytes().chain(values)
        });
        checksum(bytes)
    }
}

/// The given network on both parts of the validation data, if there are both.
fn baseline(
    against: Against,
    judge: impl Fn(&Held) -> Result<Evaluation, NetError>,
    search: &Held,
    confirm: &Held,
) -> Result<Baseline, ProblemError> {
    if search.part.is_empty() || confirm.part.is_empty() {
        return Err(ProblemError::NoValidation {
            search: search.part.len(),
            confirm: confirm.part.len(),
        });
    }
    let baseline = Baseline {
        against,
        search: judge(search)?,
        confirm: judge(confirm)?,
    };
    let mut losses = [baseline.search.loss, baseline.confirm.loss].into_iter();
    match losses.find(|loss| !loss.is_finite()) {
        Some(loss) => Err(ProblemError::LossNotFinite { loss }),
        None => Ok(baseline),
    }
}

fn few_samples_note(baseline: &Baseline, quality_name: &str, noun: &str) -> Option<String> {
    let samples = baseline.n_samples();
    (samples < FEW_SAMPLES).then(|| {
        format!(
            "a validation part of {} decides little: one is {:.2} points of {quality_name}",
            counted(samples, noun),
            100.0 / samples as f64
        )
    })
}

/// Samples that an initial training is taken to have seen at least, where nothing is known of it:
/// whoever holds a few hundred inputs of a network did not train it on those alone.
const LEAST_REFERENCE: f64 = 40_000.0;

/// The cost of the initial training as the model carries it, or that of so many epochs.
fn reference(model: &Model, space: &Space, n_train: usize, epochs: f64) -> Reference {
    let number = |key: &str| model.metadata(key)?.parse::<f64>().ok();
    match number(metadata::SAMPLE_MACS).filter(|&macs| macs > 0.0) {
        Some(sample_macs) => Reference {
            sample_macs,
            seconds: number(metadata::SECONDS),
            is_measured: true,
        },
        None => Reference {
            sample_macs: (epochs * n_train as f64).max(LEAST_REFERENCE)
                * TRAINING_PASS
                * space.size.macs as f64,
            seconds: None,
            is_measured: false,
        },
    }
}
