//! A kernel that was turned off wrongly comes back by the agent's own action, and the loss falls
//! with it. A small network trained on MNIST, on real images.

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
use crate::record::{KernelId, ReactivatedBy};
use crate::scores::HEALTH;
use crate::store::Memory;

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
            done: 0,
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
    config.training.distillation = Some(0.0);
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

fn search<'a>(
    problem: &'a Problem,
    config: &'a PruneConfig,
    store: &'a mut Memory,
) -> Search<'a, TrainingEnvironment<'a>> {
    let environment = TrainingEnvironment::new(problem, config).unwrap();
    let policy = policies::by_name(config, None, &problem.engine).unwrap();
    Search::begin(environment, policy, config, store, "net.onnx", None).unwrap()
}

#[test]
fn by_the_agent() {
    let mut config = config(Mode::Aec { max_drop: 3.0 });
    config.search.aec_target = 0.7;
    config.search.exchange_epochs = 2;
    let problem = problem(trained(), &config);
    let ranked = by_ablation(&problem);
    let kernel = ranked[0].1;
    let mut store = Memory::default();
    let mut search = search(&problem, &config, &mut store);
    let last = config.search.explore_episodes;
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
        healing: Healing::Solved {
            fully_judged: false,
        },
    };
    let goal = search.goal(1, 0);
    search.environment.step(&action, &goal, &mut ()).unwrap();
    let broken = search.environment.standing().loss;
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
    // The first epoch cuts, the second exchanges.
    search.epoch(last, 2, &mut ()).unwrap();
    let record = search.store.read().unwrap().1.pop().unwrap();
    let back = record
        .reactivated
        .iter()
        .find(|r| r.kernel == kernel)
        .unwrap_or_else(|| panic!("the agent left it off: {:?}", record.reactivated));
    assert_eq!(back.by, ReactivatedBy::Agent);
    assert!(back.health > 0.0);
    assert!(!record.taken_back && record.loss < broken);
}
