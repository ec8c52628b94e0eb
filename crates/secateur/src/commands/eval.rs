//! `secateur eval`.

use anyhow::{Result, bail};
use secateur::data::{DataConfig, ModelData, settle_image_size};
use secateur::net::interpreter::{Engine, Network};
use secateur::net::train::evaluate;
use secateur::net::weights::Weights;
use secateur::onnx::graph::Graph;
use secateur::onnx::model::Model;
use secateur::search::env::check_finite;
use serde::Serialize;

use super::{open_data, print_json, print_notes, skipped_text};
use crate::cli::args::{EvalArgs, Part};
use crate::cli::exit_code;
use crate::cli::settings::data_config;

#[derive(Serialize)]
struct Class<'a> {
    name: &'a str,
    right: u64,
    images: u64,
}

#[derive(Serialize)]
struct Summary<'a> {
    split: String,
    images: usize,
    accuracy: f64,
    loss: f64,
    skipped_images: usize,
    classes: Vec<Class<'a>>,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<u8> {
    let mut model = Model::read(&args.model)?;
    let config = DataConfig {
        confirm_share: 0.0,
        ..data_config(&args.data.options, DataConfig::default())
    };
    let source = open_data(&args.data.data, &config, args.json)?;
    settle_image_size(&mut model, &source)?;
    let graph = Graph::from_model(&model)?;
    check_finite(&graph)?;
    let network = Network::new(&graph, Engine::Fused)?;
    let mut data = ModelData::new(
        &model,
        &source,
        &config,
        network.input_shape(),
        network.n_classes(),
    )?;
    let (part, name) = match args.split {
        Part::Test => match data.test()? {
            Some(test) => (test, "test"),
            None => bail!(
                "cannot evaluate: `{}` holds no test data",
                args.data.data.display()
            ),
        },
        Part::Validation => (data.load(&data.splits.search)?, "validation"),
        Part::Train => (data.train()?, "training"),
    };
    print_notes(&data.notes);
    let result = evaluate(&network, &Weights::from_graph(&graph)?, &part)?;
    let names = source.train.class_names();
    let classes: Vec<Class<'_>> = result
        .per_class
        .iter()
        .enumerate()
        .map(|(i, &(right, images))| Class {
            name: names.get(i).map_or("", String::as_str),
            right,
            images,
        })
        .collect();
    let skipped = data.source.skipped().len();
    if args.json {
        print_json(&Summary {
            split: name.to_string(),
            images: part.len(),
            accuracy: result.accuracy,
            loss: result.loss,
            skipped_images: skipped,
            classes,
        })?;
        return Ok(exit_code::SUCCESS);
    }
    say!(
        "{name}: accuracy {:.2} %, loss {:.4}, {} images{}",
        100.0 * result.accuracy,
        result.loss,
        part.len(),
        skipped_text(skipped)
    );
    for class in classes.iter().filter(|c| c.images > 0) {
        let share = 100.0 * class.right as f64 / class.images as f64;
        say!(
            "  {:>12}  {share:6.2} %  ({} of {})",
            class.name,
            class.right,
            class.images
        );
    }
    Ok(exit_code::SUCCESS)
}
