//! How good a network is on a part of some data.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use secateur_net::task::{self, Against, Figure, Task};
use secateur_net::train::{Evaluation, Original, Reference, evaluate};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use secateur_search::environment::training::check_finite;
use serde::Serialize;

use crate::data::{self, DataConfig, ModelData, Source, settle_image_size};
use crate::guessing::Counts;
use crate::network::NetworkError;
use crate::table::{Align, write_table};

/// Parts of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Part {
    /// Test images.
    Test,
    /// Images set apart from the training data.
    Validation,
    /// Images trained on.
    Train,
}

impl Part {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Validation => "validation",
            Self::Train => "training",
        }
    }
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// The network or the data.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Nothing to test on.
    #[error("cannot evaluate: `{}` holds no test data", path.display())]
    NoTest {
        /// The data.
        path: PathBuf,
    },
    /// Outputs that labels say nothing about.
    #[error(
        "cannot evaluate `{model}` by labels: {outputs}, whose {quality} is held against the given \
         network's"
    )]
    NeedsOriginal {
        /// The network.
        model: String,
        /// What its outputs mean.
        outputs: String,
        /// What quality is called.
        quality: &'static str,
    },
}

macro_rules! from_parts {
    ($($error:ty),+) => {$(
        impl From<$error> for EvalError {
            fn from(error: $error) -> Self {
                Self::Network(error.into())
            }
        }
    )+};
}

from_parts!(
    secateur_onnx::OnnxError,
    secateur_net::NetError,
    data::DataError,
    secateur_search::environment::training::ProblemError
);

/// What is evaluated.
#[derive(Debug, Clone, Copy)]
pub struct EvalJob<'a> {
    /// The network, and what it is called in messages.
    pub model: (&'a str, &'a Model),
    /// The network that it is held against; `None` for labels.
    pub original: Option<&'a Model>,
    /// The data.
    pub source: &'a Source,
    /// How they are read; nothing is set apart to confirm.
    pub config: &'a DataConfig,
    /// Which of them.
    pub part: Part,
}

/// A class of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassResult {
    /// Its name, or its number.
    pub name: String,
    /// Samples that were answered rightly.
    pub right: u64,
    /// Samples of it.
    pub images: u64,
}

/// How good a network is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluated {
    /// The part's name.
    pub split: &'static str,
    /// Samples.
    pub images: usize,
    /// What quality is called: `accuracy`.
    pub quality_name: &'static str,
    /// 0..=1.
    pub quality: f64,
    /// Mean loss.
    pub loss: f64,
    /// Images that could not be decoded.
    pub skipped_images: usize,
    /// By class, where labels count.
    pub classes: Vec<ClassResult>,
    /// What else the task tells.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub figures: Vec<Figure>,
    /// What one of the data is called.
    #[serde(skip)]
    pub noun: &'static str,
    /// What the user should know.
    #[serde(skip)]
    pub notes: Vec<String>,
}

