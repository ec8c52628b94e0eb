//! Errors by width: what narrower layers would cost, before any is made.
//!
//! Kernels of a group go one after the other, each time the one whose readers lose least when what
//! remains makes up for it. That gives an order, what each is worth (its **second-order
//! significance**, in shares of its readers' variance), and for every width the error that its
//! readers are left with. Groups that a layer reads side by side go down together, each keeping the
//! same share: by itself each would be made up for by the others, which go as well. All follows from
//! second moments of what the layers read in the original: no network is run for a width. What errors become
//! behind the readers is tried once for each group ([`super::amplified`]).

use std::collections::HashMap;

use rayon::prelude::*;
use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;

use super::amplified::{self, TRIED_AT, Trial};
use super::elimination::Eliminating;
use super::layers::Layer;
use super::moments::{Moments, moments};
use super::{Inputs, SolveOptions, layers};
use crate::data::Part;
use crate::error::Result;
use crate::interpreter::Interpreter;
use crate::weights::Weights;

/// Kernels of wider groups go several at a time, so that there are about as many rounds.
const ROUNDS: usize = 256;

/// What a channel group loses with its kernels.
#[derive(Debug, Clone, PartialEq)]
pub struct WidthErrors {
    /// Kernels in the order in which they go; the last stays.
    pub order: Vec<usize>,
    /// Squared error of the readers without the first so many of `order`, as share of the
    /// variance of what each gives, summed over the readers, by what it counts at the network's
    /// outputs against errors of other groups; `[width]`, rising from 0.
    pub errors: Vec<f64>,
    /// How far the network's outputs move for an error of the readers, as share of the geometric mean
    /// over the groups, within a factor of 8 of it; 1 where that is not known.
    pub amplification: f64,
}

impl Default for WidthErrors {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            errors: Vec::new(),
            amplification: 1.0,
        }
    }
}

impl WidthErrors {
    /// The power of amplifications that `errors` count by: what comes behind a layer is solved for
    /// what it has lost, so that a part is made up for.
    pub const POWER: f64 = 0.5;

    /// The same, counting by this power of the amplification.
    #[must_use]
    pub fn counting(&self, power: f64) -> Self {
        self.times(self.amplification.powf(power - Self::POWER))
    }

    /// The same with errors that count by a factor more.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self {
            errors: self.errors.iter().map(|error| factor * error).collect(),
            ..self.clone()
        }
    }

    /// The error with so many kernels; `None` where the layer was not measured.
    pub fn at(&self, width: usize) -> Option<f64> {
        let gone = self.order.len().saturating_sub(width);
        self.errors.get(gone).copied()
    }

    /// What is lost in the moment when each kernel goes, by its index.
    pub fn significance(&self) -> Vec<f32> {
        let mut significance = vec![0.0; self.order.len()];
        let last = self.errors.last().copied().unwrap_or_default();
        for (at, &kernel) in self.order.iter().enumerate() {
            // Without the last kernel the readers hear nothing.
            let after = self.errors.get(at + 1).copied().unwrap_or(last + 1.0);
            significance[kernel] = (after - self.errors[at]) as f32;
        }
        significance
    }
}

/// The errors by width of all groups whose kernels some layer without parts (attribute `group`
/// of 1) reads; empty for the others. And the multiply-adds.
///
/// # Errors
/// [`crate::NetError::Data`] for fewer than 2 inputs; as an inference pass.
pub fn errors_by_width(
    network: &Interpreter,
    graph: &Graph,
    groups: &ChannelGroups,
    weights: &Weights,
    part: &Part,
    options: &SolveOptions,
) -> Result<(Vec<WidthErrors>, f64)> {
    let inputs = Inputs::new(network, weights, part, options)?;
    of_inputs(network, graph, groups, weights, &inputs, options)
}

