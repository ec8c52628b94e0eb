//! A search in an environment without any network: every kernel has a value, quality falls with
//! the values that are gone. So the best choice is known, runs take no time, and whatever the
//! loop promises can be looked at: budgets, floors, stopping and going on.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::Engine;
use secateur_net::heal::WidthErrors;
use secateur_net::task::Against;
use secateur_net::train::{Evaluation, StepObserver};
use secateur_onnx::arch::{VggConfig, vgg_like};
use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_search::baseline::Baseline;
use secateur_search::config::{Budget, Metric, Mode, PruneConfig};
use secateur_search::costs::{Costs, Reference, TRAINING_PASS};
use secateur_search::environment::{
    Action, Environment, EnvironmentError, Goal, Healing, Identity, Standing, Step,
};
use secateur_search::error::SearchError;
use secateur_search::observation::{KernelFacts, LayerFacts, NetworkFacts, Observation};
use secateur_search::policies;
use secateur_search::record::{EpochRecord, Stage};
use secateur_search::reward::{self, Epoch};
use secateur_search::scores::{
    ACTIVATION, HEALTH, L2, POSITIVE, SCALE, SECOND_ORDER, Scores, TAYLOR, WEIGHT_NORM,
};
use secateur_search::search::{Observer, Outcome, Search};
use secateur_search::space::Space;
use secateur_search::store::{Memory, Store};

/// Quality of the whole network.
pub(super) const WHOLE: f64 = 0.9;
/// Held-out samples of each part.
const SAMPLES: usize = 1000;

pub(super) struct Table {
    space: Space,
    costs: Costs,
    baseline: Baseline,
    config: PruneConfig,
    /// What each kernel is worth, `[group][kernel]`; all together 1.
    values: Vec<Vec<f32>>,
    /// What is said to be lost with the kernels of each layer.
    errors: Arc<Vec<WidthErrors>>,
    standing: Standing,
    /// What the few samples of looks judge too well.
    luck: f64,
}

fn evaluation(quality: f64) -> Evaluation {
    let right = (quality * SAMPLES as f64).round() as usize;
    Evaluation {
        quality: right as f64 / SAMPLES as f64,
        loss: 1.0 - quality,
        samples: (0..SAMPLES)
            .map(|i| if i < right { 1.0 } else { 0.0 })
            .collect(),
        per_class: Vec::new(),
        figures: Vec::new(),
    }
}

impl Table {
    pub(super) fn new(config: PruneConfig, seed: u64) -> Self {
        let mut architecture = VggConfig::new([1, 8, 8], 3);
        architecture.stages = VggConfig::parse_stages("16,M,32,M").unwrap();
        architecture.hidden = vec![24];
        let graph = Graph::from_model(&vgg_like(&architecture, 0).unwrap()).unwrap();
        let space = Space::new(&graph, &[]).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let groups = &space.groups.groups;
        let mut values: Vec<Vec<f32>> = groups
            .iter()
            .map(|g| (0..g.width).map(|_| rng.random_range(0.2..1.0)).collect())
            .collect();
        let all: f32 = values.iter().flatten().sum();
        values.iter_mut().flatten().for_each(|value| *value /= all);
        let part = evaluation(WHOLE);
        Self {
            costs: Costs {
                training_pass: TRAINING_PASS,
                reference: Reference {
                    sample_macs: 1e12,
                    seconds: None,
                    is_measured: true,
                },
                full_macs: space.size.macs as f64,
                traffic: 0.0,
                batch_size: 1,
                n_train: 100,
                n_search: SAMPLES,
                n_probe: 1,
                teacher_macs: 0.0,
                setup: 0.0,
                effort: 0.0,
            },
            baseline: Baseline {
                against: Against::Labels,
                search: part.clone(),
                confirm: part,
            },
            standing: Standing {
                masks: space.all_active(),
                quality: WHOLE,
                loss: 1.0 - WHOLE,
                convergence: 0.0,
            },
            errors: Arc::new(values.iter().map(|values| lost(values)).collect()),
            space,
            config,
            values,
            luck: 0.0,
        }
    }

