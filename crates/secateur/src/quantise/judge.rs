//! Quality of both files on held-out samples, in the engine that runs them.

use std::ops::Range;

use secateur_net::data::Part;
use secateur_net::interpreter::by_sample;
use secateur_net::task::Against;
use secateur_net::train::{Evaluation, judge_by};
use secateur_net::{Host, HostData, Inputs, NetError, Output};
use secateur_onnx::graph::{Graph, ValueInfo};
use secateur_onnx::model::Model;

use super::arrays::{named, picked};
use super::{QuantiseError, Ready, batch_of};
use crate::runtime::{Element, Feed, Inference, Runtime};

/// Samples at once, where the file leaves that open; it may hold one all the same.
const AT_ONCE: [usize; 2] = [32, 1];

/// The given file and the quantised one.
pub(super) fn judge(
    ready: &Ready,
    (made, made_graph): (&Model, &Graph),
    part: &Part,
    engine: &dyn Runtime,
) -> Result<(Evaluation, Evaluation), QuantiseError> {
    let batches = match batch_of(&ready.model, &ready.graph) {
        Some(batch) => vec![batch],
        None => AT_ONCE.to_vec(),
    };
    let mut given = InEngine::load(engine, &ready.model, &ready.graph, &batches, part)?;
    let mut small = InEngine::load(engine, made, made_graph, &batches, part)?;
    let mut task = ready.task.clone();
    if task.needs_fitting() {
        let few = part.spread(AT_ONCE[0]);
        let sample = given.outputs(few.batch(&few.run(0, few.len()))?.inputs)?;
        let sample = pick(sample, &places(&ready.graph, &task.outputs()));
        task = task.fitted(&sample).unwrap_or(task);
    }
    let places = places(&ready.graph, &task.outputs());
    let is_against_original = task.against() == Against::Original;
    let before = judge_by(task.as_ref(), part, |batch| {
        let outputs = pick(given.outputs(batch.inputs)?, &places);
        Ok((is_against_original.then(|| outputs.clone()), outputs))
    })?;
    let after = judge_by(task.as_ref(), part, |batch| {
        let wanted = match is_against_original {
            true => Some(pick(given.outputs(batch.inputs.clone())?, &places)),
            false => None,
        };
        Ok((wanted, pick(small.outputs(batch.inputs)?, &places)))
    })?;
    Ok((before.evaluation(), after.evaluation()))
}

/// Where the task's outputs are among those of the file.
fn places(graph: &Graph, names: &[&str]) -> Vec<usize> {
    let place = |name: &&str| graph.outputs.iter().position(|output| output.name == *name);
    names.iter().filter_map(place).collect()
}

fn pick(outputs: Vec<Output>, places: &[usize]) -> Vec<Output> {
    places
        .iter()
        .filter_map(|&place| outputs.get(place).cloned())
        .collect()
}

/// A file loaded for batches of a size.
struct InEngine<'a> {
    loaded: Box<dyn Inference>,
    graph: &'a Graph,
    batch: usize,
}

impl<'a> InEngine<'a> {
    /// For the first of these sizes that runs.
    fn load(
        engine: &dyn Runtime,
        model: &Model,
        graph: &'a Graph,
        batches: &[usize],
        part: &Part,
    ) -> Result<Self, NetError> {
        let mut reason = String::new();
        for &batch in batches {
            let first = part.batch(&part.run(0, batch))?.inputs;
            let arrays = named(first, graph).map_err(|error| error.to_string());
            let feeds = arrays.and_then(|arrays| feeds(&arrays, graph, 0..batch));
            let tried = feeds.and_then(|feeds| {
                let mut loaded = engine.load(model, graph.nodes.len(), &feeds)?;
                loaded.run()?;
                Ok(loaded)
            });
            match tried {
                Ok(loaded) => {
                    return Ok(Self {
                        loaded,
                        graph,
                        batch,
                    });
                }
                Err(error) => reason = error,
            }
        }
        Err(NetError::Elsewhere { reason })
    }

    /// All outputs of the file for some samples.
    fn outputs(&mut self, inputs: Inputs) -> Result<Vec<Output>, NetError> {
        let n = inputs.n;
        let arrays = named(inputs, self.graph)?;
        let mut all = vec![Output::default(); self.graph.outputs.len()];
        for start in (0..n).step_by(self.batch) {
            let outside = |reason: String| NetError::Elsewhere { reason };
            let feeds = feeds(&arrays, self.graph, start..start + self.batch).map_err(outside)?;
            self.loaded.feed(&feeds).map_err(outside)?;
            let outputs = self.loaded.run().map_err(outside)?;
            let outputs = outputs.into_iter().map(|output| Output {
                shape: output.shape,
                values: output
                    .values
                    .into_iter()
                    .map(|value| value as f32)
                    .collect(),
            });
            let outputs = by_sample(self.graph, outputs.collect(), self.batch)?;
            let own: Vec<usize> = (0..self.batch.min(n - start)).collect();
            for (all, output) in all.iter_mut().zip(outputs) {
                all.append(output.pick(&own));
            }
        }
        Ok(all)
    }
}

/// Some of the samples; a batch that they do not fill is filled with the last of them.
fn feeds(
    arrays: &[(String, Host)],
    graph: &Graph,
    samples: Range<usize>,
) -> Result<Vec<Feed>, String> {
    let feed = |((name, host), info): (&(String, Host), &ValueInfo)| {
        let n = host.shape.first().copied().unwrap_or(1);
        let indices: Vec<usize> = samples
            .clone()
            .map(|i| i.min(n.saturating_sub(1)))
            .collect();
        feed(name, picked(host, &indices), info.elem_type)
    };
    arrays.iter().zip(&graph.inputs).map(feed).collect()
}

fn feed(name: &str, host: Host, elem_type: i32) -> Result<Feed, String> {
    let element = Element::from_onnx(elem_type);
    Ok(Feed {
        name: name.to_string(),
        element: element.ok_or_else(|| format!("the type of its input `{name}` is not known"))?,
        shape: host.shape,
        values: match host.data {
            HostData::Float(values) => values,
            HostData::Int(values) => values.into_iter().map(|value| value as f32).collect(),
            HostData::Bool(values) => values
                .into_iter()
                .map(|on| f32::from(u8::from(on)))
                .collect(),
        },
    })
}
