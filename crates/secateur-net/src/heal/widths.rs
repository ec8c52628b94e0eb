//! Errors by width: what narrower layers would cost, before any is made.
//!
//! Kernels of a group go one after the other, each time the one whose readers lose least when what
//! remains makes up for it. That gives an order, what each is worth (its **second-order
//! significance**, in shares of its readers' variance), and for every width the error that its
//! readers are left with. All follows from second moments of what the layers read in the
//! original: no network is run for a width. Errors that earlier layers pass on are not in it.

use rayon::prelude::*;
use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::Graph;

use super::elimination::Eliminating;
use super::moments::{Moments, moments};
use super::{Inputs, SolveOptions, layers};
use crate::data::Part;
use crate::error::Result;
use crate::interpreter::Interpreter;
use crate::weights::Weights;

/// Kernels of wider groups go several at a time, so that there are about as many rounds.
const ROUNDS: usize = 256;

/// What a channel group loses with its kernels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WidthErrors {
    /// Kernels in the order in which they go; the last stays.
    pub order: Vec<usize>,
    /// Squared error of the readers without the first so many of `order`, as share of the
    /// variance of what each gives, summed over the readers; `[width]`, rising from 0.
    pub errors: Vec<f64>,
}

impl WidthErrors {
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
    let mut all = Vec::new();
    for (group, of) in groups.groups.iter().enumerate() {
        let (errors, taken) = of_group(group, of.width, &moments);
        all.push(errors);
        multiply_adds += taken;
    }
    Ok((all, multiply_adds))
}

/// A reader of a group, and its columns of each kernel.
struct Reader<'a> {
    layer: Eliminating,
    columns: &'a [Vec<usize>],
}

fn of_group(group: usize, width: usize, moments: &[Moments]) -> (WidthErrors, f64) {
    let reads = moments
        .iter()
        .flat_map(|moments| moments.reads.iter().map(move |read| (moments, read)));
    let mut readers: Vec<Reader<'_>> = reads
        .filter(|(_, read)| read.group == group)
        .filter_map(|(moments, read)| {
            Some(Reader {
                layer: Eliminating::new(moments)?,
                columns: &read.columns,
            })
        })
        .collect();
    if readers.is_empty() {
        return (WidthErrors::default(), 0.0);
    }
    let mut left: Vec<usize> = (0..width).collect();
    let mut found = WidthErrors {
        order: Vec::new(),
        errors: vec![0.0],
    };
    while left.len() > 1 {
        let going = least(
            &readers,
            &left,
            left.len().div_ceil(ROUNDS).min(left.len() - 1),
        );
        for (kernel, lost) in take(&mut readers, &going) {
            found.order.push(kernel);
            let so_far = found.errors.last().copied().unwrap_or_default();
            found.errors.push(so_far + lost);
        }
        left.retain(|kernel| !going.contains(kernel));
    }
    found.order.extend(left);
    let multiply_adds = readers
        .iter()
        .map(|reader| reader.layer.multiply_adds)
        .sum();
    (found, multiply_adds)
}

/// The `count` kernels of `left` that the readers would lose least without.
fn least(readers: &[Reader<'_>], left: &[usize], count: usize) -> Vec<usize> {
    let loss = |&kernel: &usize| -> f64 {
        let of_reader = |reader: &Reader<'_>| reader.layer.loss(&reader.columns[kernel]);
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

/// Takes kernels away; returns them with what was lost with each.
fn take(readers: &mut [Reader<'_>], going: &[usize]) -> Vec<(usize, f64)> {
    let one_by_one = going.iter().map(|&kernel| {
        let of_reader = |reader: &mut Reader<'_>| {
            let columns = &reader.columns[kernel];
            let lost = reader.layer.loss(columns);
            reader.layer.remove(columns);
            lost
        };
        (kernel, readers.iter_mut().map(of_reader).sum())
    });
    one_by_one.collect()
}