    /// The same, where layers' errors are of unlike amplification and are what is lost if they count by
    /// this power of it.
    fn counting(mut self, power: f64) -> Self {
        let amplifications = [6.0, 0.2, 1.0].into_iter().cycle();
        let layers = self.values.iter().zip(amplifications);
        let errors = layers.map(|(values, amplification)| WidthErrors {
            amplification,
            ..lost(values).times(f64::powf(amplification, WidthErrors::POWER - power))
        });
        self.errors = Arc::new(errors.collect());
        self
    }

    /// Share of all value that some masks keep.
    fn kept(&self, masks: &Masks) -> f64 {
        let pairs = self.values.iter().flatten().zip(masks.0.iter().flatten());
        pairs
            .filter(|(_, on)| **on)
            .map(|(v, _)| f64::from(*v))
            .sum()
    }
}

/// What is lost with the kernels of a layer, those of least value first.
fn lost(values: &[f32]) -> WidthErrors {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut errors = vec![0.0];
    for &kernel in &order[..order.len() - 1] {
        errors.push(errors[errors.len() - 1] + f64::from(values[kernel]));
    }
    WidthErrors {
        order,
        errors,
        ..WidthErrors::default()
    }
}

impl Environment for Table {
    type State = Standing;
    type Shared = ();

    fn space(&self) -> &Space {
        &self.space
    }

    fn costs(&self) -> &Costs {
        &self.costs
    }

    fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    fn quality_name(&self) -> &str {
        "value"
    }

    fn identity(&self) -> Identity {
        Identity {
            fingerprint: self
                .values
                .iter()
                .flatten()
                .map(|v| u64::from(v.to_bits()))
                .sum(),
            n_train: self.costs.n_train,
            outside_batch_size: None,
        }
    }

    fn reset(&mut self) -> Result<Step, EnvironmentError> {
        self.standing = self.given();
        Ok(Step::default())
    }

    fn observe(&mut self, goal: &Goal) -> Observation {
        let masks = &self.standing.masks;
        let n = masks.0.len();
        let layers = (0..n).map(|g| LayerFacts {
            depth: g as f32 / (n - 1) as f32,
            width: masks.0[g].len(),
            active: masks.active(g),
            param_share: 0.01,
            mac_share: 0.01,
            is_conv: true,
            switchable: self.space.switchable[g],
            ..LayerFacts::default()
        });
        let facts = |&active: &bool| KernelFacts {
            active,
            ..KernelFacts::default()
        };
        let ones: Vec<Vec<f32>> = masks.0.iter().map(|m| vec![1.0; m.len()]).collect();
        let mean = 1.0 / masks.0.iter().map(Vec::len).sum::<usize>() as f32;
        let scores = [L2, WEIGHT_NORM, SCALE, ACTIVATION, POSITIVE, HEALTH]
            .into_iter()
            .fold(Scores::default(), |scores, name| {
                scores.with(name, ones.clone())
            })
            .with(TAYLOR, self.values.clone())
            .with(SECOND_ORDER, self.values.clone());
        let mut observation = Observation {
            network: NetworkFacts {
                margin: goal.margin(self.standing.quality) as f32,
                remaining: self.space.remaining(goal.count, masks) as f32,
                target: goal.target as f32,
                progress: goal.progress,
                log_loss: self.standing.loss.ln() as f32,
                keeps_floor: goal.keeps_floor,
                ..NetworkFacts::default()
            },
            layers: layers.collect(),
            kernels: masks
                .0
                .iter()
                .map(|m| m.iter().map(facts).collect())
                .collect(),
            scores,
            errors: Arc::clone(&self.errors),
            own_reward: Vec::new(),
        };
        observation.own_reward =
            observation.of_switchable(|g, k| reward::dense(self.values[g][k] / mean));
        observation
    }

