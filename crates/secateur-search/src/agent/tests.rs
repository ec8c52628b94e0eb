//! The agent on a toy problem whose best policy is known.
//!
//! Every kernel has a worth w, seen among noise. While it is on it earns w an epoch,
//! while it is off nothing, and a switch costs [`SWITCH`]. So a kernel of slightly
//! negative worth should go, but only if enough epochs are left to pay for the switch:
//! whoever looks at the next reward alone gets it wrong.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use secateur_net::Engine;
use secateur_net::heal::WidthErrors;

use super::epsilon::EPSILON_END;
use super::features::{Features, KNOWN_REWARD, N_FEATURES};
use super::*;
use crate::observation::{LayerFacts, NetworkFacts, Observation};

const EPOCHS: usize = 5;
const KERNELS: usize = 64;
const SWITCH: f32 = 0.8;
const EPISODES: usize = 24;

fn config() -> DqnConfig {
    DqnConfig {
        hidden: 32,
        batch_size: 128,
        learning_rate: 3e-3,
        replay_capacity: 20_000,
        pretrained: false,
        ..DqnConfig::default()
    }
}

fn reward(worth: f32, was: bool, is: bool) -> f32 {
    let earned = if is { worth } else { 0.0 };
    earned - if was == is { 0.0 } else { SWITCH }
}

fn observe(kernel: &Kernel, t: usize) -> Features {
    let mut row = [0.0; N_FEATURES];
    row[0] = kernel.noise;
    row[6] = kernel.worth;
    row[11] = f32::from(u8::from(kernel.on));
    row[25] = t as f32 / EPOCHS as f32;
    row
}

#[derive(Clone)]
struct Kernel {
    worth: f32,
    noise: f32,
    on: bool,
}

fn kernels(rng: &mut ChaCha8Rng) -> Vec<Kernel> {
    (0..KERNELS)
        .map(|_| Kernel {
            worth: rng.random_range(-1.0..1.0),
            noise: rng.random_range(-1.0..1.0),
            on: rng.random(),
        })
        .collect()
}

/// Value of the best policy from epoch `t` on, by backward recursion.
fn best_value(worth: f32, on: bool, t: usize, gamma: f32) -> f32 {
    if t == EPOCHS {
        return 0.0;
    }
    [false, true]
        .map(|is| reward(worth, on, is) + gamma * best_value(worth, is, t + 1, gamma))
        .into_iter()
        .fold(f32::NEG_INFINITY, f32::max)
}

/// Plays episodes with exploration, learns after each epoch.
fn train(agent: &mut DqnAgent, episodes: std::ops::Range<usize>, rng: &mut ChaCha8Rng) {
    let schedule = EpsilonSchedule::new(agent.config());
    for episode in episodes {
        let mut kernels = kernels(rng);
        let epsilon = schedule.at(episode as f32 / EPISODES as f32);
        for t in 0..EPOCHS {
            let before: Vec<Features> = kernels.iter().map(|k| observe(k, t)).collect();
            let actions = agent.act(&before, epsilon);
            let mut transitions = Vec::new();
            for ((kernel, observation), action) in kernels.iter_mut().zip(before).zip(actions) {
                let reward = reward(kernel.worth, kernel.on, action);
                kernel.on = action;
                transitions.push(Transition {
                    observation,
                    action,
                    reward,
                    next_observation: observe(kernel, t + 1),
                    terminated: t + 1 == EPOCHS,
                });
            }
            agent.remember(transitions);
            agent.learn(20);
        }
    }
}

fn trained(seed: u64) -> (DqnAgent, ChaCha8Rng) {
    let mut agent = DqnAgent::new(config(), seed, &Engine::fused());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    train(&mut agent, 0..EPISODES, &mut rng);
    (agent, rng)
}

/// Mean discounted return of a policy over kernels that training has not seen, and the
/// return of the best policy on the same.
fn returns(gamma: f32, mut policy: impl FnMut(&[Features]) -> Vec<bool>) -> (f32, f32) {
    let mut rng = ChaCha8Rng::seed_from_u64(999);
    let (mut got, mut best) = (0.0, 0.0);
    let rounds = 8;
    for _ in 0..rounds {
        let mut kernels = kernels(&mut rng);
        let full: f32 = kernels
            .iter()
            .map(|k| best_value(k.worth, k.on, 0, gamma))
            .sum();
        best += full / (KERNELS * rounds) as f32;
        for t in 0..EPOCHS {
            let rows: Vec<Features> = kernels.iter().map(|k| observe(k, t)).collect();
            for (kernel, action) in kernels.iter_mut().zip(policy(&rows)) {
                let discount = gamma.powi(i32::try_from(t).unwrap());
                got +=
                    discount * reward(kernel.worth, kernel.on, action) / (KERNELS * rounds) as f32;
                kernel.on = action;
            }
        }
    }
    (got, best)
}