/// The same for inputs that are there already.
pub(super) fn of_inputs(
    network: &Interpreter,
    graph: &Graph,
    groups: &ChannelGroups,
    weights: &Weights,
    inputs: &Inputs,
    options: &SolveOptions,
) -> Result<(Vec<WidthErrors>, f64)> {
    let (layers, _) = layers::find(graph);
    let (moments, mut multiply_adds) = moments(network, weights, &layers, groups, inputs, options)?;
    let mut all = vec![WidthErrors::default(); groups.groups.len()];
    let mut trials: Vec<(Trial, Vec<usize>)> = Vec::new();
    for component in components(groups.groups.len(), &moments) {
        let mut narrowing = Narrowing::new(&component, groups, &moments);
        let trial = narrowing.run(|readers, error| trial(readers, error, &layers, weights));
        multiply_adds += narrowing.multiply_adds();
        for part in narrowing.parts {
            let group = part.group;
            all[group] = part.finished();
        }
        trials.extend(trial.map(|trial| (trial, component)));
    }
    let (trials, components): (Vec<_>, Vec<_>) = trials.into_iter().unzip();
    let (amplifications, passes) = amplified::amplifications(network, weights, &trials, inputs)?;
    let whole = CostModel::new(graph, groups)?.count(&Masks::all_active(groups));
    multiply_adds += passes * whole.macs as f64;
    for (amplification, component) in amplifications.into_iter().zip(components) {
        for group in component {
            let factor = amplification.powf(WidthErrors::POWER);
            all[group] = WidthErrors {
                amplification,
                ..all[group].times(factor)
            };
        }
    }
    Ok((all, multiply_adds))
}

/// The readers of some groups as they are without what is gone; `None` where that says nothing.
fn trial(
    readers: &[Reader<'_>],
    error: f64,
    layers: &HashMap<String, Layer>,
    weights: &Weights,
) -> Option<Trial> {
    if error < amplified::LEAST {
        return None;
    }
    let mut trial = Trial {
        nodes: Vec::new(),
        changed: Vec::new(),
        error,
    };
    for reader in readers {
        let layer = layers.get(&reader.moments.node)?;
        let changed = reader
            .moments
            .changed(layer, weights, &reader.layer.weights())?;
        trial.nodes.push(layer.node.clone());
        trial.changed.extend(changed);
    }
    Some(trial)
}

/// Groups that some layer reads together, such as those of a concatenation: what one loses the others
/// can make up for, as long as they are there.
fn components(groups: usize, moments: &[Moments]) -> Vec<Vec<usize>> {
    let mut of_group: Vec<usize> = (0..groups).collect();
    for moments in moments {
        let read: Vec<usize> = moments.reads.iter().map(|r| of_group[r.group]).collect();
        let Some(&first) = read.iter().min() else {
            continue;
        };
        let joined = of_group.iter_mut().filter(|of| read.contains(of));
        joined.for_each(|of| *of = first);
    }
    let members = |of: usize| -> Vec<usize> {
        let groups = of_group.iter().enumerate();
        groups
            .filter(|(_, other)| **other == of)
            .map(|(group, _)| group)
            .collect()
    };
    let all = (0..groups).map(members);
    all.filter(|members| !members.is_empty()).collect()
}

/// A layer that reads some of the groups, and its columns of each of their kernels.
struct Reader<'a> {
    moments: &'a Moments,
    layer: Eliminating,
    columns: HashMap<usize, &'a [Vec<usize>]>,
}

impl Reader<'_> {
    /// Its columns of a kernel; none of a group that it does not read.
    fn columns(&self, group: usize, kernel: usize) -> &[usize] {
        self.columns.get(&group).map_or(&[], |of| &of[kernel])
    }
}

/// A group on the way down.
struct Descent {
    group: usize,
    width: usize,
    left: Vec<usize>,
    found: WidthErrors,
}

impl Descent {
    fn share(&self) -> f64 {
        self.left.len() as f64 / self.width as f64
    }

    fn finished(self) -> WidthErrors {
        let mut found = self.found;
        if !found.errors.is_empty() {
            found.order.extend(self.left);
        }
        found
    }
}

/// Groups that lose their kernels in turn, each keeping the same share as the others: so each width
/// of one is measured with the others as narrow.
struct Narrowing<'a> {
    readers: Vec<Reader<'a>>,
    parts: Vec<Descent>,
}

