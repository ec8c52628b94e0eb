//! A score of one's own: what kernels are ranked by.
//!
//! This one asks how far a kernel's weights lie from those of the other kernels of its layer.
//! Kernels near the middle of all are those that others can replace: the geometric median of
//! He et al., CVPR 2019, arXiv:1811.00250.
//!
//! `cargo run --release --example own_score` from the repository's root.

use std::path::Path;

use secateur::arch::{VggConfig, vgg_like};
use secateur::prelude::*;
use secateur::report::terminal_table;
use secateur_onnx::coupling::{ChannelGroup, Role};

/// Σ_j ‖w_k - w_j‖ over the kernels j of the same layer.
struct Distance;

/// The weights that produce each kernel of a group, `[kernel][weight]`.
fn weights(evidence: &Evidence<'_>, group: &ChannelGroup) -> Vec<Vec<f32>> {
    let mut weights = vec![Vec::new(); group.width];
    for member in group.members.iter().filter(|m| m.role == Role::Output) {
        let Some((shape, values)) = evidence.tensors.tensor(&member.tensor) else {
            continue;
        };
        for (kernel, own) in weights.iter_mut().enumerate() {
            for block in member.blocks(shape, kernel) {
                own.extend_from_slice(&values[block]);
            }
        }
    }
    weights
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(x, y)| (x - y) * (x - y));
    squares.sum::<f32>().sqrt()
}

impl Score for Distance {
    fn name(&self) -> &'static str {
        "distance"
    }

    fn about(&self) -> &'static str {
        "sum of the distances to the weights of the layer's other kernels"
    }

    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>> {
        evidence.by_group(|group| {
            let weights = weights(evidence, group);
            let to_all = |own: &Vec<f32>| weights.iter().map(|other| distance(own, other)).sum();
            weights.iter().map(to_all).collect()
        })
    }
}

/// Prunes a small network by it; returns the report.
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
    let mode = Mode::Ceca {
        budgets: vec![budget],
        max_drop: 0.0,
    };
    let by_distance = RankingPolicy::new(Ranking::by("distance", Scope::Uniform), 0);
    let mut pruner = Pruner::new(mode).score(&Distance).policy(by_distance);
    pruner.config.search.explore_episodes = 0;
    pruner.config.search.ablation_images = 0;
    Ok(pruner.run(&trained.model, &source, &mut ())?.report)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let report = run(Path::new("data/mnist"), 0.5)?;
    println!("{}", terminal_table(&report));
    Ok(())
}
