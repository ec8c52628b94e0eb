//! What a network's time in an engine will be at any widths, from times of its layers that are
//! measured in that engine.
//!
//! The network is taken into pieces (`secateur_onnx::pieces`), which are timed as files of their own
//! at twenty-five networks' widths (`design`), those known from before left out (`cache`). Widths
//! end where a block of the engine ends (`block`). Networks of random widths are timed as wholes: the
//! sums of pieces are fitted to some of them (`fit`), and others, which the fit has not seen, tell
//! how far predictions are off.

mod block;
mod budget;
mod cache;
mod design;
mod fit;
mod gauge;
mod pieces;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use secateur_onnx::OnnxError;
use secateur_onnx::cost::{Latency, Timing};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::space::Space;
use serde::{Deserialize, Serialize};

pub use block::Block;
pub use budget::LatencyFigures;
pub(crate) use budget::Timing as BudgetTiming;
use cache::Cache;
pub use gauge::{LatencyGauge, Timed};
use pieces::Network;

use crate::bench::{Millis, in_turn};
use crate::runtime::{
    Engines, Inference, Runtime, RuntimeError, feeds, first_that_runs, fixed_batch, undisturbed,
};

/// Nanoseconds of a millisecond.
const NS: f64 = 1e6;
/// Networks of random widths that the sums of pieces are fitted to, besides the given one.
const FITTED: usize = 5;
/// Networks of random widths that tell the error, unless told otherwise.
pub const CHECKS: usize = 5;
/// Timed runs of a whole network, at least and at most, and seconds after which no more are begun.
const RUNS: (usize, usize) = (24, 480);
const SECONDS: f64 = 2.0;
/// Runs between which the clock is looked at.
const RUNS_AT_ONCE: usize = 12;

/// A table of times, with how it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyTable {
    /// Engine, with its version and threads.
    pub engine: String,
    /// Samples at once.
    pub batch: usize,
    /// The given network as a whole, measured.
    pub given_ms: Millis,
    /// The same by the table.
    pub given_by_table_ms: Millis,
    /// The steps in which the engine computes channels; none where no layer shows them.
    pub block: Option<Block>,
    /// By piece.
    pub layers: Vec<LayerTimes>,
    /// What the sum of the pieces is multiplied by.
    pub scale: f64,
    /// Milliseconds beside them.
    pub rest_ms: Millis,
    /// Networks that the table was not fitted to.
    pub checks: Vec<Predicted>,
    /// Nodes and pieces that were not timed by themselves.
    pub not_timed: Vec<String>,
}

/// Times of a piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerTimes {
    /// Its first node.
    pub node: String,
    /// Operator of that.
    pub op_type: String,
    /// By the channels that it reads and gives; where it reads what it gives, by those alone.
    pub times: Vec<Timing>,
}

/// A network's time as the table has it, and as it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// By the table.
    pub predicted_ms: Millis,
    /// As a whole.
    pub measured_ms: Millis,
}

impl Predicted {
    /// How far the prediction is off, as a share of what was measured.
    pub fn error(&self) -> f64 {
        (self.predicted_ms / self.measured_ms - 1.0).abs()
    }
}

/// Is told how far the measuring is: the engine, networks whose layers are timed, all of them.
pub type TimingObserver<'a> = dyn FnMut(&str, usize, usize) + 'a;

impl LatencyTable {
    /// Measures a network in the first engine that runs it, and holds the table against `checks`
    /// networks of random widths. `batch` is that of the file where that fixes it.
    ///
    /// # Errors
    /// [`RuntimeError`] where no engine runs the network.
    pub fn measure(
        (path, model): (&Path, &Model),
        space: &Space,
        engines: &Engines,
        (batch, checks): (usize, usize),
        observer: &mut TimingObserver<'_>,
    ) -> Result<Self, RuntimeError> {
        let graph = Graph::outline(model)?;
        let batch = fixed_batch(&graph).unwrap_or(batch);
        feeds(&graph, batch).map_err(|reason| RuntimeError::Unfit {
            model: path.display().to_string(),
            reason,
        })?;
        let network = Network::new(model, &graph, space, batch)?;
        first_that_runs(&engines.for_timing()?, path, |engine| {
            in_engine(engine, &network, checks, observer)
        })
    }