#[test]
fn finds_the_best_policy_and_chance_does_not() {
    let gamma = config().gamma;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let (random, best) = returns(gamma, |rows| rows.iter().map(|_| rng.random()).collect());
    // The best choice for the next reward alone, from the exact rewards.
    let (myopic, _) = returns(gamma, |rows| {
        rows.iter()
            .map(|row| {
                let on = row[11] > 0.5;
                reward(row[6], on, true) >= reward(row[6], on, false)
            })
            .collect()
    });
    // 0: no better than chance, 1: as good as the best.
    let score = |value: f32| (value - random) / (best - random);
    assert!(score(myopic) < 0.9, "the problem asks for foresight");
    for seed in 1..=3 {
        let (agent, _) = trained(seed);
        let (value, _) = returns(gamma, |rows| {
            let values = agent.q_values(rows);
            values.iter().map(|[off, on]| on >= off).collect()
        });
        assert!(
            score(value) > 0.95,
            "seed {seed}: return {value}, best {best}, myopic {myopic}, random {random}"
        );
    }
}

#[test]
fn before_it_has_learnt_an_agent_goes_by_what_is_known() {
    let agent = DqnAgent::new(config(), 3, &Engine::fused());
    let rows = [-0.7, 0.0, 0.4].map(|known| {
        let mut row = [0.5; N_FEATURES];
        row[KNOWN_REWARD] = known;
        row
    });
    let expected = [-0.7, 0.0, 0.4].map(|known: f32| [-known, known]);
    assert_eq!(agent.q_values(&rows), expected);
}

#[test]
fn the_same_seed_takes_the_same_decisions() {
    let run = |seed| {
        let mut agent = DqnAgent::new(config(), seed, &Engine::fused());
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        train(&mut agent, 0..3, &mut rng);
        agent
    };
    let (a, b, other) = (run(1), run(1), run(2));
    assert_eq!(a.state(), b.state());
    assert_ne!(a.state().q_net, other.state().q_net);
}

#[test]
fn a_saved_state_goes_on_exactly_alike() {
    let mut agent = DqnAgent::new(config(), 4, &Engine::fused());
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    train(&mut agent, 0..4, &mut rng);
    let saved = postcard::to_allocvec(agent.state()).unwrap();
    let state: AgentState = postcard::from_bytes(&saved).unwrap();
    assert_eq!(&state, agent.state());
    let mut restored = DqnAgent::new(config(), 0, &Engine::fused());
    restored.resume(state);
    let mut same_rng = rng.clone();
    train(&mut agent, 4..7, &mut rng);
    train(&mut restored, 4..7, &mut same_rng);
    // Networks, moments, memory, counters, exploration and randomness.
    assert_eq!(restored.state(), agent.state());
}

#[test]
fn an_agent_file_keeps_what_was_learnt_and_how_far_it_explored() {
    let mut agent = DqnAgent::new(config(), 6, &Engine::fused());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    train(&mut agent, 0..6, &mut rng);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.safetensors");
    fs_err::write(&file, write_agent(&agent).unwrap()).unwrap();
    // The file's own width counts, not the config's.
    let load = || {
        let other = DqnConfig {
            hidden: 8,
            ..config()
        };
        load_agent(other, 11, &Engine::fused(), &file).unwrap()
    };
    let (mut loaded, mut again) = (load(), load());
    let (old, new) = (agent.state(), loaded.state());
    assert_eq!(new.q_net, old.q_net);
    assert_eq!(new.target_q_net, old.target_q_net);
    assert_eq!((&new.adam, new.updates), (&old.adam, old.updates));
    assert_eq!(new.epsilon, old.epsilon);
    assert!(
        new.epsilon < config().epsilon_start && new.epsilon > EPSILON_END,
        "exploration was under way: {}",
        new.epsilon
    );
    let schedule = EpsilonSchedule::new(loaded.config()).from_at_most(loaded.epsilon());
    assert_eq!(schedule.at(0.0), old.epsilon);
    let rows: Vec<Features> = kernels(&mut rng).iter().map(|k| observe(k, 2)).collect();
    assert_eq!(loaded.q_values(&rows), agent.q_values(&rows));

    // Loaded twice it learns on alike.
    let mut same_rng = rng.clone();
    train(&mut loaded, 6..8, &mut rng);
    train(&mut again, 6..8, &mut same_rng);
    assert_eq!(loaded.state(), again.state());
    assert!(loaded.updates() > old.updates);
}

