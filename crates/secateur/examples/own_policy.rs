//! A policy of one's own: who decides which kernels stay.
//!
//! This one rotates: it wants to keep the kernels that have been off for longest, and otherwise
//! those that answer most, so that every kernel gets its turn. The promise (here a budget) is
//! kept whatever a policy wants.
//!
//! `cargo run --release --example own_policy` from the repository's root.

use std::path::Path;

use secateur::arch::{VggConfig, vgg_like};
use secateur::prelude::*;
use secateur::report::terminal_table;

/// Wants what has been off for long, and then what answers most.
struct Rotation {
    /// How much an epoch off weighs against the mean answer of a layer's kernels.
    patience: f32,
}

impl Policy for Rotation {
    fn name(&self) -> String {
        "rotation".to_string()
    }

    fn rank(&mut self, observation: &Observation) -> Vec<Vec<f32>> {
        observation.of_switchable(|group, kernel| {
            let facts = observation.kernels[group][kernel];
            let answer = observation.scores.of_group("positive", group)[kernel];
            let waiting = if facts.active { 0 } else { facts.since_switch };
            answer + self.patience * waiting as f32
        })
    }

    // `wish` is left as it is: the budget alone says how many kernels go.
}

/// Prunes a small network with it; returns the report.
pub fn run(data: &Path, epochs: f64) -> Result<RunReport, Box<dyn std::error::Error>> {
    let source = data::open(data, &DataConfig::default())?;
    let mut architecture = VggConfig::new([1, 28, 28], 10);
    architecture.stages = VggConfig::parse_stages("6,M,10,M")?;
    architecture.hidden = vec![16];
    let config = TrainConfig {
        epochs,
        ..TrainConfig::default()
    };
    let trained = train(&vgg_like(&architecture, 0)?, &source, &config, &mut ())?;

    let budget = Budget {
        metric: Metric::Params,
        remaining: 0.4,
    };
    let mut pruner = Pruner::new(Mode::Ceca {
        budgets: vec![budget],
        max_drop: 0.0,
    })
    .policy(Rotation { patience: 0.1 });
    // An episode that explores teaches this policy nothing.
    pruner.config.search.explore_episodes = 0;
    pruner.config.search.ablation_images = 0;
    Ok(pruner.run(&trained.model, &source, &mut ())?.report)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let report = run(Path::new("data/mnist"), 0.5)?;
    println!("{}", terminal_table(&report));
    Ok(())
}
