//! Weights solved by least squares: what remains is enough, so nothing may be lost; held-out
//! rows are never worse; one seed, one result; dormant weights stay as they are.

use std::collections::HashMap;
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::data::{InMemory, Part};
use secateur_net::heal::{SolveOptions, SolvedLayer, Solver, Target, WidthErrors, errors_by_width};
use secateur_net::mask::Selection;
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter, NetError};
use secateur_onnx::coupling::{ChannelGroup, ChannelGroups, Masks, Role};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::common::{images, small_mobilenet, small_resnet, small_vgg};

/// Inputs that weights are solved on, and others that outputs are compared on.
const INPUTS: usize = 640;
const OTHERS: usize = 16;

/// Rows of a layer: almost all positions. Kernels of random networks can be off at all but a few
/// of them, and a weight on a kernel that is off in every row cannot be told.
const ROWS: usize = 20_000;

/// Error of outputs, as share of their deviation: solved in 64 bits, stored and run in 32.
const EXACT: f64 = 1e-5;

/// Error of a layer on held-out rows by the fit on the others, which lacks a fifth of the rows.
const NEARLY_EXACT: f64 = 1e-4;

/// A network with its channel groups.
struct Net {
    model: Model,
    graph: Graph,
    groups: ChannelGroups,
    weights: Weights,
}

impl Net {
    fn new(model: &Model) -> Self {
        let graph = Graph::from_model(model).unwrap();
        Self {
            groups: ChannelGroups::find(&graph).unwrap(),
            weights: Weights::from_graph(&graph).unwrap(),
            model: model.clone(),
            graph,
        }
    }

    fn fixture(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../fixtures")
            .join(name);
        Self::new(&Model::read(folder.join("model.onnx")).unwrap())
    }

    fn interpreter(graph: &Graph) -> Interpreter {
        let outputs: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
        Interpreter::new(graph, &outputs, &Engine::fused()).unwrap()
    }

    /// The same network in which every second kernel of each group that may be pruned does what
    /// the one before does, so that its consumers do not need it.
    fn with_twins(&self) -> Self {
        let mut weights = self.weights.clone();
        for group in self.groups.groups.iter().filter(|g| g.pinned.is_none()) {
            for kernel in (1..group.width).step_by(2) {
                copy_kernel(group, &mut weights, kernel - 1, kernel);
            }
        }
        Self::new(&self.model.with_weights(&weights.values()).unwrap())
    }

    /// Without every second kernel.
    fn half(&self) -> Masks {
        let mask = |group: &ChannelGroup| {
            let stays = |k: usize| group.pinned.is_some() || k.is_multiple_of(2);
            (0..group.width).map(stays).collect()
        };
        Masks(self.groups.groups.iter().map(mask).collect())
    }

    fn part(&self, n: usize, seed: u64) -> Part {
        let [c, h, w] = Self::interpreter(&self.graph).input_shape().unwrap();
        let data = InMemory::floats([h, w, c], images(n, c * h * w, seed), vec![0; n]);
        Part::of(data.unwrap())
    }

