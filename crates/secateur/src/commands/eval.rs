//! `secateur eval`.

use anyhow::{Result, bail};
use secateur::data::{DataConfig, ModelData, settle_image_size};
use secateur::guessing::Counts;
use secateur::table::Align;
use secateur_net::task::{self, Against};
use secateur_net::train::{Evaluation, Reference, evaluate};
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

#[derive(Serialize)]
struct Class<'a> {
    name: &'a str,
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
    classes: Vec<Class<'a>>,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<u8> {
    let mut model = Model::read(&args.model)?;
    let config = DataConfig {
        confirm_share: 0.0,
        ..args.settings.over(DataConfig::default())
    };
    let source = open_data(&args.data, &config, args.json)?;
    model.give_input_shapes(&config.input_shapes)?;
    settle_image_size(&mut model, &source)?;
    let graph = Graph::from_model(&model)?;
    check_finite(&graph, None)?;
    let task = task::find(&graph, Against::Labels)?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let mut data = ModelData::new(
        &model,
        &source,
        &config,
        network.input_shape()?,
        task.n_classes(),
    )?;
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
    let result = evaluate(&network, task.as_ref(), &weights, &part, &Reference::Labels)?;
    if let Some(counts) = Counts::guessed(result.per_class.iter().copied()) {
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
    };
    if args.json {
        print_json(&summary)?;
    } else {
        print(&summary);
    }
    Ok(exit_code::SUCCESS)
}

fn classes<'a>(result: &Evaluation, names: &'a [String]) -> Vec<Class<'a>> {
    let counts = result.per_class.iter().enumerate();
    counts
        .map(|(i, &(right, images))| Class {
            name: names.get(i).map_or("", String::as_str),
            right,
            images,
        })
        .collect()
}

fn print(summary: &Summary<'_>) {
    say!(
        "{}: {} {:.2} %, loss {:.4}, {}{}",
        summary.split,
        summary.quality_name,
        100.0 * summary.quality,
        summary.loss,
        counted(summary.images, "image"),
        skipped_text(summary.skipped_images)
    );
    let rows = summary
        .classes
        .iter()
        .filter(|c| c.images > 0)
        .map(|class| {
            let share = 100.0 * class.right as f64 / class.images as f64;
            [
                class.name.to_string(),
                format!("{share:.2} %"),
                format!("{} of {}", class.right, class.images),
            ]
        });
    say_table(&[Align::Left, Align::Right], rows);
}
