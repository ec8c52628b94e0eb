//! How many samples a network takes at once.
//!
//! Some files work on one sample alone although they have an axis for a batch (they fold it into another,
//! or squeeze it away), and some have no such axis. Their samples go through one after the other, and what
//! comes out is put together again.

use secateur_onnx::graph::{Dim, ValueInfo};

use super::Interpreter;
use crate::error::{NetError, Result};
use crate::pass::{Bound, Phase};
use crate::value::{Dense, Host, Input, Inputs, Output};
use crate::weights::Weights;

/// How far outputs for a sample may be, in the mean, from those for it beside another, as share of their
/// mean size. Sums in another order differ by far less, samples that mix by far more; a pixel that another
/// order puts first or last of the best is one of many.
const ALIKE: f32 = 0.02;

/// Where the samples of an input's values lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lying {
    /// Along an axis of the input.
    Along(usize),
    /// One beside the other, in front of the input's axes.
    Stacked,
    /// Nowhere: one value serves all.
    Shared,
}

/// The axis of an input that counts samples, if there is one; `first` is the network's first input.
pub(crate) fn batch_axis(input: &ValueInfo, first: &ValueInfo) -> Option<usize> {
    if input.name == first.name {
        return (!input.shape.is_empty()).then_some(0);
    }
    let batch = first.shape.first()?;
    let same = |dim: &Dim| match batch {
        Dim::Fixed(_) | Dim::Named(_) => dim == batch,
        Dim::Unknown => dim.fixed().is_none(),
    };
    let found = input.shape.iter().position(same);
    // An export whose inputs name the batch apart (`unk__1`, `unk__2`).
    let open_front = || {
        let is_open = |dim: &Dim| dim.fixed().is_none();
        (is_open(batch) && input.shape.first().is_some_and(is_open)).then_some(0)
    };
    found.or_else(open_front)
}

impl Interpreter {
    /// The inputs in as few parts as the network takes at once: all samples in one, or each by itself.
    pub(super) fn goes(&self, phase: Phase, bound: &Bound, inputs: Inputs) -> Vec<Inputs> {
        let find = || self.follows_batch(phase, bound, &inputs);
        let known = self.takes_at_once(&inputs);
        let at_once = known.unwrap_or_else(|| *self.takes_batches.get_or_init(find));
        self.parted(inputs, at_once)
    }

    /// The same for a network of some weights.
    ///
    /// # Errors
    /// As [`Self::bind_inference`].
    pub(crate) fn goes_with(&self, weights: &Weights, inputs: Inputs) -> Result<Vec<Inputs>> {
        if let Some(at_once) = self.takes_at_once(&inputs) {
            return Ok(self.parted(inputs, at_once));
        }
        let bound = self.bind_inference(weights)?;
        Ok(self.goes(Phase::Inference, &bound, inputs))
    }

    /// Does it take all of these samples at once? `None` if nothing was run yet that tells.
    fn takes_at_once(&self, inputs: &Inputs) -> Option<bool> {
        if self.lyings(inputs).any(|lying| lying == Lying::Stacked) {
            // Its inputs have no room for a second sample, which is then known of all batches.
            let _ = self.takes_batches.set(false);
            return Some(false);
        }
        match inputs.n {
            0 | 1 => Some(true),
            _ => self.takes_batches.get().copied(),
        }
    }

    fn parted(&self, inputs: Inputs, at_once: bool) -> Vec<Inputs> {
        if at_once {
            return vec![inputs];
        }
        let samples = 0..inputs.n;
        samples.map(|at| self.some(&inputs, at..at + 1)).collect()
    }

    /// The same network with other kernels, which takes samples as this one was found to take them.
    #[must_use]
    pub fn fed_as(self, other: &Self) -> Self {
        if let Some(&known) = other.takes_batches.get() {
            // A new one has not found anything yet.
            let _ = self.takes_batches.set(known);
        }
        self
    }

    /// True if samples were found to go through it one after the other.
    pub fn is_fed_one_by_one(&self) -> bool {
        self.takes_batches.get() == Some(&false)
    }