impl<'a> Narrowing<'a> {
    /// Of groups that some layers read together; those read nothing else.
    fn new(component: &[usize], groups: &ChannelGroups, moments: &'a [Moments]) -> Self {
        let reader = |moments: &'a Moments| {
            let reads = moments.reads.iter();
            Some(Reader {
                moments,
                layer: Eliminating::new(moments)?,
                columns: reads.map(|read| (read.group, &*read.columns)).collect(),
            })
        };
        let reads = |moments: &&'a Moments| {
            let mut reads = moments.reads.iter();
            reads.any(|read| component.contains(&read.group))
        };
        let readers: Vec<Reader<'a>> = moments.iter().filter(reads).filter_map(reader).collect();
        let part = |&group: &usize| {
            let width = groups.groups[group].width;
            let is_read = readers.iter().any(|r| r.columns.contains_key(&group));
            Descent {
                group,
                width,
                left: (0..width).collect(),
                found: WidthErrors {
                    errors: if is_read { vec![0.0] } else { Vec::new() },
                    ..WidthErrors::default()
                },
            }
        };
        let parts = component.iter().map(part).collect();
        Self { readers, parts }
    }

    /// Until every group that is read has one kernel left. `trial` may make a trial of the readers where
    /// they have lost [`TRIED_AT`] on the way, or of what is left of them in the end.
    fn run(&mut self, trial: impl Fn(&[Reader<'a>], f64) -> Option<Trial>) -> Option<Trial> {
        let is_wide = |part: &Descent| part.left.len() > 1 && !part.found.errors.is_empty();
        let mut tried = None;
        while let Some(at) = (0..self.parts.len())
            .filter(|&at| is_wide(&self.parts[at]))
            .max_by(|&a, &b| {
                let shares = [a, b].map(|at| self.parts[at].share());
                shares[0].total_cmp(&shares[1]).then(b.cmp(&a))
            })
        {
            self.narrow(at);
            if tried.is_none() && self.error() >= TRIED_AT {
                tried = Some(trial(&self.readers, self.error()));
            }
        }
        tried.unwrap_or_else(|| trial(&self.readers, self.error()))
    }

    /// What the readers have lost, as sum of their shares.
    fn error(&self) -> f64 {
        let errors = self.parts.iter().map(|part| part.found.errors.last());
        errors.flatten().sum()
    }

    /// The next kernels of a group go.
    fn narrow(&mut self, at: usize) {
        let Self { readers, parts } = self;
        let part = &mut parts[at];
        let left = part.left.len();
        let count = left.div_ceil(ROUNDS).min(left - 1);
        let going = least(readers, part.group, &part.left, count);
        for (kernel, lost) in take(readers, part.group, &going) {
            part.found.order.push(kernel);
            let so_far = part.found.errors.last().copied().unwrap_or_default();
            part.found.errors.push(so_far + lost);
        }
        part.left.retain(|kernel| !going.contains(kernel));
    }

    fn multiply_adds(&self) -> f64 {
        let readers = self.readers.iter();
        readers.map(|reader| reader.layer.multiply_adds).sum()
    }
}

/// The `count` kernels of a group's `left` that the readers would lose least without.
fn least(readers: &[Reader<'_>], group: usize, left: &[usize], count: usize) -> Vec<usize> {
    let loss = |&kernel: &usize| -> f64 {
        let of_reader = |reader: &Reader<'_>| match reader.columns(group, kernel) {
            [] => 0.0,
            columns => reader.layer.loss(columns),
        };
        readers.iter().map(of_reader).sum()
    };
    let mut losses: Vec<(f64, usize)> = left.par_iter().map(|k| (loss(k), *k)).collect();
    losses.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    losses
        .into_iter()
        .take(count)
        .map(|(_, kernel)| kernel)
        .collect()
}

/// Takes kernels of a group away; returns them with what was lost with each.
fn take(readers: &mut [Reader<'_>], group: usize, going: &[usize]) -> Vec<(usize, f64)> {
    let one_by_one = going.iter().map(|&kernel| {
        let of_reader = |reader: &mut Reader<'_>| {
            let columns = reader.columns(group, kernel).to_vec();
            if columns.is_empty() {
                return 0.0;
            }
            let lost = reader.layer.loss(&columns);
            reader.layer.remove(&columns);
            lost
        };
        (kernel, readers.iter_mut().map(of_reader).sum())
    });
    one_by_one.collect()
}
