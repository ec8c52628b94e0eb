//! A kernel that was turned off wrongly comes back, and the accuracy with it: by rule and
//! by the agent's own action. A small network trained on MNIST, slices on real images.

use std::path::Path;
use std::sync::OnceLock;

use secateur_net::data::{Augment, BatchSampler, ModelData, Source, open};
use secateur_net::mask::Selection;
use secateur_net::task::{self, Against};
use secateur_net::train::{Optimizer, OptimizerConfig, Schedule, ScheduleKind, Slice, train_slice};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::arch::{VggConfig, vgg_like};
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use super::Search;
use crate::config::{DataConfig, Mode, PruneConfig};
use crate::environment::training::{Problem, TrainingEnvironment};
use crate::environment::{Action, Environment, Healing};
use crate::policies;
use crate::record::{EpochRecord, KernelId, ReactivatedBy};
use crate::scores::HEALTH;
use crate::store::Memory;

/// Scales a kernel's weights by this; its batch norm undoes it.
const DISGUISE: f32 = 0.05;

fn source() -> &'static Source {
    static SOURCE: OnceLock<Source> = OnceLock::new();
    SOURCE.get_or_init(|| {
        open(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist"),
            &DataConfig::default(),
        )
        .unwrap()
    })
}

/// 6 and 10 kernels, trained for 150 steps.
pub(crate) fn trained() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        let mut architecture = VggConfig::new([1, 28, 28], 10);
        architecture.stages = VggConfig::parse_stages("6,M,10,M").unwrap();
        architecture.hidden = vec![16];
        let model = vgg_like(&architecture, 1).unwrap();
        let graph = Graph::from_model(&model).unwrap();
        let task = task::find(&graph, Against::Labels, None).unwrap();
        let engine = Engine::fused();
        let network = Interpreter::new(&graph, &task.outputs(), &engine).unwrap();
        // From the end: the splits of the tests take what they want, this is only a start.
        let indices: Vec<usize> = (0..19_200).collect();
        let settings = DataConfig::default();
        let data = ModelData::new(&model, source(), &settings, &graph.inputs, Some(10)).unwrap();
        let data = data.load(&indices).unwrap();
        let slice = Slice {
            network: &network,
            task: task.as_ref(),
            data: &data,
            schedule: Schedule {
                kind: ScheduleKind::OneCycle,
                peak: 0.1,
                steps: 150,
            },
            smoothing: 0.0,
            augment: Augment::default(),
            teacher: None,
            collector: None,
        };
        let mut weights = Weights::from_graph(&graph).unwrap();
        let mut optimizer = Optimizer::new(OptimizerConfig::default());
        let mut sampler = BatchSampler::new(data.len(), 128, 1);
        train_slice(&slice, &mut weights, &mut optimizer, &mut sampler, &mut ()).unwrap();
        model.with_weights(&weights.values()).unwrap()
    })
}

pub(crate) fn config(mode: Mode) -> PruneConfig {
    let mut config = PruneConfig::new(mode);
    config.data = DataConfig {
        validation: Some(2000),
        ..DataConfig::default()
    };
    config.training.distillation = 0.0;
    config.search.max_cost = 1e9;
    config
}

pub(crate) fn problem(model: &Model, config: &PruneConfig) -> Problem {
    let engine = Engine::fused();
    Problem::new(
        model.clone(),
        source(),
        &config.data,
        &config.search,
        &engine,
    )
    .unwrap()
}

fn accuracy(problem: &Problem, masks: &Masks) -> f64 {
    let network = problem.compact(masks).unwrap();
    let compact = Selection::new(&problem.space.groups, masks).gather(&problem.weights);
    let task = problem.task.as_ref();
    let found = problem.search.evaluate(&network, task, &compact);
    found.unwrap().quality
}

/// Convolution kernels by what the network is worth without them, worst loss first.
fn by_ablation(problem: &Problem) -> Vec<(f64, KernelId)> {
    let mut found = Vec::new();
    for (group, kernels) in problem.space.groups.groups.iter().enumerate() {
        if !kernels.is_conv {
            continue;
        }
        for index in 0..kernels.width {
            let mut masks = problem.space.all_active();
            masks.0[group][index] = false;
            found.push((accuracy(problem, &masks), KernelId { group, index }));
        }
    }
    found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    found
}

/// Makes a kernel look idle to whoever goes by weights: small weights, undone by the
/// running statistics of its batch norm, so that the network computes the same.
fn disguise(model: &Model, conv: &str, index: usize) -> Model {
    let graph = Graph::from_model(model).unwrap();
    let node = graph.nodes.iter().find(|n| n.name == conv).unwrap();
    let norm = graph
        .nodes
        .iter()
        .find(|n| n.op_type == "BatchNormalization" && n.input(0) == Some(node.outputs[0].as_str()))
        .unwrap();
    let mut values = Weights::from_graph(&graph).unwrap().values();
    let weight = values.get_mut(node.input(1).unwrap()).unwrap();
    let width = graph.initializers[node.input(1).unwrap()].shape[0];
    let size = weight.len() / width;
    weight[index * size..(index + 1) * size]
        .iter_mut()
        .for_each(|w| *w *= DISGUISE);
    values.get_mut(norm.input(3).unwrap()).unwrap()[index] *= DISGUISE;
    let variance = &mut values.get_mut(norm.input(4).unwrap()).unwrap()[index];
    // The norm's own epsilon, 1e-5, is scaled along.
    *variance = DISGUISE * DISGUISE * (*variance + 1e-5) - 1e-5;
    assert!(*variance > 0.0, "the disguise is too strong");
    model.with_weights(&values).unwrap()
}

