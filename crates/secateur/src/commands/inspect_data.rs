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
    /// Network input `[channels, height, width]`.
    input: [usize; 3],
    outputs: Option<usize>,
    train: usize,
    validation: usize,
    normalisation: data::Normalisation,
    preprocessing: data::Preprocessing,
    skipped: Vec<data::SkippedImage>,
}

#[derive(Serialize)]
struct Summary<'a> {
    kind: &'a str,
    /// `[height, width, channels]`; absent if the images differ in size.
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
    let config = DataConfig {
        input_shapes: args.shapes.input_shape.clone(),
        ..DataConfig::default()
    };
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
        image_shape: source.own_shape().ok(),
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
    let task = task::find(&graph, source.against())?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let (input, outputs) = (network.input_shape()?, task.n_classes());
    let mut data = ModelData::new(&model, source, config, input, outputs)?;
    data.train()?;
    notes.clone_from(&data.notes);
    Ok(Fit {
        input,
        outputs,
        train: data.splits.train.len(),
        validation: data.splits.search.len() + data.splits.confirm.len(),
        normalisation: data.normalisation.clone(),
        preprocessing: data.preprocessing,
        skipped: data.source.skipped(),
    })
}

fn print(path: &Path, summary: &Summary<'_>) {
    let shape = match summary.image_shape {
        Some([h, w, c]) => format!("{h}x{w}x{c} (height x width x channels)"),
        None => "of different sizes".to_string(),
    };
    say!("{}: {}, images {shape}", path.display(), summary.kind);
    match summary.test {
        Some(test) => say!("  {} to train on, {test} for the test", summary.train),
        None => say!("  {} to train on, none for the test", summary.train),
    }
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
    if let Some(fit) = &summary.fit {
        print_fit(fit);
    }
    print_notes(&summary.notes);
}

fn print_fit(fit: &Fit) {
    let [c, h, w] = fit.input;
    say!(
        "\nfits the network: input {c}x{h}x{w}{}",
        fit.outputs
            .map_or_else(String::new, |n| format!(", {}", counted(n, "output")))
    );
    say!(
        "  {} to train on, {} to validate",
        counted(fit.train, "image"),
        fit.validation
    );
    say!(
        "  mean {:?}, deviation {:?}, channels {}, size by {}",
        fit.normalisation.mean,
        fit.normalisation.std,
        fit.preprocessing.colour,
        fit.preprocessing.resize
    );
    for skipped in &fit.skipped {
        say!(
            "  left out: `{}` ({})",
            skipped.path.display(),
            skipped.reason
        );
    }
}