    fn solver(&self, part: &Part, options: &SolveOptions) -> Result<Solver<'_>, NetError> {
        let network = Self::interpreter(&self.graph);
        let (graph, groups) = (&self.graph, &self.groups);
        Solver::new(&network, graph, groups, &self.weights, part, options)
    }

    /// The weights that `masks` leave, as cut and solved.
    fn solve(&self, masks: &Masks, seed: u64) -> (Graph, [Weights; 2], Vec<SolvedLayer>) {
        let options = SolveOptions {
            inputs: INPUTS,
            rows: ROWS,
            seed,
            ..SolveOptions::default()
        };
        let solver = self.solver(&self.part(INPUTS, 5), &options);
        let removed = surgery::remove(&self.model, &self.groups, masks).unwrap();
        let graph = Graph::from_model(&removed).unwrap();
        let cut = Weights::from_graph(&graph).unwrap();
        let mut solved = cut.clone();
        let compact = Self::interpreter(&graph);
        let found = solver.unwrap().solve(&compact, masks, &mut solved);
        (graph, [cut, solved], found.unwrap().layers)
    }

    /// Error of the outputs for inputs that nothing was solved on, as share of their deviation.
    fn error(&self, graph: &Graph, weights: &Weights) -> f64 {
        let run = |graph: &Graph, weights: &Weights| {
            let part = self.part(OTHERS, 6);
            let outputs = secateur_net::train::predict(&Self::interpreter(graph), weights, &part);
            outputs
                .unwrap()
                .into_iter()
                .flat_map(|o| o.values)
                .map(f64::from)
                .collect::<Vec<_>>()
        };
        let (expected, found) = (run(&self.graph, &self.weights), run(graph, weights));
        let mean = expected.iter().sum::<f64>() / expected.len() as f64;
        let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
        let error = squares(&mut expected.iter().zip(&found).map(|(a, b)| a - b));
        (error / squares(&mut expected.iter().map(|v| v - mean))).sqrt()
    }
}

/// Gives a kernel the parameters of another of its group.
fn copy_kernel(group: &ChannelGroup, weights: &mut Weights, from: usize, to: usize) {
    for member in group.members.iter().filter(|m| m.role != Role::Input) {
        let Some(weight) = weights.get_mut(&member.tensor) else {
            continue;
        };
        let blocks = member
            .blocks(&weight.shape, from)
            .zip(member.blocks(&weight.shape, to));
        for (from, to) in blocks.collect::<Vec<_>>() {
            weight.data.copy_within(from, to.start);
        }
    }
}

fn check_exact(name: &str, net: &Net) {
    let net = net.with_twins();
    let masks = net.half();
    let (graph, [cut, solved], layers) = net.solve(&masks, 0);
    assert!(
        layers.iter().any(|layer| layer.before > 0.1),
        "{name}: {layers:#?}"
    );
    for layer in &layers {
        assert!(layer.after < NEARLY_EXACT, "{name}: {layer:?}");
    }
    let (before, after) = (net.error(&graph, &cut), net.error(&graph, &solved));
    assert!(
        after < EXACT && before > 100.0 * EXACT,
        "{name}: {before} before, {after} after: {layers:#?}"
    );
}

#[test]
fn layers_that_lose_twins_are_solved_exactly() {
    check_exact("vgg", &Net::new(&small_vgg("6,M,8,8", 1).model));
    check_exact("resnet", &Net::new(&small_resnet(2).model));
    check_exact("mobilenet", &Net::new(&small_mobilenet(3).model));
}

#[test]
fn structures_that_lose_twins_are_solved_exactly() {
    for name in [
        "plain",
        "concat",
        "dense",
        "depthwise",
        "grouped",
        "residual",
        "unet",
        "flatten",
        "channel-shuffle",
        "split",
        "slice",
        "prelu",
        "pixel-shuffle",
    ] {
        check_exact(name, &Net::fixture(name));
    }
}

/// Kernels that nothing replaces.
fn without_some(net: &Net, seed: u64) -> Masks {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut masks = Masks::all_active(&net.groups);
    for (group, mask) in net.groups.groups.iter().zip(&mut masks.0) {
        if group.pinned.is_none() {
            let kept = rng.random_range(0..group.width);
            for (kernel, on) in mask.iter_mut().enumerate() {
                *on = kernel == kept || rng.random_bool(0.6);
            }
        }
    }
    masks
}

#[test]
fn no_layer_is_worse_on_held_out_rows_and_outputs_are_nearer() {
    for seed in 0..4 {
        let net = Net::new(&small_resnet(seed).model);
        let (graph, [cut, solved], layers) = net.solve(&without_some(&net, seed), seed);
        assert!(layers.iter().any(|layer| layer.strength.is_some()));
        for layer in &layers {
            assert!(layer.after <= layer.before, "{layer:?}");
        }
        let (before, after) = (net.error(&graph, &cut), net.error(&graph, &solved));
        assert!(
            after < before,
            "seed {seed}: {before} before, {after} after"
        );
    }
}

