//! What data are like, and how a network takes them.

use std::fmt;
use std::path::PathBuf;

use secateur_net::task;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use serde::Serialize;

use super::described;
use crate::NetworkError;
use crate::data::{self, DataConfig, ModelData, Source, count_classes, settle_image_size};
use crate::table::{Align, write_table};

#[derive(Debug, Serialize)]
struct Class {
    label: usize,
    name: String,
    train: usize,
    test: usize,
}

#[derive(Debug, Serialize)]
struct Fit {
    /// The network's inputs: name and extents.
    inputs: Vec<String>,
    outputs: Option<usize>,
    train: usize,
    /// Validation samples: those that guide a search, and those that confirm its result.
    validation: [usize; 2],
    test: usize,
    /// Absent for arrays, which are taken as they are.
    normalisation: Option<data::Normalisation>,
    preprocessing: data::Preprocessing,
    skipped: Vec<data::SkippedImage>,
}

/// What data are like.
#[derive(Debug, Serialize)]
pub struct DataInspection {
    #[serde(skip)]
    path: PathBuf,
    kind: &'static str,
    /// What a sample is: `image`, or `sample` of arrays.
    noun: &'static str,
    /// `[height, width, channels]`; absent for arrays, and if the images differ in size.
    image_shape: Option<[usize; 3]>,
    train: usize,
    test: Option<usize>,
    classes: Vec<Class>,
    /// What the user should know.
    pub notes: Vec<String>,
    /// With a model: the data as it takes them.
    fit: Option<Fit>,
}

impl DataInspection {
    /// Of opened data; with a model, as it takes them: all training images are decoded once.
    ///
    /// # Errors
    /// [`NetworkError`] for a network that cannot be run, and data that do not fit it.
    pub fn new(
        source: &Source,
        model: Option<&Model>,
        config: &DataConfig,
    ) -> Result<Self, NetworkError> {
        let mut notes = source.notes.clone();
        let fit = match model {
            Some(model) => Some(fit(model, source, config, &mut notes)?),
            None => None,
        };
        let tests = source
            .test
            .as_ref()
            .map(|test| count_classes(test.as_ref()));
        let of_test = |label| tests.as_ref()?.get(label).copied();
        let counts = source.class_counts().into_iter().enumerate();
        Ok(Self {
            path: source.path().to_path_buf(),
            kind: source.kind,
            noun: source.noun(),
            image_shape: source.own_shape().ok().filter(|_| source.is_images()),
            train: source.train.len(),
            test: source.test.as_ref().map(|test| test.len()),
            classes: counts
                .map(|(label, train)| Class {
                    label,
                    name: source.train.class_names()[label].clone(),
                    train,
                    test: of_test(label).unwrap_or(0),
                })
                .collect(),
            notes,
            fit,
        })
    }
}

/// Fits the data to the model; decodes all training images once.
fn fit(
    model: &Model,
    source: &Source,
    config: &DataConfig,
    notes: &mut Vec<String>,
) -> Result<Fit, NetworkError> {
    let mut model = model.prepared();
    model.give_input_shapes(&config.input_shapes)?;
    settle_image_size(&mut model, source)?;
    let graph = Graph::from_model(&model)?;
    let task = task::find(&graph, source.against(), config.task)?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let (inputs, outputs) = (network.inputs(), task.n_classes());
    let mut data = ModelData::new(&model, source, config, inputs, outputs)?;
    data.train()?;
    notes.clone_from(&data.notes);
    Ok(Fit {
        inputs: inputs.iter().map(described).collect(),
        outputs,
        train: data.splits.train.len(),
        validation: [data.splits.search.len(), data.splits.confirm.len()],
        test: data.source.test.as_ref().map_or(0, |test| test.len()),
        normalisation: data.source.is_images().then(|| data.normalisation.clone()),
        preprocessing: data.preprocessing,
        skipped: data.source.skipped(),
    })
}

/// Format and size, the classes, and how the network takes them; notes are left to the caller.
impl fmt::Display for DataInspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = match self.image_shape {
            Some([h, w, c]) => format!(", images {h}x{w}x{c} (height x width x channels)"),
            None if self.noun == "image" => ", images of different sizes".to_string(),
            None => String::new(),
        };
        writeln!(f, "{}: {}{shape}", self.path.display(), self.kind)?;
        let to_train = counted(self.train, self.noun);
        match self.test {
            Some(test) => writeln!(f, "  {to_train} to train on, {test} for the test")?,
            None => writeln!(f, "  {to_train} to train on, none for the test")?,
        }
        if self.classes.is_empty() {
            writeln!(f, "  without labels")?;
        } else {
            self.write_classes(f)?;
        }
        match &self.fit {
            Some(fit) => fit.write(f, self.noun),
            None => Ok(()),
        }
    }
}

impl DataInspection {
    fn write_classes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nclasses")?;
        let head = ["label", "name", "train", "test"].map(str::to_string);
        let classes = self.classes.iter().map(|class| {
            [
                class.label.to_string(),
                class.name.clone(),
                class.train.to_string(),
                class.test.to_string(),
            ]
        });
        let align = [Align::Right, Align::Left, Align::Right];
        write_table(f, &align, std::iter::once(head).chain(classes))
    }
}

impl Fit {
    fn write(&self, f: &mut fmt::Formatter<'_>, noun: &str) -> fmt::Result {
        writeln!(
            f,
            "\nfits the network: input {}{}",
            self.inputs.join(", "),
            self.outputs
                .map_or_else(String::new, |n| format!(", {}", counted(n, "output")))
        )?;
        let [search, confirm] = self.validation;
        writeln!(
            f,
            "  {} to train on, {search} to guide the search, {confirm} to confirm its result, {} \
             for the test",
            counted(self.train, noun),
            self.test
        )?;
        match &self.normalisation {
            Some(normalisation) => writeln!(
                f,
                "  mean {:?}, deviation {:?}, channels {}, size by {}",
                normalisation.mean,
                normalisation.std,
                self.preprocessing.colour,
                self.preprocessing.resize
            )?,
            None => writeln!(f, "  values as they are")?,
        }
        for skipped in &self.skipped {
            writeln!(
                f,
                "  left out: `{}` ({})",
                skipped.path.display(),
                skipped.reason
            )?;
        }
        Ok(())
    }
}
