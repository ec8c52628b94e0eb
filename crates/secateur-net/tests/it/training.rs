//! Training learns, repeats bit for bit, and notices divergence.

use std::sync::Arc;

use secateur_net::Inputs;
use secateur_net::data::{Augment, BatchSampler, InMemory, Part};
use secateur_net::health::probe_health;
use secateur_net::score::{Collector, Score};
use secateur_net::task::{self, Against, Targets, TaskKind};
use secateur_net::train::Reference;
use secateur_net::train::{
    Optimizer, OptimizerConfig, OptimizerKind, Schedule, ScheduleKind, Slice, evaluate, train_slice,
};
use secateur_net::weights::{WeightRole, Weights};
use secateur_net::{Engine, Interpreter, NetError};
use secateur_onnx::coupling::{Masks, Role};

use crate::common::{
    Case, images, loss_of, max_difference, network, scores_of, slice, small_vgg, without_norms,
};

/// Images whose class is the brightest third of their rows.
fn stripes(n: usize, seed: u64) -> Part {
    let mut data = images(n, 2 * 9 * 8, seed);
    let mut labels = Vec::new();
    for (i, image) in data.chunks_exact_mut(2 * 9 * 8).enumerate() {
        let class = i % 3;
        labels.push(class as u32);
        for value in &mut image[class * 48..(class + 1) * 48] {
            *value += 1.5;
        }
    }
    Part::of(InMemory::floats([9, 8, 2], data, labels).unwrap())
}

fn train(case: &Case, data: &Part, lr: f32, kind: OptimizerKind) -> Result<Weights, NetError> {
    let net = network(case, &Engine::fused());
    let mut weights = case.weights.clone();
    let mut optimizer = Optimizer::new(OptimizerConfig {
        kind,
        ..OptimizerConfig::default()
    });
    let mut sampler = BatchSampler::new(data.len(), 32, 4);
    let schedule = Schedule {
        kind: ScheduleKind::OneCycle,
        peak: lr,
        steps: 60,
    };
    let slice = Slice {
        augment: Augment {
            flip: true,
            ..Augment::default()
        },
        ..slice(&net, case.task.as_ref(), data, schedule)
    };
    train_slice(&slice, &mut weights, &mut optimizer, &mut sampler, &mut ())?;
    Ok(weights)
}

#[test]
fn both_optimisers_learn_the_stripes() {
    let case = small_vgg("8,M,16", 6);
    let (data, test) = (stripes(1200, 1), stripes(300, 2));
    let net = network(&case, &Engine::fused());
    let before = evaluate(
        &net,
        case.task.as_ref(),
        &case.weights,
        &test,
        &Reference::Labels,
    )
    .unwrap();
    for (kind, lr) in [(OptimizerKind::Sgd, 0.02), (OptimizerKind::Adamw, 0.01)] {
        let weights = train(&case, &data, lr, kind).unwrap();
        let after = evaluate(
            &net,
            case.task.as_ref(),
            &weights,
            &test,
            &Reference::Labels,
        )
        .unwrap();
        assert!(
            after.quality > 0.95,
            "{kind:?}: {} before, {}",
            before.quality,
            after.quality
        );
        assert!(after.loss < before.loss);
        let (right, all) = after
            .per_class
            .iter()
            .fold((0, 0), |(r, a), c| (r + c.0, a + c.1));
        assert_eq!(all, 300);
        assert_eq!(
            right as usize,
            after.samples.iter().filter(|&&q| q == 1.0).count()
        );
    }
}

/// How far one plain gradient step at a rate of 0.5 moves all weights together.
fn moved(mut case: Case, scale: f32) -> f64 {
    let last = case.weights.get_mut("classifier.weight").unwrap();
    last.data.iter_mut().for_each(|w| *w *= scale);
    let data = stripes(32, 3);
    let net = network(&case, &Engine::fused());
    let schedule = Schedule {
        kind: ScheduleKind::Constant,
        peak: 0.5,
        steps: 1,
    };
    let slice = slice(&net, case.task.as_ref(), &data, schedule);
    let mut optimizer = Optimizer::new(OptimizerConfig {
        weight_decay: 0.0,
        ..OptimizerConfig::default()
    });
    let mut sampler = BatchSampler::new(data.len(), 32, 4);
    let mut weights = case.weights.clone();
    train_slice(&slice, &mut weights, &mut optimizer, &mut sampler, &mut ()).unwrap();
    let squares = weights
        .iter()
        .zip(case.weights.iter())
        .flat_map(|((_, a), (_, b))| {
            let moved = a
                .data
                .iter()
                .zip(&b.data)
                .map(|(a, b)| f64::from(a - b).powi(2));
            // Running statistics move by themselves.
            let is_trained = a.role != WeightRole::Running;
            moved.filter(move |_| is_trained)
        });
    squares.sum::<f64>().sqrt()
}