#[test]
fn the_larger_term_of_a_sum_gives_what_the_smaller_lacks() {
    // In this file the shortcut is computed behind the convolution that it is added to.
    let net = Net::fixture("residual");
    let (_, _, layers) = net.solve(&net.half(), 0);
    let targets: Vec<(&str, Target)> = layers
        .iter()
        .filter(|layer| layer.node.starts_with("/c/") || layer.node.starts_with("/short/"))
        .map(|layer| (layer.node.as_str(), layer.target))
        .collect();
    assert_eq!(
        targets,
        [
            ("/short/short.0/Conv", Target::Own),
            ("/c/c.0/Conv", Target::Sum)
        ]
    );
}

#[test]
fn an_uncut_network_stays_as_it_is() {
    let net = Net::new(&small_resnet(4).model);
    let (_, [cut, solved], layers) = net.solve(&Masks::all_active(&net.groups), 0);
    assert_eq!((cut, layers.len()), (solved, 0));
}

#[test]
fn one_seed_gives_the_same_bits() {
    let net = Net::new(&small_mobilenet(5).model);
    let masks = without_some(&net, 1);
    let solved = |seed| net.solve(&masks, seed).1[1].clone();
    assert_eq!(solved(3), solved(3));
    assert_ne!(solved(3), solved(4), "other positions are sampled");
}

#[test]
fn dormant_weights_are_untouched() {
    let net = Net::new(&small_vgg("6,M,8", 7).model);
    let masks = without_some(&net, 2);
    let (_, [cut, solved], _) = net.solve(&masks, 0);
    let selection = Selection::new(&net.groups, &masks);
    let mut full = net.weights.clone();
    selection.scatter(&solved, &mut full);
    assert_eq!(selection.gather(&full), solved);
    let count = |a: &Weights, b: &Weights| -> usize {
        let pairs = a.iter().zip(b.iter());
        pairs
            .map(|((_, a), (_, b))| a.data.iter().zip(&b.data).filter(|(a, b)| a != b).count())
            .sum()
    };
    assert_eq!(count(&full, &net.weights), count(&solved, &cut));
}

#[test]
fn layers_that_share_weights_are_left_and_named() {
    let net = Net::fixture("twice");
    let solver = net.solver(&net.part(4, 0), &SolveOptions::default());
    let solver = solver.unwrap();
    let shared = solver.unsolved().iter();
    let shared = shared.filter(|layer| layer.reason == "other nodes read its weights too");
    let shared: Vec<&str> = shared.map(|layer| layer.node.as_str()).collect();
    assert_eq!(shared, ["/block/block.0/Conv", "/block/block.0_1/Conv"]);
}

#[test]
fn one_input_is_too_few() {
    let net = Net::new(&small_vgg("4,M", 1).model);
    let solver = net.solver(&net.part(1, 0), &SolveOptions::default());
    let error = solver.err().unwrap().to_string();
    assert!(
        error.contains("2 training samples or more, got 1"),
        "{error}"
    );
}

/// Share of their variance that layers lose without twins: what the regularisation costs.
const TWINS: f64 = 1e-2;

#[test]
fn errors_by_width_tell_twins_from_others() {
    for (name, net) in [
        ("vgg", Net::new(&small_vgg("6,M,8,8", 1).model)),
        ("resnet", Net::new(&small_resnet(2).model)),
        ("mobilenet", Net::new(&small_mobilenet(3).model)),
        ("concat", Net::fixture("concat")),
        ("flatten", Net::fixture("flatten")),
    ] {
        let net = net.with_twins();
        let (all, multiply_adds) = net.errors_by_width();
        assert!(multiply_adds > 0.0);
        let mut beyond: f64 = 0.0;
        for (group, found) in net.groups.groups.iter().zip(&all) {
            if group.pinned.is_some() {
                assert_eq!(found, &WidthErrors::default(), "{name}");
                continue;
            }
            let mut order = found.order.clone();
            order.sort_unstable();
            assert_eq!(order, (0..group.width).collect::<Vec<_>>(), "{name}");
            assert_eq!(found.errors.len(), group.width);
            assert!(found.errors.is_sorted() && found.errors[0] == 0.0);
            let half = found.errors[group.width / 2];
            assert!(half < TWINS, "{name} {}: {half}", group.name);
            beyond = beyond.max(found.errors[group.width - 1]);
            let significance = found.significance();
            assert!(significance.iter().all(|s| s.is_finite() && *s >= 0.0));
        }
        assert!(beyond > 10.0 * TWINS, "{name}: {beyond}");
    }
}