fn search<'a>(
    problem: &'a Problem,
    config: &'a PruneConfig,
    store: &'a mut Memory,
) -> Search<'a, TrainingEnvironment<'a>> {
    let environment = TrainingEnvironment::new(problem, config).unwrap();
    let policy = policies::by_name(config, None, &problem.engine).unwrap();
    Search::begin(environment, policy, config, store, "net.onnx", None).unwrap()
}

/// A run under `l2-global`, which goes by weights and so turns the disguised kernel off
/// first; returns its first pruning epoch.
fn first_epoch(model: &Model, rescue_margin: f64) -> EpochRecord {
    let mut config = config(Mode::Aec { max_drop: 0.0 });
    config.search.policy = "l2-global".to_string();
    config.search.explore_episodes = 0;
    config.search.descent_epochs = 2;
    config.search.aec_target = 0.5;
    // Too short to recover on its own.
    config.search.max_slice_steps = 3;
    config.training.lr = 1e-3;
    config.search.rescue_margin = rescue_margin;
    let problem = problem(model, &config);
    let mut store = Memory::default();
    let mut search = search(&problem, &config, &mut store);
    search.begin_episode(0).unwrap();
    search.epoch(0, 1, &mut ()).unwrap();
    search.store.read().unwrap().1.remove(1)
}

#[test]
fn by_rule() {
    let honest = problem(trained(), &config(Mode::Aec { max_drop: 0.0 }));
    let (without, kernel) = by_ablation(&honest)[0];
    let whole = honest.baseline.search.quality;
    assert!(whole > 0.9 && without < whole - 0.03, "{whole} {without}");
    let name = &honest.space.groups.groups[kernel.group].name;
    let model = disguise(trained(), name, kernel.index);
    let same = problem(&model, &config(Mode::Aec { max_drop: 0.0 }));
    assert!((same.baseline.search.quality - whole).abs() < 2e-3);

    let broken = first_epoch(&model, f64::INFINITY);
    assert!(
        broken.turned_off.contains(&kernel),
        "the policy fell for the disguise"
    );
    assert!(broken.reactivated.is_empty());
    let repaired = first_epoch(&model, 1.0);
    let back = repaired
        .reactivated
        .iter()
        .find(|r| r.kernel == kernel)
        .expect("the kernel came back");
    assert_eq!(back.by, ReactivatedBy::Rule);
    assert!(back.health > 0.0);
    for other in &repaired.reactivated {
        assert!(other.health <= back.health, "{other:?} is not healthier");
    }
    assert!(
        repaired.reactivated.len() < broken.turned_off.len(),
        "others stayed off"
    );
    assert!(!repaired.turned_off.contains(&kernel));
    assert!(
        repaired.quality > broken.quality + 0.02,
        "accuracy {} without the rule, {} with it",
        broken.quality,
        repaired.quality
    );
}

#[test]
fn by_the_agent() {
    let mut config = config(Mode::Aec { max_drop: 3.0 });
    config.search.explore_episodes = 2;
    config.search.max_slice_steps = 20;
    config.search.explore_slice_cost = 1.0;
    config.search.slice_cost = 1.0;
    config.search.explore_slice_cost = 1.0;
    config.search.slice_cost = 1.0;
    // The rule stays out of it.
    config.search.rescue_margin = f64::INFINITY;
    let problem = problem(trained(), &config);
    let ranked = by_ablation(&problem);
    let kernel = ranked[0].1;
    let mut store = Memory::default();
    let mut search = search(&problem, &config, &mut store);
    // Two episodes teach it what dormant kernels are worth.
    let last = config.search.explore_episodes;
    for episode in 0..last {
        search.begin_episode(episode).unwrap();
        for t in 1..=config.search.explore_epochs {
            search.epoch(episode, t, &mut ()).unwrap();
        }
    }
    search.begin_episode(last).unwrap();

    // Turned off wrongly, among kernels that nobody misses.
    let mut masks = problem.space.all_active();
    let off: Vec<KernelId> = std::iter::once(kernel)
        .chain(ranked.iter().rev().take(3).map(|r| r.1))
        .collect();
    for k in &off {
        masks.0[k.group][k.index] = false;
    }
    let action = Action {
        masks,
        healing: Healing::Slice,
        steps: 4,
        rescue: None,
    };
    let goal = search.goal(last, 0);
    // Healed too gently to make up for it.
    let mut gentle = config.clone();
    gentle.training.lr = 1e-3;
    let mut environment = TrainingEnvironment::new(&problem, &gentle).unwrap();
    environment.restore(search.environment.state().clone());
    environment.resume(search.environment.shared().clone());
    environment.step(&action, &goal, &mut ()).unwrap();
    search.environment.restore(environment.state().clone());
    search.environment.resume(environment.shared().clone());
    let broken = search.environment.standing().quality;
    let observation = search.environment.observe(&goal);
    let health = |k: &KernelId| observation.scores.get(HEALTH)[k.group][k.index];
    for other in &off[1..] {
        assert!(
            health(&kernel) > health(other),
            "health ranks {kernel:?} first: {} against {} of {other:?}",
            health(&kernel),
            health(other)
        );
    }
    search.epoch(last, 1, &mut ()).unwrap();
    let record = search.store.read().unwrap().1.pop().unwrap();
    let back = record
        .reactivated
        .iter()
        .find(|r| r.kernel == kernel)
        .unwrap_or_else(|| panic!("the agent left it off: {:?}", record.reactivated));
    assert_eq!(back.by, ReactivatedBy::Agent);
    assert!(back.health > 0.0);
    assert!(
        record.quality > broken + 0.02,
        "accuracy {broken} without it, {} with it",
        record.quality
    );
}