impl EvalJob<'_> {
    /// Evaluates the network.
    ///
    /// # Errors
    /// [`EvalError`] for a network that cannot be run, data that do not fit it, and labels where
    /// there are none.
    pub fn run(&self) -> Result<Evaluated, EvalError> {
        let source = self.source;
        let config = DataConfig {
            confirm_share: 0.0,
            ..self.config.clone()
        };
        if self.original.is_none() {
            source.check_labelled("evaluate")?;
        }
        let (name, model) = self.model;
        let (model, graph) = ready(model, source, &config)?;
        let against = match self.original {
            Some(_) => Against::Original,
            None => source.against(),
        };
        let task = task::find(&graph, against, config.task)?;
        let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
        let mut data = ModelData::new(&model, source, &config, network.inputs(), task.n_classes())?;
        let part = match self.part {
            Part::Test => data.test()?.ok_or_else(|| EvalError::NoTest {
                path: source.path().to_path_buf(),
            })?,
            Part::Validation => data.load(&data.splits.search)?,
            Part::Train => data.train()?,
        };
        let weights = Weights::from_graph(&graph)?;
        let (task, reference) = match (task.against(), self.original) {
            (Against::Labels, _) => (task, Reference::Labels),
            (Against::Original, Some(original)) => {
                // As a run does it, so that the figures are those of its report.
                let train = match self.part {
                    Part::Train => None,
                    _ if task.needs_fitting() && !data.splits.train.is_empty() => {
                        Some(data.train()?)
                    }
                    _ => None,
                };
                let fitted = train.as_ref().unwrap_or(&part);
                held_against(original, &config, source, task, fitted)?
            }
            (Against::Original, None) => {
                return Err(EvalError::NeedsOriginal {
                    model: name.to_string(),
                    outputs: task.describe(),
                    quality: task.quality_name(),
                });
            }
        };
        let result = evaluate(&network, task.as_ref(), &weights, &part, &reference)?;
        let mut notes = data.notes.clone();
        if task.against() == Against::Labels {
            notes.extend(guessing_note(&result));
        }
        Ok(Evaluated {
            split: self.part.name(),
            images: part.len(),
            quality_name: task.quality_name(),
            quality: result.quality,
            loss: result.loss,
            skipped_images: data.source.skipped().len(),
            classes: classes(&result, source.train.class_names()),
            figures: result.figures,
            noun: source.noun(),
            notes,
        })
    }
}

/// A model with the sizes that the data give it, and its graph.
pub(crate) fn ready(
    model: &Model,
    source: &Source,
    config: &DataConfig,
) -> Result<(Model, Graph), EvalError> {
    let mut model = model.clone();
    model.give_input_shapes(&config.input_shapes)?;
    settle_image_size(&mut model, source)?;
    let graph = Graph::from_model(&model)?;
    check_finite(&graph, None)?;
    Ok((model, graph))
}

/// The task as the original settles it on a part, and that original's outputs.
fn held_against(
    original: &Model,
    config: &DataConfig,
    source: &Source,
    task: Arc<dyn Task>,
    part: &data::Part,
) -> Result<(Arc<dyn Task>, Reference), EvalError> {
    let (_, graph) = ready(original, source, config)?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let original = Original::new(Arc::new(network), &Weights::from_graph(&graph)?)?;
    let task = original.fit(task, part)?;
    let reference = Reference::Live(Arc::new(original));
    Ok((task, reference))
}

/// Says so if the network is no better than guessing.
fn guessing_note(result: &Evaluation) -> Option<String> {
    let counts = Counts::guessed(result.per_class.iter().copied())?;
    Some(format!(
        "the network is no better than guessing on these images: {counts}; docs/data.md says \
         how images are prepared"
    ))
}

/// The samples of each class; where none has a name, its number stands for it.
fn classes(result: &Evaluation, names: &[String]) -> Vec<ClassResult> {
    let counts = result.per_class.iter().enumerate();
    counts
        .map(|(i, &(right, images))| ClassResult {
            name: names.get(i).cloned().unwrap_or_else(|| i.to_string()),
            right,
            images,
        })
        .collect()
}

/// For the end of a line: how many images were left out, if any.
pub(crate) fn skipped_text(n: usize) -> String {
    match n {
        0 => String::new(),
        n => format!(", {} left out", counted(n, "image")),
    }
}

/// The figures, then a line each class.
impl fmt::Display for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} {:.2} %, loss {:.4}, {}{}",
            self.split,
            self.quality_name,
            100.0 * self.quality,
            self.loss,
            counted(self.images, self.noun),
            skipped_text(self.skipped_images)
        )?;
        let classes = self.classes.iter().filter(|c| c.images > 0).map(|class| {
            let share = 100.0 * class.right as f64 / class.images as f64;
            [
                class.name.clone(),
                format!("{share:.2} %"),
                format!("{} of {}", class.right, class.images),
            ]
        });
        let figures = self.figures.iter().map(|f| [f.title(), f.text()]);
        let align = [Align::Left, Align::Right];
        write_table(f, &align, classes)?;
        write_table(f, &align, figures)
    }
}
