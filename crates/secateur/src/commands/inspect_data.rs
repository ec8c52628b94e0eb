//! `secateur inspect --data`.

use secateur_onnx::text::counted;
use std::path::Path;

use anyhow::Result;
use secateur::data::{self, DataConfig, ModelData, Source, count_classes, settle_image_size};
use secateur::table::Align;
use secateur_net::task;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde::Serialize;

use super::inspect::described;
use super::{print_json, print_notes, say_table};
use crate::cli::args::InspectArgs;
use crate::cli::exit_code;

#[derive(Serialize)]
struct Class<'a> {
    label: usize,
    name: &'a str,
    train: usize,
    test: usize,
}

#[derive(Serialize)]
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

#[derive(Serialize)]
struct Summary<'a> {
    kind: &'a str,
    /// What a sample is: `image`, or `sample` of arrays.
    noun: &'a str,
    /// `[height, width, channels]`; absent for arrays, and if the images differ in size.
    image_shape: Option<[usize; 3]>,
    train: usize,
    test: Option<usize>,
    classes: Vec<Class<'a>>,
    notes: Vec<String>,
    /// With a model: the data as it takes them.
    fit: Option<Fit>,
}

/// Runs the command.
pub fn run(path: &Path, args: &InspectArgs) -> Result<u8> {
    let config = args.settings.over(DataConfig::default());
    let (model, json) = (args.model.as_deref(), args.json);
    let source = data::open(path, &config)?;
    let mut notes = source.notes.clone();
    let fit = match model {
        Some(model) => Some(fit(model, &source, &config, &mut notes)?),
        None => None,
    };
    let tests = source
        .test
        .as_ref()
        .map(|test| count_classes(test.as_ref()));
    let summary = Summary {
        kind: source.kind,
        noun: source.noun(),
        image_shape: source.own_shape().ok().filter(|_| source.is_images()),
        train: source.train.len(),
        test: source.test.as_ref().map(|test| test.len()),
        classes: source
            .class_counts()
            .into_iter()
            .enumerate()
            .map(|(label, train)| Class {
                label,
                name: &source.train.class_names()[label],
                train,
                test: tests
                    .as_ref()
                    .and_then(|counts| counts.get(label).copied())
                    .unwrap_or(0),
            })
            .collect(),
        notes,
        fit,
    };
    if json {
        print_json(&summary)?;
    } else {
        print(path, &summary);
    }
    Ok(exit_code::SUCCESS)
}

/// Fits the data to the model; decodes all training images once.
fn fit(model: &Path, source: &Source, config: &DataConfig, notes: &mut Vec<String>) -> Result<Fit> {
    let mut model = Model::read(model)?.prepared();
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

fn print(path: &Path, summary: &Summary<'_>) {
    let shape = match summary.image_shape {
        Some([h, w, c]) => format!(", images {h}x{w}x{c} (height x width x channels)"),
        None if summary.noun == "image" => ", images of different sizes".to_string(),
        None => String::new(),
    };
    say!("{}: {}{shape}", path.display(), summary.kind);
    let to_train = counted(summary.train, summary.noun);
    match summary.test {
        Some(test) => say!("  {to_train} to train on, {test} for the test"),
        None => say!("  {to_train} to train on, none for the test"),
    }
    if summary.classes.is_empty() {
        say!("  without labels");
    } else {
        print_classes(summary);
    }
    if let Some(fit) = &summary.fit {
        print_fit(fit, summary.noun);
    }
    print_notes(&summary.notes);
}

fn print_classes(summary: &Summary<'_>) {
    say!("\nclasses");
    let head = ["label", "name", "train", "test"].map(str::to_string);
    let classes = summary.classes.iter().map(|class| {
        [
            class.label.to_string(),
            class.name.to_string(),
            class.train.to_string(),
            class.test.to_string(),
        ]
    });
    let align = [Align::Right, Align::Left, Align::Right];
    say_table(&align, std::iter::once(head).chain(classes));
}

fn print_fit(fit: &Fit, noun: &str) {
    say!(
        "\nfits the network: input {}{}",
        fit.inputs.join(", "),
        fit.outputs
            .map_or_else(String::new, |n| format!(", {}", counted(n, "output")))
    );
    let [search, confirm] = fit.validation;
    say!(
        "  {} to train on, {search} to guide the search, {confirm} to confirm its result, {} for \
         the test",
        counted(fit.train, noun),
        fit.test
    );
    match &fit.normalisation {
        Some(normalisation) => say!(
            "  mean {:?}, deviation {:?}, channels {}, size by {}",
            normalisation.mean,
            normalisation.std,
            fit.preprocessing.colour,
            fit.preprocessing.resize
        ),
        None => say!("  values as they are"),
    }
    for skipped in &fit.skipped {
        say!(
            "  left out: `{}` ({})",
            skipped.path.display(),
            skipped.reason
        );
    }
}