    fn step(
        &mut self,
        action: &Action,
        goal: &Goal,
        _: &mut dyn StepObserver,
    ) -> Result<Step, EnvironmentError> {
        let own = self.observe(goal).own_reward;
        let before = self.standing.clone();
        let share = |masks| self.space.remaining(goal.count, masks) as f32;
        let luck = match action.healing {
            Healing::Solved {
                fully_judged: false,
            } => self.luck,
            _ => 0.0,
        };
        let quality = WHOLE * self.kept(&action.masks) + luck;
        self.standing = Standing {
            masks: action.masks.clone(),
            quality,
            loss: 1.0 - quality,
            convergence: 0.0,
        };
        let epoch = Epoch {
            loss: [before.loss, 1.0 - quality],
            remaining: [share(&before.masks), share(&action.masks)],
            convergence: 0.0,
        };
        Ok(Step {
            cost: 1.0,
            work: 1.0,
            reward: reward::reward(&self.config.reward, &epoch, &own, &action.masks),
            ..Step::default()
        })
    }

    fn standing(&self) -> &Standing {
        &self.standing
    }

    fn state(&self) -> &Standing {
        &self.standing
    }

    fn standing_of<'s>(&self, state: &'s Standing) -> &'s Standing {
        state
    }

    fn given(&self) -> Standing {
        Standing {
            masks: self.space.all_active(),
            quality: WHOLE,
            loss: 1.0 - WHOLE,
            convergence: 0.0,
        }
    }

    fn restore(&mut self, state: Standing) {
        self.standing = state;
    }

    fn shared(&self) -> &() {
        &()
    }

    fn resume(&mut self, (): ()) {}

    fn confirm(&self, state: &Standing) -> Result<Evaluation, EnvironmentError> {
        Ok(evaluation(state.quality))
    }
}

pub(super) fn config(mode: Mode, policy: &str) -> PruneConfig {
    let mut config = PruneConfig::new(mode);
    config.search.policy = policy.to_string();
    config.search.agent_updates = 5;
    // All layers matter alike here, and have no features that an agent could know them by.
    config.agent.pretrained = false;
    config
}

pub(super) fn to_a_third(policy: &str) -> PruneConfig {
    let budget = Budget {
        metric: Metric::Kernels,
        remaining: 0.33,
    };
    let mode = Mode::Ceca {
        budgets: vec![budget],
        max_drop: 0.0,
    };
    config(mode, policy)
}

fn run(config: &PruneConfig, store: &mut Memory) -> Outcome<Table> {
    run_on(Table::new(config.clone(), 7), config, store)
}

fn run_on(table: Table, config: &PruneConfig, store: &mut Memory) -> Outcome<Table> {
    let policy = policies::by_name(config, None, &Engine::fused()).unwrap();
    let search = Search::begin(table, policy, config, store, "table", None).unwrap();
    search.run(&mut ()).unwrap()
}

/// Looks judge by fewer samples than recoveries: a network that they happen to judge better is no reason to
/// throw a recovery away.
#[test]
fn recoveries_are_taken_over_where_looks_were_luckier() {
    let config = to_a_third("dqn");
    let mut table = Table::new(config.clone(), 7);
    table.luck = 0.05;
    let mut store = Memory::default();
    let outcome = run_on(table, &config, &mut store);
    let state = &outcome.outputs[0].state;
    let truth = WHOLE * outcome.environment.kept(&state.masks);
    assert!(
        (state.quality - truth).abs() < 1e-9,
        "{} {truth}",
        state.quality
    );
    let (_, history) = store.read().unwrap();
    let [.., looked, recovered] = history.as_slice() else {
        panic!("nothing was recovered");
    };
    assert_eq!(recovered.stage, Stage::Recover);
    assert!(looked.quality > recovered.quality);
}

/// Share of the value that a policy keeps in a third of the convolutions' kernels, without that of the
/// hidden layer, whose kernels do not count and stay.
fn kept_by(policy: &str) -> f64 {
    let config = to_a_third(policy);
    let outcome = run(&config, &mut Memory::default());
    let masks = &outcome.outputs[0].state.masks;
    let table = &outcome.environment;
    assert!(table.space.remaining(Metric::Kernels, masks) <= 0.33);
    let mut convolutions = masks.clone();
    let groups = &table.space.groups.groups;
    for (mask, group) in convolutions.0.iter_mut().zip(groups) {
        mask.iter_mut().for_each(|on| *on &= group.is_conv);
    }
    table.kept(&convolutions)
}

