//! `secateur eval`.

use anyhow::{Result, bail};
use secateur::data::{self, Loaded, Splits, check_fits, normalisation_of};
use secateur::net::interpreter::{Engine, Network};
use secateur::net::train::evaluate;
use secateur::net::weights::Weights;
use secateur::onnx::graph::Graph;
use secateur::onnx::model::Model;
use secateur::search::env::metadata;
use serde::Serialize;

use super::print_json;
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
    split: String,
    images: usize,
    accuracy: f64,
    loss: f64,
    classes: Vec<Class<'a>>,
}

/// Runs the command.
pub fn run(args: &EvalArgs) -> Result<u8> {
    let model = Model::read(&args.model)?;
    let graph = Graph::from_model(&model)?;
    let network = Network::new(&graph, Engine::Fused)?;
    let source = data::open(&args.data)?;
    let (validation_seed, validation): (u64, usize) = model
        .metadata(metadata::SPLIT)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or((0, 5000));
    let (part, indices, name) = match args.split {
        Part::Test => {
            let Some(test) = &source.test else {
                bail!(
                    "cannot evaluate: `{}` holds no test data",
                    args.data.display()
                );
            };
            (test.clone(), (0..test.len()).collect(), "test")
        }
        Part::Validation | Part::Train => {
            let splits = Splits::new(source.train.len(), validation, 0.0, validation_seed)?;
            if args.split == Part::Train {
                (source.train.clone(), splits.train, "training")
            } else {
                (source.train.clone(), splits.search, "validation")
            }
        }
    };
    check_fits(
        part.as_ref(),
        &format!("the {name} data"),
        network.input_shape(),
        network.n_classes(),
    )?;
    let normalisation = normalisation_of(&model, &source)?;
    let loaded = Loaded::load(part.as_ref(), &indices, &normalisation)?;
    let result = evaluate(&network, &Weights::from_graph(&graph)?, &loaded)?;
    let names = part.class_names();
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
    if args.json {
        print_json(&Summary {
            split: name.to_string(),
            images: loaded.len(),
            accuracy: result.accuracy,
            loss: result.loss,
            classes,
        })?;
        return Ok(exit_code::SUCCESS);
    }
    println!(
        "{name}: accuracy {:.2} %, loss {:.4}, {} images",
        100.0 * result.accuracy,
        result.loss,
        loaded.len()
    );
    for class in classes.iter().filter(|c| c.images > 0) {
        let share = 100.0 * class.right as f64 / class.images as f64;
        println!(
            "  {:>12}  {share:6.2} %  ({} of {})",
            class.name, class.right, class.images
        );
    }
    Ok(exit_code::SUCCESS)
}
