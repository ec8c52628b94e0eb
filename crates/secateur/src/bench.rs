//! Latency in another engine, several files in turn.

use std::path::Path;
use std::time::Instant;

use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde::{Deserialize, Serialize};

use crate::runtime::{
    Engines, Inference, Runtime, RuntimeError, feeds, first_that_runs, fixed_batch, shapes_text,
};

/// Milliseconds.
pub type Millis = f64;

/// Latency of one file at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Images at once.
    pub batch: usize,
    /// Fastest run.
    pub min_ms: Millis,
    /// Middle run.
    pub median_ms: Millis,
    /// Engine, with its version and threads.
    #[serde(default)]
    pub engine: String,
    /// Inputs with their extents.
    #[serde(default)]
    pub inputs: String,
}

/// What was timed.
#[derive(Debug, Clone, PartialEq)]
pub struct Bench {
    /// A row a file, of a figure for each batch size.
    pub rows: Vec<Vec<Latency>>,
    /// Batch sizes that were left out, and why.
    pub notes: Vec<String>,
}

/// Rounds that are timed at least, however long they take.
const LEAST_ROUNDS: usize = 3;

/// How many rounds are timed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rounds {
    /// At most.
    pub most: usize,
    /// After so many seconds no more begins, once there are [`LEAST_ROUNDS`].
    pub seconds: f64,
}

impl From<usize> for Rounds {
    fn from(most: usize) -> Self {
        let seconds = f64::INFINITY;
        Self { most, seconds }
    }
}

/// Times all files at each batch size that they take, in turn, so that a busy machine hits all alike;
/// all in the first engine that runs them. A file whose batch is fixed
/// is timed at that.
///
/// # Errors
/// [`RuntimeError`] for the first file that no engine can run, without an engine, or without the one
/// that is asked for.
pub fn bench(
    files: &[(&Path, &Model)],
    batches: &[usize],
    rounds: usize,
    engines: &Engines,
) -> Result<Bench, RuntimeError> {
    bench_rounds(files, batches, rounds.into(), engines)
}

/// The same, for so many rounds.
pub(crate) fn bench_rounds(
    files: &[(&Path, &Model)],
    batches: &[usize],
    rounds: Rounds,
    engines: &Engines,
) -> Result<Bench, RuntimeError> {
    // What is compared takes inputs of one size.
    let sized = files.iter().find(|(_, m)| !m.input_shapes().is_empty());
    let files = files
        .iter()
        .map(|&(path, model)| {
            let model = match sized {
                Some((_, other)) => model.clone().with_input_shapes_of(other),
                None => model.clone(),
            };
            let graph = Graph::outline(&model)?;
            Ok(File { path, model, graph })
        })
        .collect::<Result<Vec<_>, RuntimeError>>()?;
    let Some(first) = files.first() else {
        let (rows, notes) = (Vec::new(), Vec::new());
        return Ok(Bench { rows, notes });
    };
    let (batches, mut notes) = possible(&files, batches);
    for file in &files {
        feeds(&file.graph, 1).map_err(|reason| RuntimeError::Unfit {
            model: file.path.display().to_string(),
            reason,
        })?;
    }
    let (rows, refused) = first_that_runs(&engines.for_timing()?, first.path, |engine| {
        in_engine(engine, &files, &batches, rounds)
    })?;
    notes.extend(refused);
    Ok(Bench { rows, notes })
}

/// What is timed.
struct File<'a> {
    path: &'a Path,
    model: Model,
    graph: Graph,
}

/// Batch sizes that the files leave possible, and what is left out.
fn possible(files: &[File<'_>], batches: &[usize]) -> (Vec<usize>, Vec<String>) {
    let fixed = files
        .iter()
        .find_map(|file| Some((file, fixed_batch(&file.graph)?)));
    let Some((file, fixed)) = fixed else {
        return (batches.to_vec(), Vec::new());
    };
    let others: Vec<String> = batches
        .iter()
        .filter(|&&batch| batch != fixed)
        .map(ToString::to_string)
        .collect();
    let note = (!others.is_empty()).then(|| {
        let file = file.path.display();
        format!(
            "`{file}` takes batches of {fixed} alone: not timed at {}",
            others.join(", ")
        )
    });
    (vec![fixed], note.into_iter().collect())
}

/// Rows of all files at the batch sizes that run, and notes on the others.
///
/// # Errors
/// The engine's reason, if no batch size runs.
fn in_engine(
    engine: &dyn Runtime,
    files: &[File<'_>],
    batches: &[usize],
    rounds: Rounds,
) -> Result<(Vec<Vec<Latency>>, Vec<String>), String> {
    let mut rows = vec![Vec::new(); files.len()];
    let (mut notes, mut first_reason) = (Vec::new(), None);
    for &batch in batches {
        match at_batch(engine, files, batch, rounds) {
            Ok(latencies) => {
                for (row, latency) in rows.iter_mut().zip(latencies) {
                    row.push(latency);
                }
            }
            Err(reason) => {
                notes.push(format!(
                    "batches of {batch} were not timed: {} said: {reason}",
                    engine.describe()
                ));
                first_reason.get_or_insert(reason);
            }
        }
    }
    match first_reason {
        Some(reason) if rows.iter().all(Vec::is_empty) => Err(reason),
        _ => Ok((rows, notes)),
    }
}

/// Latency of every file at one batch size.
fn at_batch(
    engine: &dyn Runtime,
    files: &[File<'_>],
    batch: usize,
    rounds: Rounds,
) -> Result<Vec<Latency>, String> {
    let (mut models, mut inputs) = (Vec::new(), Vec::new());
    for file in files {
        let feeds = feeds(&file.graph, batch)?;
        let loaded = engine.load(&file.model, file.graph.nodes.len(), &feeds);
        let of_file = |reason| format!("`{}`: {reason}", file.path.display());
        models.push(loaded.map_err(of_file)?);
        inputs.push(shapes_text(&feeds));
    }
    let times = in_turn(&mut models, rounds)?;
    let latency = |(mut times, inputs): (Vec<Millis>, String)| {
        times.sort_by(f64::total_cmp);
        Latency {
            batch,
            min_ms: times.first().copied().unwrap_or(0.0),
            median_ms: times.get(times.len() / 2).copied().unwrap_or(0.0),
            engine: engine.describe(),
            inputs,
        }
    };
    Ok(times.into_iter().zip(inputs).map(latency).collect())
}

/// Milliseconds of every run, by model: one of each in turn, so that a busy machine hits all alike.
/// A run in front of each that does not count brings the model's weights back into the processor's
/// caches, where those of the others took their place.
///
/// # Errors
/// The engine's reason.
pub(crate) fn in_turn(
    models: &mut [Box<dyn Inference>],
    rounds: Rounds,
) -> Result<Vec<Vec<Millis>>, String> {
    let started = Instant::now();
    let mut times = vec![Vec::new(); models.len()];
    // The first round warms caches and allocators and does not count.
    for round in 0..=rounds.most {
        if round > LEAST_ROUNDS && started.elapsed().as_secs_f64() > rounds.seconds {
            break;
        }
        for (model, times) in models.iter_mut().zip(&mut times) {
            model.time()?;
            let time = model.time()?;
            if round > 0 {
                times.push(time.as_secs_f64() * 1e3);
            }
        }
    }
    Ok(times)
}