#[test]
fn gradients_are_clipped_where_no_norm_bounds_activations() {
    let bare = || without_norms(small_vgg("4,M,6", 3));
    // A norm of 1 at a rate of 0.5.
    let steep = moved(bare(), 100.0);
    assert!((steep - 0.5).abs() < 1e-3, "{steep}");
    let gentle = moved(bare(), 0.01);
    assert!(gentle < 0.49, "{gentle}");
    let normalised = moved(small_vgg("4,M,6", 3), 100.0);
    assert!(normalised > 1.0, "{normalised}");
}

#[test]
fn networks_with_two_heads_are_refused_by_name() {
    let mut case = small_vgg("4,M,6", 3);
    let mut head = case.graph.outputs[0].clone();
    head.name = case.graph.nodes[0].outputs[0].clone();
    case.graph.outputs.push(head.clone());
    let Err(error) = task::find(&case.graph, Against::Labels, Some(TaskKind::Classify)) else {
        panic!("two outputs were taken");
    };
    let text = error.to_string();
    for needle in [
        "one output of class scores",
        "has 2",
        "`logits`",
        &head.name,
    ] {
        assert!(text.contains(needle), "`{needle}` is not in: {text}");
    }
}

#[test]
fn a_network_gives_every_output_that_it_was_planned_for() {
    let case = small_vgg("4,M,6", 3);
    let inner = case.graph.nodes[0].outputs[0].clone();
    let logits = case.graph.outputs[0].name.clone();
    for engine in [Engine::fused(), Engine::stock()] {
        let both = Interpreter::new(&case.graph, &[&inner, &logits], &engine).unwrap();
        let one = network(&case, &engine);
        let outputs = |net: &Interpreter| {
            let bound = net.bind_inference(&case.weights).unwrap();
            let x = images(6, 2 * 9 * 8, 5);
            net.forward_inference(&bound, Inputs::images(x, 6)).unwrap()
        };
        let (both, one) = (outputs(&both), outputs(&one));
        assert_eq!(both[0].shape, [6, 4, 9, 8]);
        assert_eq!(both[1].shape, one[0].shape);
        let error = max_difference(&both[1].values, &one[0].values);
        assert!(error < 1e-5, "{error}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let case = small_vgg("6,M,8,M", 3);
    let data = stripes(100, 1);
    let run = || train(&case, &data, 0.05, OptimizerKind::Sgd).unwrap();
    assert_eq!(run(), run());
}

#[test]
fn divergence_is_an_error_that_says_so() {
    let case = small_vgg("6,M,8,M", 3);
    let error = train(&case, &stripes(100, 1), 1e18, OptimizerKind::Sgd).unwrap_err();
    assert!(matches!(error, NetError::Diverged { .. }), "{error}");
    assert!(error.hint().unwrap().contains("learning rate"));
}

/// Weights that grow by a factor every step overflow some passes later.
#[test]
fn after_divergence_the_weights_are_those_of_the_last_whole_pass() {
    let case = small_vgg("6,M,8,M", 3);
    let data = stripes(100, 1);
    let net = network(&case, &Engine::fused());
    let run = |steps: usize| {
        let mut weights = case.weights.clone();
        let mut optimizer = Optimizer::new(OptimizerConfig {
            weight_decay: -40.0,
            ..OptimizerConfig::default()
        });
        let mut sampler = BatchSampler::new(data.len(), 25, 1);
        let schedule = Schedule {
            kind: ScheduleKind::Constant,
            peak: 0.05,
            steps,
        };
        let slice = slice(&net, case.task.as_ref(), &data, schedule);
        let result = train_slice(&slice, &mut weights, &mut optimizer, &mut sampler, &mut ());
        (result.map(|_| ()), weights)
    };
    let (result, weights) = run(400);
    let Err(NetError::Diverged { step, kept, .. }) = result else {
        panic!("{result:?}");
    };
    assert!(
        kept > 0 && kept % 4 == 0 && kept as u64 <= step,
        "{kept} of {step}"
    );
    let (result, expected) = run(kept);
    assert!(result.is_ok() && weights == expected, "{result:?}");
}

/// Taylor scores of the collector against their definition, by finite differences:
/// scaling kernel k's output by (1 + e) changes the loss of one sample by e · Σ a · dL/da.
#[test]
fn taylor_scores_follow_their_definition() {
    let case = small_vgg("4,M,5", 8);
    let net = network(&case, &Engine::stock());
    let fused = network(&case, &Engine::fused());
    let (x, label) = (images(6, 2 * 9 * 8, 9), [0u32, 1, 2, 0, 1, 2]);
    let collector = Arc::new(Collector::default());
    let bound = fused.bind_training(&case.weights);
    let pass = fused
        .forward_training(
            &bound,
            Inputs::images(x.clone(), 6),
            Some(collector.clone()),
        )
        .unwrap();
    pass.backward(&loss_of(&case, &pass, &label, 0.0)).unwrap();
    let scores = collector.gathered().scores();
    assert_eq!(
        scores.keys().collect::<Vec<_>>(),
        ["classifier", "conv1", "conv2", "fc1"]
    );
    // Outputs reach the consumer linearly, so its input weights carry the same scaling.
    let per_sample = |consumer: &str, columns: std::ops::Range<usize>, sample: usize| {
        let loss = |scale: f32| {
            let mut weights = case.weights.clone();
            let weight = weights.get_mut(consumer).unwrap();
            let width = weight.shape[1];
            for row in weight.data.chunks_exact_mut(width) {
                row[columns.clone()].iter_mut().for_each(|w| *w *= scale);
            }
            let bound = net.bind_training(&weights);
            let pass = net
                .forward_training(&bound, Inputs::images(x.clone(), 6), None)
                .unwrap();
            let all: Vec<f32> = scores_of(&pass);
            let row = &all[sample * 3..sample * 3 + 3];
            let sum: f64 = row.iter().map(|&z| f64::from(z).exp()).sum();
            sum.ln() - f64::from(row[label[sample] as usize])
        };
        (loss(1.0001) - loss(0.9999)) / 0.0002
    };
    // A feature is one column of the classifier, a convolution's kernel one for each pixel: the
    // two must be in the same unit, or layers could not be compared.
    let pixels = case.weights.get("fc1.weight").unwrap().shape[1] / 5;
    assert!(pixels > 1);
    for (layer, consumer, columns) in [
        ("fc1", "classifier.weight", 2..3),
        ("conv2", "fc1.weight", 3 * pixels..4 * pixels),
    ] {
        let k = columns.start / columns.len();
        let samples = (0..6).map(|s| per_sample(consumer, columns.clone(), s).abs());
        let expected: f64 = samples.sum::<f64>() / 6.0;
        let found = scores[layer].get(Score::Taylor)[k];
        assert!(
            (found - expected).abs() < 1e-3 + 0.02 * expected,
            "{layer}: {found} against {expected}"
        );
    }
}

#[test]
fn health_is_what_the_steepest_return_could_gain() {
    let case = small_vgg("4,M,5", 8);
    let net = network(&case, &Engine::fused());
    let (x, labels) = (
        images(32, 2 * 9 * 8, 9),
        (0..32).map(|i| i % 3).collect::<Vec<u32>>(),
    );
    let mut masks = Masks::all_active(&case.groups);
    masks.0[0][1] = false;
    masks.0[1][3] = false;
    let health = probe_health(
        &net,
        case.task.as_ref(),
        &case.weights,
        &case.groups,
        &masks,
        Inputs::images(x.clone(), labels.len()),
        &Targets::labels(&labels),
    )
    .unwrap();
    assert_eq!(health[0][0], 0.0, "active kernels have no health");
    // The masked network: what reads the dormant kernels is zero.
    let dormant = [(0usize, 1usize), (1, 3)];
    let mut masked = case.weights.clone();
    for (g, k) in dormant {
        for (tensor, i) in read_by(&case, g, k) {
            masked.get_mut(&tensor).unwrap().data[i] = 0.0;
        }
    }
    let loss = |weights: &Weights| -> f64 {
        let bound = net.bind_training(weights);
        let inputs = Inputs::images(x.clone(), labels.len());
        let pass = net.forward_training(&bound, inputs, None).unwrap();
        let value: f32 = loss_of(&case, &pass, &labels, 0.0).into_scalar();
        f64::from(value)
    };
    let step = 0.01;
    for (g, k) in dormant {
        let (mut weights, mut slopes) = (0.0, 0.0);
        for (tensor, i) in read_by(&case, g, k) {
            weights += f64::from(case.weights.get(&tensor).unwrap().data[i]).powi(2);
            let at = |value: f32| {
                let mut moved = masked.clone();
                moved.get_mut(&tensor).unwrap().data[i] = value;
                loss(&moved)
            };
            slopes += ((at(step) - at(-step)) / f64::from(2.0 * step)).powi(2);
        }
        let (found, expected) = (f64::from(health[g][k]), (weights * slopes).sqrt());
        assert!(
            (found - expected).abs() < 0.02 * expected,
            "kernel {g}/{k}: health {found}, by differences {expected}"
        );
    }
}

/// Where the weights lie by which a kernel's consumers read it: tensor and offset.
fn read_by(case: &Case, group: usize, kernel: usize) -> Vec<(String, usize)> {
    let members = &case.groups.groups[group].members;
    let mut found = Vec::new();
    for member in members.iter().filter(|m| m.role == Role::Input) {
        let shape = &case.weights.get(&member.tensor).unwrap().shape;
        for i in member.blocks(shape, kernel).flatten() {
            found.push((member.tensor.clone(), i));
        }
    }
    found
}
