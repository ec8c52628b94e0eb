//! Health of dormant kernels: how much the loss would fall if they came back.
//!
//! The full-width network with the consumers' weights of dormant kernels set to
//! zero computes exactly what the compact network computes, yet the gradient of
//! those zeroed weights is that of a network in which the dormant kernels
//! already run. With the stored weights w and the probe's gradient g,
//!
//! health_k = -Σ w · g over the consumers' weights of kernel k,
//!
//! the first-order estimate of the fall of the loss (Taylor's theorem around the
//! masked network; the same idea grows connections in RigL, Evci et al., ICML
//! 2020, arXiv:1911.11134, there by gradient magnitude of single weights).

use secateur_onnx::coupling::{ChannelGroups, Masks, Role};

use crate::error::Result;
use crate::interpreter::Network;
use crate::train::cross_entropy;
use crate::weights::Weights;

/// Told group, kernel, tensor, axis and positions of a dormant kernel's consumers.
type Visit<'a> = dyn FnMut(usize, usize, &str, usize, &[usize]) + 'a;

/// Calls `visit` with the offset of every element that belongs to `positions` of `axis`.
fn for_each_element(
    shape: &[usize],
    axis: usize,
    positions: &[usize],
    mut visit: impl FnMut(usize),
) {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    for o in 0..outer {
        for &position in positions {
            let start = (o * shape[axis] + position) * inner;
            (start..start + inner).for_each(&mut visit);
        }
    }
}

/// Health of every kernel, `[group][kernel]`, in units of loss; zero for active ones.
///
/// `network` is the full-width network, `full` its parameters, `images`
/// (`[n, h, w, c]`) and `labels` one batch of training data.
///
/// # Errors
/// As a training pass.
///
/// # Cost
/// One training pass of the full-width network.
pub fn probe_health(
    network: &Network,
    full: &Weights,
    groups: &ChannelGroups,
    masks: &Masks,
    images: Vec<f32>,
    labels: &[u32],
) -> Result<Vec<Vec<f32>>> {
    let mut zeroed = full.clone();
    let dormant = |visit: &mut Visit<'_>| {
        for (g, group) in groups.groups.iter().enumerate() {
            for member in group.members.iter().filter(|m| m.role == Role::Input) {
                for (k, positions) in member.positions.iter().enumerate() {
                    if !masks.0[g][k] {
                        visit(g, k, &member.tensor, member.axis, positions);
                    }
                }
            }
        }
    };
    dormant(&mut |_, _, tensor, axis, positions| {
        if let Some(weight) = zeroed.get_mut(tensor) {
            let shape = weight.shape.clone();
            for_each_element(&shape, axis, positions, |i| weight.data[i] = 0.0);
        }
    });
    let bound = network.bind_training(&zeroed);
    let n = labels.len();
    let pass = network.forward_training(&bound, images, n, None)?;
    let loss = cross_entropy(pass.logits, labels, 0.0);
    let gradients = loss.backward();
    let mut health: Vec<Vec<f32>> = groups
        .groups
        .iter()
        .map(|group| vec![0.0; group.width])
        .collect();
    let mut read: std::collections::HashMap<String, Vec<f32>> = std::collections::HashMap::new();
    dormant(&mut |g, k, tensor, axis, positions| {
        let Some(weight) = full.get(tensor) else {
            return;
        };
        let gradient = read.entry(tensor.to_string()).or_insert_with(|| {
            bound
                .tensor(tensor)
                .and_then(|leaf| leaf.grad(&gradients))
                .map(|gradient| gradient.into_data().iter::<f32>().collect())
                .unwrap_or_default()
        });
        if gradient.is_empty() {
            return;
        }
        for_each_element(&weight.shape, axis, positions, |i| {
            health[g][k] -= weight.data[i] * gradient[i];
        });
    });
    Ok(health)
}
