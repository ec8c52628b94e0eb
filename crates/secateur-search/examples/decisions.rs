//! Time of a search's own bookkeeping: what an epoch decides besides looking at networks.
//!
//! `cargo run --release -p secateur-search --example decisions -- [FILE ...]` takes a VGG-like network and
//! a MobileNetV2, and the models of the files. Scores and errors are random: times depend on how many
//! kernels and layers there are.

use std::sync::Arc;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::Engine;
use secateur_net::heal::WidthErrors;
use secateur_onnx::arch::{MobileNetConfig, VggConfig, mobilenet_v2, vgg_like};
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::choose::{Limits, choose};
use secateur_search::config::{Metric, Mode, PruneConfig};
use secateur_search::observation::{KernelFacts, LayerFacts, NetworkFacts, Observation};
use secateur_search::policies;
use secateur_search::policy::Experience;
use secateur_search::scores::{
    ACTIVATION, HEALTH, L2, POSITIVE, SCALE, Scores, TAYLOR, WEIGHT_NORM,
};
use secateur_search::space::Space;
use secateur_search::widths::Frame;

/// Shares of the parameters that an epoch cuts to, each from the whole network.
const SHARES: [f64; 2] = [0.5, 0.1];
/// Share of a layer that may be exchanged afterwards.
const EXCHANGED: f64 = 0.1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut models = vec![
        (
            "VGG-like".to_string(),
            vgg_like(&VggConfig::new([1, 28, 28], 10), 0)?,
        ),
        (
            "MobileNetV2".to_string(),
            mobilenet_v2(&MobileNetConfig::new([3, 32, 32], 10), 0)?,
        ),
    ];
    for path in std::env::args().skip(1) {
        let model = Model::read(&path)?;
        models.push((path, model));
    }
    for (name, model) in &models {
        let graph = Graph::outline(model)?;
        let space = Space::new(&graph, &[])?;
        let groups = space.groups.groups.iter();
        let kernels: usize = groups.map(|group| group.width).sum();
        println!(
            "{name}: {kernels} kernels in {} groups",
            space.groups.groups.len()
        );
        for share in SHARES {
            epoch(&space, share)?;
        }
    }
    Ok(())
}

/// Times the decisions of a cut to a share of the parameters and of an exchange after it.
fn epoch(space: &Space, share: f64) -> Result<(), Box<dyn std::error::Error>> {
    let config = PruneConfig::new(Mode::Aec { max_drop: 0.0 });
    let mut policy = policies::by_name(&config, None, &Engine::fused())?;
    let limits = |max_switch_ratio| Limits {
        count: Metric::Params.into(),
        at_most: (share * space.size.params as f64) as u64,
        at_least: (0.97 * share * space.size.params as f64) as u64,
        max_switch_ratio,
        round_to: 1,
    };
    let frame = Frame {
        space,
        count: Metric::Params.into(),
        at_most: limits(1.0).at_most,
        round_to: 1,
        effort: 1.0,
    };
    let mut masks = space.all_active();
    for (what, ratio) in [("cut", 1.0), ("exchange", EXCHANGED)] {
        let (observing, observation) = timed(|| observation(space, &masks));
        let (ranking, (ranks, wishes)) =
            timed(|| (policy.rank(&observation), policy.wish(&observation)));
        let (sizing, widths) = timed(|| policy.widths(&observation, &frame));
        let (choosing, chosen) = timed(|| {
            let limits = limits(ratio);
            choose(
                &masks,
                &ranks,
                &wishes,
                &space.cost,
                &limits,
                widths.as_deref(),
            )
        });
        let next = self::observation(space, &chosen);
        let (learning, _) = timed(|| {
            policy.learner().map(|learner| {
                learner.learn(&Experience {
                    cut: 0,
                    observation: &observation,
                    masks: &chosen,
                    rewards: &observation.own_reward,
                    next_observation: &next,
                    terminated: false,
                })
            })
        });
        println!(
            "  {what} to {share}: costs {observing:.1} ms, values {ranking:.1}, widths {sizing:.1}, \
             choice {choosing:.1}, learning {learning:.1}"
        );
        masks = chosen;
    }
    Ok(())
}

/// Milliseconds, and what came of it.
fn timed<T>(run: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let result = run();
    (started.elapsed().as_secs_f64() * 1e3, result)
}

/// What policies would see, with random scores.
fn observation(space: &Space, masks: &Masks) -> Observation {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let marginal = space.cost.marginal(masks);
    let size = space.count(masks);
    let mut random = || -> Vec<Vec<f32>> {
        let groups = masks.0.iter();
        groups
            .map(|mask| mask.iter().map(|_| rng.random_range(0.0..1.0)).collect())
            .collect()
    };
    let names = [L2, WEIGHT_NORM, SCALE, ACTIVATION, POSITIVE, HEALTH, TAYLOR];
    let scores = names.into_iter().fold(Scores::default(), |scores, name| {
        scores.with(name, random())
    });
    let own_reward = random();
    let layer = |(g, mask): (usize, &Vec<bool>)| LayerFacts {
        depth: g as f32 / masks.0.len() as f32,
        width: mask.len(),
        active: masks.active(g),
        param_share: marginal[g].params as f32 / size.params.max(1) as f32,
        mac_share: marginal[g].macs as f32 / size.macs.max(1) as f32,
        is_conv: true,
        switchable: space.switchable[g],
        ..LayerFacts::default()
    };
    let fact = |&active: &bool| KernelFacts {
        active,
        ..KernelFacts::default()
    };
    // Errors rise ever faster as a layer gets narrower.
    let errors = |mask: &Vec<bool>| WidthErrors {
        order: (0..mask.len()).collect(),
        errors: (0..mask.len())
            .map(|gone| (gone as f64 / mask.len() as f64).powi(3))
            .collect(),
        ..WidthErrors::default()
    };
    let mut observation = Observation {
        network: NetworkFacts::default(),
        layers: masks.0.iter().enumerate().map(layer).collect(),
        kernels: masks
            .0
            .iter()
            .map(|mask| mask.iter().map(fact).collect())
            .collect(),
        scores,
        errors: Arc::new(masks.0.iter().map(errors).collect()),
        own_reward: Vec::new(),
    };
    observation.own_reward = observation.of_switchable(|g, k| own_reward[g][k]);
    observation
}