impl Net {
    /// Errors by width on a few inputs, and the multiply-adds.
    fn errors_by_width(&self) -> (Vec<WidthErrors>, f64) {
        let options = SolveOptions {
            inputs: 64,
            rows: 2048,
            ..SolveOptions::default()
        };
        let network = Self::interpreter(&self.graph);
        let part = self.part(64, 5);
        let (graph, groups) = (&self.graph, &self.groups);
        errors_by_width(&network, graph, groups, &self.weights, &part, &options).unwrap()
    }

    /// Errors by width with all kernels but the last gone, by the producer of the group.
    fn errors_of_one(&self) -> HashMap<String, f64> {
        let (all, _) = self.errors_by_width();
        let groups = self.groups.groups.iter().zip(all);
        groups
            .filter_map(|(group, found)| Some((group.name.clone(), *found.errors.last()?)))
            .collect()
    }
}

#[test]
fn what_a_layer_reads_side_by_side_does_not_go_as_if_the_rest_stayed() {
    let mut net = Net::fixture("concat");
    let names = ["/a/Conv", "/b/Conv"].map(|node| {
        let node = net.graph.nodes.iter().find(|n| n.name == node).unwrap();
        [1, 2].map(|slot| node.input(slot).unwrap().to_string())
    });
    // The first kernels of one branch, 3x3, do what those of the other do, 1x1.
    let weight = |name: &str| net.weights.get(name).unwrap().data.clone();
    let [[one, one_bias], [other, other_bias]] = &names;
    let (ones, bias) = (weight(one), weight(one_bias));
    let (mut others, mut others_bias) = (weight(other), weight(other_bias));
    others[..9 * ones.len()].fill(0.0);
    let middles = others.iter_mut().skip(4).step_by(9);
    middles.zip(&ones).for_each(|(to, from)| *to = *from);
    others_bias[..bias.len()].copy_from_slice(&bias);
    net.weights.get_mut(other).unwrap().data = others;
    net.weights.get_mut(other_bias).unwrap().data = others_bias;
    let errors = net.errors_of_one();
    // Each branch by itself could all but go.
    let sum: f64 = errors
        .iter()
        .filter(|(name, _)| !name.contains("/d/"))
        .map(|(_, e)| e)
        .sum();
    assert!(sum > 4.0 * TWINS, "{errors:?}");
}

#[test]
fn what_hardly_reaches_the_outputs_counts_less() {
    let net = Net::fixture("residual");
    let before = net.errors_of_one();
    // What the block adds to its stream becomes a hundredth.
    let block = net.graph.nodes.iter().find(|n| n.name == "/b/b.0/Conv");
    let mut faint = Net::fixture("residual");
    for slot in [1, 2] {
        let name = block.unwrap().input(slot).unwrap();
        let values = &mut faint.weights.get_mut(name).unwrap().data;
        values.iter_mut().for_each(|value| *value *= 0.01);
    }
    let after = faint.errors_of_one();
    let share = |errors: &HashMap<String, f64>| {
        let of = |part: &str| {
            errors
                .iter()
                .find(|(name, _)| name.contains(part))
                .unwrap()
                .1
        };
        of("/a/") / of("/c/")
    };
    let (before, after) = (share(&before), share(&after));
    assert!(after < 0.3 * before, "{before} became {after}");
}
