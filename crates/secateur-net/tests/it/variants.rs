//! Variants that share the front of a pass lose what whole passes say.

use secateur_net::Engine;
use secateur_net::data::{InMemory, Part};
use secateur_net::train::{Reference, Variants, evaluate, losses};
use secateur_net::weights::Weights;
use secateur_onnx::coupling::Role;
use secateur_onnx::graph::Node;

use crate::common::{Case, images, network, small_mobilenet, small_resnet, small_vgg};

/// Convolutions that follow each other run image by image in a whole pass, which may round
/// otherwise.
const TOLERANCE: f64 = 1e-5;

/// Weights without what reads a kernel, and which those are.
fn take_out<'c>(
    case: &'c Case,
    group: usize,
    kernel: usize,
    weights: &mut Weights,
) -> Vec<&'c str> {
    let members = case.groups.groups[group].members.iter();
    let inputs = members.filter(|member| member.role == Role::Input);
    inputs
        .map(|member| {
            let weight = weights.get_mut(&member.tensor).unwrap();
            for block in member.blocks(&weight.shape, kernel) {
                weight.data[block].fill(0.0);
            }
            member.tensor.as_str()
        })
        .collect()
}

#[test]
fn losses_of_variants_are_those_of_whole_passes() {
    for case in [small_vgg("4,5,M,6", 1), small_resnet(2), small_mobilenet(3)] {
        let [c, h, w] = case.input_shape();
        let n = 12;
        let labels = (0..n as u32).map(|i| i % 3).collect();
        let data = InMemory::floats([h, w, c], images(n, c * h * w, 4), labels);
        let part = Part::of(data.unwrap());
        let network = network(&case, &Engine::fused());
        let task = case.task.as_ref();
        let of_group = |group: usize| {
            let parameters = take_out(&case, group, 0, &mut case.weights.clone());
            let reads = |node: &&Node| node.reads().any(|name| parameters.contains(&name));
            Variants {
                readers: case
                    .graph
                    .nodes
                    .iter()
                    .filter(reads)
                    .map(|n| n.name.as_str())
                    .collect(),
                count: case.groups.groups[group].width,
                parameters,
            }
        };
        let sets: Vec<Variants<'_>> = (0..case.groups.groups.len()).map(of_group).collect();
        let change = |group: usize, kernel: usize, weights: &mut Weights| {
            take_out(&case, group, kernel, weights);
        };
        let held = (&part, &Reference::Labels);
        let (given, found) = losses((&network, task), &case.weights, held, &sets, change).unwrap();
        let whole = |weights: &Weights| {
            let evaluation = evaluate(&network, task, weights, &part, &Reference::Labels);
            evaluation.unwrap().loss
        };
        assert!((given - whole(&case.weights)).abs() < TOLERANCE);
        let mut moved = 0;
        for (group, losses) in found.iter().enumerate() {
            for (kernel, &loss) in losses.iter().enumerate() {
                let mut weights = case.weights.clone();
                take_out(&case, group, kernel, &mut weights);
                let expected = whole(&weights);
                assert!((loss - expected).abs() < TOLERANCE, "{group} {kernel}");
                moved += usize::from((loss - given).abs() > 10.0 * TOLERANCE);
            }
        }
        assert!(moved > 0);
    }
}
