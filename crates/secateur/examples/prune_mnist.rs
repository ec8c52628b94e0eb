//! The library's main job in a page: train a small network, prune it, read the report.
//!
//! `cargo run --release --example prune_mnist` from the repository's root.

use std::path::Path;

use secateur::data;
use secateur::onnx::arch::{VggConfig, vgg_like};
use secateur::prune::{Job, prune};
use secateur::report::terminal_table;
use secateur::search::config::{Budget, Metric, Mode, PruneConfig};
use secateur::train::{TrainConfig, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let source = data::open(Path::new("data/mnist"))?;

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
    let config = PruneConfig::new(Mode::Ceca {
        budgets: vec![budget],
        max_drop: 0.0,
    });
    let job = Job {
        model: &net,
        output: &folder.path().join("small.onnx"),
        run_dir: &folder.path().join("run"),
        agent: None,
        resume: false,
        command: "example".to_string(),
    };
    let report = prune(&job, &source, &config, &mut ())?;
    println!("{}", terminal_table(&report));
    Ok(())
}
