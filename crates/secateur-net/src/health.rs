//! Health of dormant kernels: how much the loss could fall if they came back.
//!
//! The full-width network with the consumers' weights of dormant kernels set to
//! zero computes exactly what the compact network computes, yet the gradient of
//! those zeroed weights is that of a network in which the dormant kernels
//! already run. With the stored weights w and the probe's gradient g,
//!
//! health_k = |w| · |g| over the consumers' weights of kernel k,
//!
//! the most that the loss can fall, to first order, if the kernel comes back with weights as large as
//! it had. Not -Σ w · g, what it would fall with the very weights that it had: where the others'
//! weights were solved to make up for the kernel, they have to be solved anew with it. (RigL, Evci et al.,
//! ICML 2020, arXiv:1911.11134, grows single weights by the magnitude of their gradient.)

use std::collections::HashMap;

use burn::tensor::Gradients;
use secateur_onnx::coupling::{ChannelGroups, Masks, Member, Role};

use crate::error::Result;
use crate::interpreter::Interpreter;
use crate::pass::Bound;
use crate::task::{Targets, Task};
use crate::value::Inputs;
use crate::weights::Weights;

/// Told group, kernel and consumer of a dormant kernel.
type Visit<'a> = dyn FnMut(usize, usize, &Member) + 'a;

/// The gradient of a parameter; empty if it has none.
fn gradient_of(bound: &Bound, gradients: &Gradients, name: &str) -> Vec<f32> {
    let gradient = bound.tensor(name).and_then(|leaf| leaf.grad(gradients));
    gradient.map_or_else(Vec::new, |g| g.into_data().iter::<f32>().collect())
}

/// Health of every kernel, `[group][kernel]`, in units of loss; zero for active ones.
///
/// `network` is the full-width network, `full` its parameters, `inputs` and `targets` one batch
/// of training data.
///
/// # Errors
/// As a training pass.
///
/// # Cost
/// One training pass of the full-width network.
pub fn probe_health(
    network: &Interpreter,
    task: &dyn Task,
    full: &Weights,
    groups: &ChannelGroups,
    masks: &Masks,
    inputs: Inputs,
    targets: &Targets<'_>,
) -> Result<Vec<Vec<f32>>> {
    let mut zeroed = full.clone();
    let dormant = |visit: &mut Visit<'_>| {
        for (g, group) in groups.groups.iter().enumerate() {
            for member in group.members.iter().filter(|m| m.role == Role::Input) {
                for k in (0..group.width).filter(|&k| !masks.0[g][k]) {
                    visit(g, k, member);
                }
            }
        }
    };
    dormant(&mut |_, k, member| {
        if let Some(weight) = zeroed.get_mut(&member.tensor) {
            for block in member.blocks(&weight.shape, k) {
                weight.data[block].fill(0.0);
            }
        }
    });
    let bound = network.bind_training(&zeroed);
    let pass = network.forward_training(&bound, inputs, None)?;
    // By stock operations whatever the engine is: rounding differs between the two, health
    // decides which kernels a search turns on, and runs with a given seed are to stay the same.
    let engine = network.engine().to_stock();
    let loss = task.loss(&engine, &pass.outputs, targets)?;
    let gradients = pass.backward(&loss)?;
    let widths = groups.groups.iter().map(|group| group.width);
    // Squares of the weights and of their gradients.
    let mut squares: Vec<Vec<[f32; 2]>> = widths.map(|width| vec![[0.0; 2]; width]).collect();
    let mut read: HashMap<String, Vec<f32>> = HashMap::new();
    dormant(&mut |g, k, member| {
        let tensor = &member.tensor;
        let Some(weight) = full.get(tensor) else {
            return;
        };
        let gradient = read
            .entry(tensor.clone())
            .or_insert_with(|| gradient_of(&bound, &gradients, tensor));
        if gradient.is_empty() {
            return;
        }
        for i in member.blocks(&weight.shape, k).flatten() {
            squares[g][k][0] += weight.data[i] * weight.data[i];
            squares[g][k][1] += gradient[i] * gradient[i];
        }
    });
    let health = |kernels: Vec<[f32; 2]>| {
        let of_one = kernels.into_iter().map(|[w, g]| w.sqrt() * g.sqrt());
        of_one.collect()
    };
    Ok(squares.into_iter().map(health).collect())
}