    /// What counts the time of any choice of kernels of the network that was measured.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] if shapes contradict each other.
    pub fn latency(&self, model: &Model, space: &Space) -> Result<Latency, OnnxError> {
        let graph = Graph::outline(model)?;
        let network = Network::new(model, &graph, space, self.batch)?;
        let times = self
            .layers
            .iter()
            .map(|layer| (&*layer.node, &*layer.times));
        Ok(network
            .latency(&times.collect())
            .fitted(self.scale, NS * self.rest_ms))
    }

    /// Channels that layers should be a multiple of.
    pub fn block_size(&self) -> usize {
        self.block.as_ref().map_or(1, |block| block.size)
    }

    /// The largest error of the networks that the table was not fitted to, and the middle one.
    pub fn errors(&self) -> Option<(f64, f64)> {
        let mut errors: Vec<f64> = self.checks.iter().map(Predicted::error).collect();
        errors.sort_by(f64::total_cmp);
        Some((*errors.last()?, *errors.get(errors.len() / 2)?))
    }
}

/// Measures in one engine; `Err` is why it cannot.
fn in_engine(
    engine: &dyn Runtime,
    network: &Network<'_>,
    checks: usize,
    observer: &mut TimingObserver<'_>,
) -> Result<LatencyTable, String> {
    // Whether it runs the network at all is seen before anything takes long.
    let given = whole_times(engine, network, &[network.full()])?;
    let mut cache = Cache::open(&engine.describe());
    let block = block(engine, network, &mut cache).map_err(|error| error.to_string())?;
    let size = block.as_ref().map_or(1, |block| block.size);
    let widths = design::networks(network.space, &network.channels, size);
    let timed = layers(engine, network, &widths, &mut cache, observer);
    cache.close();
    let (layers, failed) = timed.map_err(|error| error.to_string())?;
    let name = |index: &usize| network.pieces.pieces[*index].name.as_str();
    let times = layers.iter().map(|(index, times)| (name(index), &**times));
    let sum = network.latency(&times.collect());
    let mut chosen = vec![network.full()];
    chosen.extend(design::random(network.space, size, FITTED + checks));
    let measured = whole_times(engine, network, &chosen).unwrap_or(given);
    let pairs: Vec<(f64, f64)> = chosen
        .iter()
        .zip(&measured)
        .map(|(widths, time)| (sum.of(&network.space.narrowed(widths)), *time))
        .collect();
    let (fitted, checked) = pairs.split_at((1 + FITTED).min(pairs.len()));
    let (scale, rest) = fit::fit(fitted);
    let predicted = |sum: f64| (rest + scale * sum) / NS;
    let mut not_timed = network.pieces.left_out.clone();
    not_timed.extend(failed);
    Ok(LatencyTable {
        engine: engine.describe(),
        batch: network.batch,
        given_ms: measured[0] / NS,
        given_by_table_ms: predicted(pairs[0].0),
        block,
        layers: layers
            .into_iter()
            .map(|(index, times)| LayerTimes {
                node: network.pieces.pieces[index].name.clone(),
                op_type: network.pieces.pieces[index].op_type.clone(),
                times,
            })
            .collect(),
        scale,
        rest_ms: rest / NS,
        checks: checked
            .iter()
            .map(|&(sum, time)| Predicted {
                predicted_ms: predicted(sum),
                measured_ms: time / NS,
            })
            .collect(),
        not_timed,
    })
}

/// Times of every piece by its number, and the nodes of those that the engine did not run.
type Layers = (BTreeMap<usize, Vec<Timing>>, Vec<String>);

