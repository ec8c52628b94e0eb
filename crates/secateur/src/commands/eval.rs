//! `secateur eval`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use secateur::data::{self, DataConfig, ModelData, Source, settle_image_size};
use secateur::guessing::Counts;
use secateur::table::Align;
use secateur_net::task::{self, Against, Figure, Task};
use secateur_net::train::{Evaluation, Original, Reference, evaluate};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use secateur_search::environment::training::check_finite;
use serde::Serialize;

use super::{open_data, print_json, print_notes, say_table, skipped_text};
use crate::cli::args::{EvalArgs, Part};
use crate::cli::exit_code;
use crate::cli::settings::data_config;

#[derive(Serialize)]
struct Class {
    name: String,
    right: u64,
    images: u64,
}

#[derive(Serialize)]
struct Summary<'a> {
    split: &'a str,
    images: usize,
    quality_name: &'a str,
    quality: f64,
    loss: f64,
    skipped_images: usize,
    classes: Vec<Class>,
    #[serde(skip_serializing_if = "<[Figure]>::is_empty")]
    figures: &'a [Figure],
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<u8> {
    let mut model = Model::read(&args.model)?;
    let config = DataConfig {
        confirm_share: 0.0,
        ..data_config(args.config.as_deref(), &args.settings)?
    };
    let source = open_data(&args.data, &config, args.json)?;
    if args.original.is_none() {
        source.check_labelled("evaluate")?;
    }
    model.give_input_shapes(&config.input_shapes)?;
    settle_image_size(&mut model, &source)?;
    let graph = Graph::from_model(&model)?;
    check_finite(&graph, None)?;
    let against = match &args.original {
        Some(_) => Against::Original,
        None => source.against(),
    };
    let task = task::find(&graph, against, config.task)?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let mut data = ModelData::new(&model, &source, &config, network.inputs(), task.n_classes())?;
    let (part, name) = match args.split {
        Part::Test => match data.test()? {
            Some(test) => (test, "test"),
            None => bail!(
                "cannot evaluate: `{}` holds no test data",
                args.data.display()
            ),
        },
        Part::Validation => (data.load(&data.splits.search)?, "validation"),
        Part::Train => (data.train()?, "training"),
    };
    print_notes(&data.notes);
    let weights = Weights::from_graph(&graph)?;
    let (task, reference) = match (task.against(), &args.original) {
        (Against::Labels, _) => (task, Reference::Labels),
        (Against::Original, Some(path)) => held_against(path, &config, &source, task, &part)?,
        (Against::Original, None) => bail!(
            "cannot evaluate `{}` by labels: {}, whose {} is held against the given network's\n\n\
             hint: name that network by `--original FILE`",
            args.model.display(),
            task.describe(),
            task.quality_name()
        ),
    };
    let result = evaluate(&network, task.as_ref(), &weights, &part, &reference)?;
    let by_labels = task.against() == Against::Labels;
    let counts = Counts::guessed(result.per_class.iter().copied());
    if let Some(counts) = counts.filter(|_| by_labels) {
        print_notes(&[format!(
            "the network is no better than guessing on these images: {counts}; docs/data.md says \
             how images are prepared"
        )]);
    }
    let names = source.train.class_names();
    let summary = Summary {
        split: name,
        images: part.len(),
        quality_name: task.quality_name(),
        quality: result.quality,
        loss: result.loss,
        skipped_images: data.source.skipped().len(),
        classes: classes(&result, names),
        figures: &result.figures,
    };
    if args.json {
        print_json(&summary)?;
    } else {
        print(&summary, source.noun());
    }
    Ok(exit_code::SUCCESS)
}

/// The task as the original in a file settles it, and that original's outputs for a part.
fn held_against(
    path: &Path,
    config: &DataConfig,
    source: &Source,
    task: Arc<dyn Task>,
    part: &data::Part,
) -> Result<(Arc<dyn Task>, Reference)> {
    let mut model = Model::read(path)?;
    model.give_input_shapes(&config.input_shapes)?;
    settle_image_size(&mut model, source)?;
    let graph = Graph::from_model(&model)?;
    check_finite(&graph, None)?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let original = Original::new(Arc::new(network), &Weights::from_graph(&graph)?)?;
    let task = original.fit(task, part)?;
    let reference = Reference::Live(Arc::new(original));
    Ok((task, reference))
}

/// The samples of each class; where none has a name, its number stands for it.
fn classes(result: &Evaluation, names: &[String]) -> Vec<Class> {
    let counts = result.per_class.iter().enumerate();
    counts
        .map(|(i, &(right, images))| Class {
            name: names.get(i).cloned().unwrap_or_else(|| i.to_string()),
            right,
            images,
        })
        .collect()
}

fn print(summary: &Summary<'_>, noun: &str) {
    say!(
        "{}: {} {:.2} %, loss {:.4}, {}{}",
        summary.split,
        summary.quality_name,
        100.0 * summary.quality,
        summary.loss,
        counted(summary.images, noun),
        skipped_text(summary.skipped_images)
    );
    let rows = summary
        .classes
        .iter()
        .filter(|c| c.images > 0)
        .map(|class| {
            let share = 100.0 * class.right as f64 / class.images as f64;
            [
                class.name.clone(),
                format!("{share:.2} %"),
                format!("{} of {}", class.right, class.images),
            ]
        });
    say_table(&[Align::Left, Align::Right], rows);
    let figures = summary.figures.iter().map(|f| [f.title(), f.text()]);
    say_table(&[Align::Left, Align::Right], figures);
}