    /// Are the outputs for two samples twice as long, along the axis that counts samples, as those for one,
    /// and begin with them? In training, where batch norms mix samples, only their extents are compared.
    fn follows_batch(&self, phase: Phase, bound: &Bound, inputs: &Inputs) -> bool {
        let bound = bound.detached();
        let pass = self.pass(phase, &bound, None);
        let outputs = |n: usize| -> Result<Vec<Dense>> {
            let inputs = self.input_values(self.some(inputs, 0..n), &pass.device)?;
            let outputs = self.run(&pass, &inputs, &self.outputs())?;
            Ok(outputs
                .iter()
                .map(|output| output.dense(&pass.device))
                .collect())
        };
        let (Ok(one), Ok(two)) = (outputs(1), outputs(2)) else {
            return false;
        };
        let outputs = one.iter().zip(&two).zip(&self.sample_axes);
        outputs.into_iter().all(|((one, two), &axis)| {
            let [Some(&single), Some(&double)] = [one.dims().get(axis), two.dims().get(axis)]
            else {
                return false;
            };
            let is_twice = 2 * single == double;
            is_twice && (phase == Phase::Training || are_alike(one, &two.narrow(axis, 0..single)))
        })
    }

    /// Some of the samples; of stacked ones a single one, without the axis that they are stacked along.
    fn some(&self, inputs: &Inputs, samples: std::ops::Range<usize>) -> Inputs {
        let lyings = self.lyings(inputs);
        let values = inputs.values.iter().zip(lyings).map(|(input, lying)| {
            let host = match input {
                Input::Images(values) => {
                    let len = values.len() / inputs.n.max(1);
                    let range = samples.start * len..samples.end * len;
                    return Input::Images(values[range].to_vec());
                }
                Input::Array(host) => host,
            };
            Input::Array(match lying {
                Lying::Along(axis) => host.narrow(axis, samples.clone()),
                Lying::Shared => host.clone(),
                Lying::Stacked => {
                    let one = host.narrow(0, samples.clone());
                    one.reshaped(one.shape[1..].to_vec())
                }
            })
        });
        Inputs {
            n: samples.len(),
            values: values.collect(),
        }
    }

    fn lyings<'i>(&'i self, inputs: &'i Inputs) -> impl Iterator<Item = Lying> + 'i {
        let first = self.inputs.first();
        let pairs = self.inputs.iter().zip(&inputs.values);
        pairs.map(move |(info, input)| match input {
            Input::Images(_) => Lying::Along(0),
            Input::Array(host) => lying(info, first.unwrap_or(info), host, inputs.n),
        })
    }
}

/// Are two values the same but for how sums round?
fn are_alike(one: &Dense, other: &Dense) -> bool {
    let (one, other) = (one.to_vec(), other.to_vec());
    let apart: f32 = one.iter().zip(&other).map(|(a, b)| (a - b).abs()).sum();
    let size: f32 = one.iter().map(|a| a.abs()).sum();
    // What is no number says nothing.
    one.len() == other.len() && (apart.is_nan() || apart <= ALIKE * size)
}

/// Where the samples of an array for an input lie.
fn lying(info: &ValueInfo, first: &ValueInfo, host: &Host, n: usize) -> Lying {
    if info.has_shape && host.shape.len() == info.shape.len() + 1 {
        return Lying::Stacked;
    }
    match batch_axis(info, first) {
        Some(axis) if host.shape.get(axis) == Some(&n) => Lying::Along(axis),
        None if !info.has_shape => Lying::Along(0),
        _ => Lying::Shared,
    }
}

/// Outputs of several goes, one after the other, as one.
///
/// # Errors
/// [`NetError::Shape`] where samples give outputs of different extents.
pub(super) fn joined(goes: Vec<Vec<Output>>, names: &[&str]) -> Result<Vec<Output>> {
    let mut goes = goes.into_iter();
    let mut all = goes.next().unwrap_or_default();
    for go in goes {
        for ((all, output), name) in all.iter_mut().zip(go).zip(names) {
            check_alike(name, &all.shape, &output.shape)?;
            all.append(output);
        }
    }
    Ok(all)
}

/// The same of tensors.
///
/// # Errors
/// As [`joined`].
pub(super) fn joined_tensors(goes: Vec<Vec<Dense>>, names: &[&str]) -> Result<Vec<Dense>> {
    let join = |(at, name): (usize, &&str)| {
        let parts: Vec<Dense> = goes.iter().map(|go| go[at].clone()).collect();
        for part in &parts[1..] {
            check_alike(name, parts[0].dims(), part.dims())?;
        }
        Ok(match parts.as_slice() {
            [only] => only.clone(),
            _ => Dense::concat(parts, 0),
        })
    };
    names.iter().enumerate().map(join).collect()
}

fn check_alike(name: &str, first: &[usize], other: &[usize]) -> Result<()> {
    if first[1..] == other[1..] {
        return Ok(());
    }
    Err(NetError::Shape {
        node: name.to_string(),
        expected: format!("as many values for each sample, {:?}", &first[1..]),
        got: format!("{:?} for another", &other[1..]),
    })
}
