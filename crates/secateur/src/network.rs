//! A trained network from a file, to look at and to run.

use std::path::Path;

use std::sync::Arc;

use secateur_net::data::{DataConfig, DataError, Source};
use secateur_net::task::{self, Against, Task, TaskKind};
use secateur_net::train::{Evaluation, Reference, evaluate};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Inputs, Interpreter, NetError};
use secateur_onnx::OnnxError;
use secateur_onnx::cost::{CostModel, Size};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::environment::training::ProblemError;
use secateur_search::space::SpaceError;
use thiserror::Error;

use crate::data::ModelData;
use crate::runtime::RuntimeError;

/// What can be wrong with a network.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// The file or its graph.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An operator that cannot be run, or values that do not fit.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Weights that are no numbers.
    #[error(transparent)]
    Weights(#[from] ProblemError),
    /// What may be pruned of it.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// The engine that it is timed in.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// A network ready to run, with the model it came from.
///
/// ```
/// use secateur::Network;
/// use secateur_onnx::arch::{VggConfig, vgg_like};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("net.onnx");
/// # let mut config = VggConfig::new([1, 8, 8], 3);
/// # config.stages = VggConfig::parse_stages("4,M")?;
/// # vgg_like(&config, 0)?.write(&file)?;
/// let network = Network::from_onnx(&file)?;
/// for group in &network.groups().groups {
///     let may_go = if group.pinned.is_none() { "can be pruned" } else { "must stay" };
///     println!("{}: {} kernels, {may_go}", group.name, group.width);
/// }
/// println!("{} parameters, {} MACs", network.size().params, network.size().macs);
///
/// // Two images of one channel and 8x8 pixels: two rows of three scores.
/// let scores = network.predict(&[0.5; 2 * 64])?;
/// assert_eq!(scores.len(), 2 * 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Network {
    model: Model,
    interpreter: Interpreter,
    input_shape: [usize; 3],
    task: Arc<dyn Task>,
    weights: Weights,
    groups: ChannelGroups,
    size: Size,
}

impl Network {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`NetworkError::Onnx`] if it is no such file, [`NetworkError::Net`] naming the first
    /// node that cannot be run.
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        Self::from_model(Model::read(path)?)
    }

    /// Takes a model that was read or built.
    ///
    /// # Errors
    /// [`NetworkError::Onnx`] for a graph that contradicts itself, [`NetworkError::Net`] naming the
    /// first node that cannot be run.
    pub fn from_model(model: Model) -> Result<Self, NetworkError> {
        let graph = Graph::from_model(&model)?;
        let groups = ChannelGroups::find(&graph)?;
        let size = CostModel::new(&graph, &groups)?.count(&Masks::all_active(&groups));
        let task = task::find(&graph, Against::Labels, Some(TaskKind::Classify))?;
        let interpreter = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
        Ok(Self {
            input_shape: interpreter.input_shape()?,
            interpreter,
            task,
            weights: Weights::from_graph(&graph)?,
            groups,
            size,
            model,
        })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Its kernels that go together, and which of them must stay.
    pub fn groups(&self) -> &ChannelGroups {
        &self.groups
    }

    /// Kernels, parameters and multiply-adds.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Input as `[c, h, w]`.
    pub fn input_shape(&self) -> [usize; 3] {
        self.input_shape
    }

    /// Class scores of normalised images.
    ///
    /// # Shapes
    /// - `images`: `[n, c, h, w]` flat, as the model itself takes them; returns
    ///   `[n, classes]` flat
    ///
    /// # Errors
    /// [`NetError::Shape`] if `images` are no whole number of images.
    pub fn predict(&self, images: &[f32]) -> Result<Vec<f32>, NetworkError> {
        let [c, h, w] = self.input_shape();
        let size = c * h * w;
        if !images.len().is_multiple_of(size) {
            return Err(NetworkError::Net(NetError::Shape {
                node: "the input".to_string(),
                expected: format!("images of {c}x{h}x{w} = {size} values"),
                got: format!("{} values", images.len()),
            }));
        }
        let n = images.len() / size;
        // The interpreter takes channels last.
        let mut last = vec![0.0f32; images.len()];
        for (to, from) in last.chunks_exact_mut(size).zip(images.chunks_exact(size)) {
            for channel in 0..c {
                for pixel in 0..h * w {
                    to[pixel * c + channel] = from[channel * h * w + pixel];
                }
            }
        }
        let bound = self.interpreter.bind_inference(&self.weights)?;
        let outputs = self
            .interpreter
            .forward_inference(&bound, Inputs::images(last, n))?;
        Ok(outputs.into_iter().next().unwrap_or_default().values)
    }

    /// Accuracy and loss on the test data of `source`, normalised as the model says itself,
    /// else as measured on the training data; `None` without test data.
    ///
    /// # Errors
    /// [`NetworkError::Data`] for images or labels that do not fit.
    pub fn test(&self, source: &Source) -> Result<Option<Evaluation>, NetworkError> {
        source.check_labelled("test a network")?;
        let data = ModelData::new(
            &self.model,
            source,
            &DataConfig::default(),
            self.interpreter.inputs(),
            self.task.n_classes(),
        )?;
        let Some(test) = data.test()? else {
            return Ok(None);
        };
        let task = self.task.as_ref();
        Ok(Some(evaluate(
            &self.interpreter,
            task,
            &self.weights,
            &test,
            &Reference::Labels,
        )?))
    }
}
