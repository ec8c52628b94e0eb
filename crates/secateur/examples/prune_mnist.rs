//! The library's main job in a page: train a small network, prune it, read the report.
//!
//! `cargo run --release --example prune_mnist` from the repository's root.

use std::path::Path;

use secateur::arch::{VggConfig, vgg_like};
use secateur::prelude::*;
use secateur::report::terminal_table;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let source = data::open(Path::new("data/mnist"), &DataConfig::default())?;

    let mut architecture = VggConfig::new([1, 28, 28], 10);
    architecture.stages = VggConfig::parse_stages("12,M,24,M")?;
    let model = vgg_like(&architecture, 0)?;
    let config = TrainConfig {
        epochs: 0.5,
        ..TrainConfig::default()
    };
    let trained = train(&model, &source, &config, &mut ())?;

    let budget = Budget {
        metric: Metric::Params,
        remaining: 0.2,
    };
    let mode = Mode::Ceca {
        budgets: vec![budget],
        max_drop: 0.0,
    };
    let pruned = Pruner::new(mode).run(&trained.model, &source, &mut ())?;
    println!("{}", terminal_table(&pruned.report));
    Ok(())
}