fn layers(
    engine: &dyn Runtime,
    network: &Network<'_>,
    widths: &[Vec<usize>],
    cache: &mut Cache,
    observer: &mut TimingObserver<'_>,
) -> Result<Layers, OnnxError> {
    let mut layers: BTreeMap<usize, Vec<Timing>> = BTreeMap::new();
    let mut failed: BTreeMap<usize, String> = BTreeMap::new();
    for (done, widths) in widths.iter().enumerate() {
        observer(&engine.describe(), done, design::NETWORKS);
        let masks = network.space.narrowed(widths);
        let channels: Vec<(u64, u64)> = network.channels.iter().map(|c| c.count(&masks)).collect();
        let is_new = |index: usize| {
            let mut known = layers.get(&index).into_iter().flatten();
            !failed.contains_key(&index) && !known.any(|t| (t.x, t.y) == channels[index])
        };
        for (index, time) in network.times(engine, widths, cache, is_new)? {
            let (x, y) = channels[index];
            match time {
                Ok(ns) => layers.entry(index).or_default().push(Timing { x, y, ns }),
                Err(reason) => {
                    let name = &network.pieces.pieces[index].name;
                    tracing::info!("{name} was not timed: {reason}");
                    failed.insert(index, name.clone());
                }
            }
        }
    }
    Ok((layers, failed.into_values().collect()))
}

/// Nanoseconds of whole networks of these widths, in turn.
fn whole_times(
    engine: &dyn Runtime,
    network: &Network<'_>,
    widths: &[Vec<usize>],
) -> Result<Vec<f64>, String> {
    let mut models = Vec::new();
    for widths in widths {
        let model = network
            .narrowed(widths)
            .map_err(|error| error.to_string())?;
        let feeds = feeds(network.graph, network.batch)?;
        models.push(engine.load(&model, network.graph.nodes.len(), &feeds)?);
    }
    Ok(together(&mut models)?
        .into_iter()
        .map(|ms| NS * ms)
        .collect())
}

/// Milliseconds of an undisturbed run of each of some models, timed in turn.
fn together(models: &mut [Box<dyn Inference>]) -> Result<Vec<Millis>, String> {
    let started = Instant::now();
    let mut times = vec![Vec::new(); models.len()];
    let mut runs = 0;
    while runs < RUNS.0 || (runs < RUNS.1 && started.elapsed().as_secs_f64() < SECONDS) {
        for (all, more) in times.iter_mut().zip(in_turn(models, RUNS_AT_ONCE.into())?) {
            all.extend(more);
        }
        runs += RUNS_AT_ONCE;
    }
    Ok(times.into_iter().map(undisturbed).collect())
}

/// The steps of one convolution that is wide enough to show them; the others are taken to be alike.
fn block(
    engine: &dyn Runtime,
    network: &Network<'_>,
    cache: &mut Cache,
) -> Result<Option<Block>, OnnxError> {
    let space = network.space;
    let most = *block::KERNELS.end();
    let shows = |index: &usize| -> Option<usize> {
        let is_conv = network.pieces.pieces[*index].op_type == "Conv";
        let group = network.channels[*index].gives_alone()?;
        let wide = space.groups.groups[group].width >= most;
        (is_conv && space.switchable[group] && wide).then_some(group)
    };
    let mut all = 0..network.pieces.pieces.len();
    let Some((index, group)) = all.find_map(|index| Some((index, shows(&index)?))) else {
        return Ok(None);
    };
    let mut times = Vec::new();
    for kernels in block::KERNELS {
        let mut widths = network.full();
        widths[group] = kernels;
        let found = network.times(engine, &widths, cache, |other| other == index)?;
        match found.into_values().next() {
            Some(Ok(time)) => times.push((kernels, time)),
            _ => return Ok(None),
        }
    }
    let layer = network.pieces.pieces[index].name.clone();
    Ok(Some(Block::new(layer, times)))
}