#[test]
fn files_that_are_no_agents_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.safetensors");
    let agent = DqnAgent::new(config(), 6, &Engine::fused());
    fs_err::write(&file, write_agent(&agent).unwrap()).unwrap();
    let good = fs_err::read(&file).unwrap();
    let text = |bytes: &[u8]| {
        fs_err::write(&file, bytes).unwrap();
        load_agent(config(), 0, &Engine::fused(), &file)
            .unwrap_err()
            .to_string()
    };
    assert!(text(b"no agent").contains("expected a safetensors file"));
    assert!(text(&good[..good.len() - 1]).contains("expected a safetensors file"));
    let entry = br#"{\"features\":28,"#;
    let found = good.windows(entry.len()).position(|part| part == entry);
    let at = found.expect("number of features") + entry.len() - 4;
    let mut other = good.clone();
    other[at + 2] = b'9';
    assert!(text(&other).contains("29 features a kernel, this version has 28"));
    // What is known of layers lies behind the floats.
    let shapes = postcard::to_allocvec(&agent.state().shapes).unwrap();
    let last = good.len() - shapes.len() - 4;
    let mut nan = good.clone();
    nan[last..last + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(text(&nan).contains("finite floats"));
    let mut damaged = good;
    damaged[last + 4..].fill(0xff);
    assert!(text(&damaged).contains("`shapes` does not hold what it should"));
    let missing =
        load_agent(config(), 0, &Engine::fused(), &folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
}

/// Two layers of eight kernels whose errors rise alike, with so many kernels on.
fn layers(active: [usize; 2], log_loss: f64) -> Observation {
    let layer = |(depth, active): (f32, usize)| LayerFacts {
        depth,
        width: 8,
        active,
        switchable: true,
        ..LayerFacts::default()
    };
    let errors = WidthErrors {
        order: (0..8).collect(),
        errors: (0..8).map(|gone| 0.01 * f64::from(gone)).collect(),
        ..WidthErrors::default()
    };
    Observation {
        network: NetworkFacts {
            target: 0.5,
            log_loss: log_loss as f32,
            ..NetworkFacts::default()
        },
        layers: [0.0, 1.0].into_iter().zip(active).map(layer).collect(),
        errors: Arc::new(vec![errors; 2]),
        ..Observation::default()
    }
}

#[test]
fn layers_count_by_what_looks_say_of_them() {
    let tries = DqnConfig {
        width_noise: 0.5,
        ..config()
    };
    let mut agent = DqnAgent::new(tries, 7, &Engine::fused());
    let seen = layers([4, 4], 0.0);
    let factors = |agent: &mut DqnAgent| -> [f64; 2] {
        let weighed = agent.weighed(&seen, WidthErrors::POWER, false);
        [0, 1].map(|layer| weighed[layer].errors[4] / seen.errors[layer].errors[4])
    };
    assert_eq!(factors(&mut agent), [1.0; 2]);
    // Too few to tell anything, then a network whose second layer loses nine times as much.
    agent.learn_shapes(&layers([2, 4], -1.0), 50);
    assert_eq!(factors(&mut agent), [1.0; 2]);
    for active in [
        [4, 2],
        [1, 7],
        [7, 1],
        [3, 6],
        [6, 3],
        [2, 2],
        [5, 5],
        [1, 3],
        [3, 1],
    ] {
        let gone = active.map(|active| 8.0 - active as f64);
        agent.learn_shapes(&layers(active, 0.01 * (gone[0] + 9.0 * gone[1]) - 1.3), 100);
    }
    let [early, late] = factors(&mut agent);
    assert!(late > 2.0 * early, "{early} {late}");
    // A loss that is no number says nothing.
    let before = agent.state().clone();
    agent.learn_shapes(&layers([4, 4], f64::NAN), 0);
    assert_eq!(agent.state(), &before);
}

#[test]
fn what_is_shipped_can_be_read_and_is_no_start_from_nothing() {
    let pretrained = DqnConfig {
        pretrained: true,
        ..config()
    };
    let seen = layers([4, 4], 0.0);
    let mut agent = DqnAgent::new(pretrained, 9, &Engine::fused());
    assert_ne!(
        agent.weighed(&seen, WidthErrors::POWER, false),
        *seen.errors
    );
    // Some layers matter more: those that others go with, not all.
    let mut streams = seen.clone();
    streams.layers[1].coupled = 4;
    let plain = agent.weighed(&seen, WidthErrors::POWER, false)[1].errors[4];
    assert!(agent.weighed(&streams, WidthErrors::POWER, false)[1].errors[4] > plain);
}

#[test]
fn widths_are_tried_with_noise_alone() {
    let noisy = DqnConfig {
        width_noise: 0.5,
        ..config()
    };
    let seen = layers([4, 4], 0.0);
    let mut agent = DqnAgent::new(noisy, 8, &Engine::fused());
    assert_eq!(
        agent.weighed(&seen, WidthErrors::POWER, false),
        *seen.errors
    );
    let tried = agent.weighed(&seen, WidthErrors::POWER, true);
    assert!(tried != *seen.errors && tried != agent.weighed(&seen, WidthErrors::POWER, true));
    let plain =
        DqnAgent::new(config(), 8, &Engine::fused()).weighed(&seen, WidthErrors::POWER, true);
    assert_eq!(plain, *seen.errors);
}
