//! The library's main job in a page: train a small network, prune it, read the report.
//!
//! `cargo run --release --example prune_mnist` from the repository's root.

use std::path::Path;

use secateur::data::DataConfig;
use secateur::onnx::arch::{VggConfig, vgg_like};
use secateur::report::terminal_table;
use secateur::search::config::{Budget, Metric, Mode};
use secateur::train::{TrainConfig, train};
use secateur::{Pruner, data};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let source = data::open(Path::new("data/mnist"), &DataConfig::default())?;

    let mut architecture = VggConfig::new([1, 28, 28], 10);
    architecture.stages = VggConfig::parse_stages("12,M,24,M")?;
    let model = vgg_like(&architecture, 0)?;
    let config = TrainConfig {
        epochs: 0.5,
        ..TrainConfig::default()
    };
    let trained = train(&model, &source, &config, &mut ())?;
    let net = folder.path().join("net.onnx");
    trained.model.write(&net)?;

    let budget = Budget {
        metric: Metric::Params,
        remaining: 0.2,
    };
    let mode = Mode::Ceca {
        budgets: vec![budget],
        max_drop: 0.0,
    };
    let pruner = Pruner::new(&net, folder.path().join("small.onnx"), mode);
    let report = pruner.run(&source, &mut ())?;
    println!("{}", terminal_table(&report));
    Ok(())
}