#[test]
fn the_agent_finds_the_best_choice_and_chance_does_not() {
    // The values themselves as ranking: the best choice within the limits of an epoch.
    let best = kept_by("taylor-global");
    let (agent, random) = (kept_by("dqn"), kept_by("random-global"));
    assert!(agent > 0.97 * best, "{agent} of {best}");
    assert!(random < 0.8 * best, "{random} of {best}");
}

#[test]
fn the_agent_finds_by_looks_how_errors_count() {
    let config = to_a_third("dqn");
    let widths = |table: Table| -> Vec<usize> {
        let outcome = run_on(table, &config, &mut Memory::default());
        let masks = &outcome.outputs[0].state.masks;
        (0..masks.0.len()).map(|g| masks.active(g)).collect()
    };
    let table = || Table::new(config.clone(), 7);
    let known = widths(table());
    assert_eq!(widths(table().counting(1.0)), known);
    assert_eq!(widths(table().counting(0.0)), known);
    // What neither of its looks tells, it does not know.
    assert_ne!(widths(table().counting(3.0)), known);
}

#[test]
fn the_best_of_random_shapes_is_better_than_an_even_one_and_is_kept() {
    let mut config = to_a_third("random-shapes");
    config.search.explore_episodes = 5;
    config.search.max_cost = 1e6;
    let mut store = Memory::default();
    let found = run(&config, &mut store).outputs[0].state.masks.clone();
    let (_, history) = store.read().unwrap();
    let cut = history.iter().filter(|record| record.loss > 1.0 - WHOLE);
    let losses: Vec<f64> = cut.map(|record| record.loss).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let table = Table::new(config, 7);
    assert_eq!(1.0 - WHOLE * table.kept(&found), best);
    assert!(losses.len() > 5 && losses[0] > best);
}

#[test]
fn a_floor_is_held_and_the_given_network_returned_where_nothing_holds_it() {
    let aec = |max_drop| {
        let config = config(Mode::Aec { max_drop }, "taylor-global");
        let outcome = run(&config, &mut Memory::default());
        let found = &outcome.outputs[0];
        let remaining = outcome
            .environment
            .space
            .remaining(Metric::Params, &found.state.masks);
        (found.state.quality, remaining)
    };
    let (quality, remaining) = aec(30.0);
    assert!(
        quality >= WHOLE - 0.3 - 0.02 && remaining < 0.5,
        "{quality} {remaining}"
    );
    assert_eq!(aec(0.0), (WHOLE, 1.0));
}

/// Asks to stop after some epochs.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn epoch(&mut self, _: &EpochRecord) {
        self.0 = self.0.saturating_sub(1);
    }

    fn stop_requested(&self) -> bool {
        self.0 == 0
    }
}

#[test]
fn a_run_in_memory_that_was_stopped_goes_on_with_the_same_decisions() {
    let config = to_a_third("dqn");
    let mut undisturbed = Memory::default();
    run(&config, &mut undisturbed);

    let mut store = Memory::default();
    let begin = |store| {
        let policy = policies::by_name(&config, None, &Engine::fused()).unwrap();
        Search::begin(
            Table::new(config.clone(), 7),
            policy,
            &config,
            store,
            "table",
            None,
        )
    };
    let stopped = begin(&mut store).unwrap().run(&mut StopAfter(6));
    assert!(matches!(stopped, Err(SearchError::Interrupted { .. })));
    let policy = policies::by_name(&config, None, &Engine::fused()).unwrap();
    let table = Table::new(config.clone(), 7);
    let search = Search::resume(table, policy, &config, &mut store, None).unwrap();
    search.run(&mut ()).unwrap();
    let masks = |store: &Memory| -> Vec<Vec<String>> {
        let (_, history) = store.read().unwrap();
        history.into_iter().map(|record| record.masks).collect()
    };
    assert_eq!(masks(&store), masks(&undisturbed));

    // Another table is another network.
    let policy = policies::by_name(&config, None, &Engine::fused()).unwrap();
    let other = Search::resume(
        Table::new(config.clone(), 8),
        policy,
        &config,
        &mut store,
        None,
    );
    assert!(matches!(other.err(), Some(SearchError::OtherRun { .. })));
}
