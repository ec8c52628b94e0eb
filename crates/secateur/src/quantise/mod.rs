//! A file with 8-bit integers, made by another program's quantiser: what it is calibrated on, whether it
//! holds, and what it costs.
//!
//! We write no quantiser: that of ONNX Runtime serves ([`Quantiser`] is what the Python package gives).
//! Samples come from the training data, prepared as for any run; the files are judged on data that
//! neither pruning nor calibration saw, in ONNX Runtime, which is also what runs them later.

mod arrays;
mod checks;
mod error;
mod judge;
mod record;
mod samples;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use secateur_net::data::{DataConfig, ModelData, Part, Source};
use secateur_net::task::{self, Against, Task};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::config::RuntimeConfig;

use crate::bench::{Latency, Rounds, bench_rounds};
use crate::eval::ready;
use crate::prune::{file_name, keep_input};
use crate::report::quantised::{Quantised, QuantisedFile};
use crate::report::stats::paired_difference;
use crate::runtime::{Engines, fixed_batch, given_batch};

pub use error::QuantiseError;
use judge::judge;
pub use samples::Samples;

/// Batch sizes at which files are timed, and for how long.
const BATCHES: [usize; 3] = [1, 8, 64];
const ROUNDS: Rounds = Rounds {
    most: 30,
    seconds: 3.0,
};

/// Another program's quantiser.
pub trait Quantiser {
    /// Its name and version.
    fn name(&self) -> String;

    /// Writes a model with 8-bit weights and activations, whose ranges are those that the samples bring.
    ///
    /// # Errors
    /// What it fails at.
    fn quantise(
        &self,
        model: &Path,
        output: &Path,
        samples: Samples,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// What to do.
#[derive(Debug, Clone)]
pub struct QuantiseJob<'a> {
    /// The model.
    pub model: &'a Path,
    /// Where the result goes.
    pub output: &'a Path,
    /// The data.
    pub source: &'a Source,
    /// How they are read.
    pub data: &'a DataConfig,
    /// ONNX Runtime.
    pub runtime: &'a RuntimeConfig,
    /// Training samples to calibrate on, at most.
    pub calibration_images: usize,
    /// Folder of the run that made the model; looked for if it is not named.
    pub run_dir: Option<&'a Path>,
    /// As typed.
    pub command: String,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The figures.
    pub quantised: Quantised,
    /// The page that shows them.
    pub page: PathBuf,
}

/// Hears how far the work is.
pub trait QuantiseObserver {
    /// What begins.
    fn begins(&mut self, _what: &str) {}
}

impl QuantiseObserver for () {}

/// The model with its data, as both files are judged.
struct Ready {
    model: Model,
    graph: Arc<Graph>,
    task: Arc<dyn Task>,
    data: ModelData,
}

impl QuantiseJob<'_> {
    /// Does it. The file is written beside and renamed once it holds.
    ///
    /// # Errors
    /// [`QuantiseError`]
    pub fn run(
        &self,
        quantiser: &dyn Quantiser,
        observer: &mut dyn QuantiseObserver,
    ) -> Result<Outcome, QuantiseError> {
        keep_input(self.model, &[self.output.to_path_buf()])?;
        let engines = Engines::of(self.runtime)?;
        let engine = engines.onnx_runtime()?;
        let model = Model::read(self.model)?;
        let run_dir = record::run_of(self.model, &model, self.run_dir)?;
        let ready = self.ready(&model)?;
        let samples = self.samples(&ready)?;
        let inputs = samples.len();

        observer.begins("calibrating");
        let folder = self.output.parent().filter(|p| !p.as_os_str().is_empty());
        let beside = tempfile::tempdir_in(folder.unwrap_or(Path::new(".")))?;
        let file = beside.path().join(file_name(self.output));
        let made = quantiser.quantise(self.model, &file, samples);
        made.map_err(|source| QuantiseError::Quantiser {
            name: quantiser.name(),
            source,
        })?;
        let made = Model::read(&file)?;
        let outline = Graph::outline(&made)?;
        checks::holds(&ready.graph, &outline)?;

        observer.begins("judging both files");
        let (part, samples) = held_out(&ready.data)?;
        let (before, after) = judge(&ready, (&made, &outline), &samples, engine.as_ref())?;
        let difference = paired_difference(&before.samples, &after.samples);

        observer.begins("timing both files");
        let files = [(self.model, &ready.model), (self.output, &made)];
        let timed = bench_rounds(&files, &BATCHES, ROUNDS, &engines.only_onnx_runtime())?;
        let mut latencies = timed.rows.into_iter();
        let mut figures =
            |path: &Path, model: &Model, bytes_at: &Path, quality: f64| QuantisedFile {
                file: file_name(path),
                bytes: model.stored_bytes(bytes_at),
                quality,
                latency: latencies.next().unwrap_or_default() as Vec<Latency>,
            };
        let quantised = Quantised {
            before: figures(self.model, &ready.model, self.model, before.quality),
            after: figures(self.output, &made, &file, after.quality),
            by: quantiser.name(),
            command: self.command.clone(),
            inputs,
            part: part.to_string(),
            samples: samples.len(),
            noun: ready.data.source.noun().to_string(),
            quality_name: ready.task.quality_name().to_string(),
            is_against_original: ready.task.against() == Against::Original,
            difference,
            notes: [ready.data.notes.clone(), timed.notes].concat(),
        };
        fs_err::rename(&file, self.output)?;
        let page = record::keep(&quantised, run_dir.as_deref(), self.output)?;
        Ok(Outcome { quantised, page })
    }

    fn ready(&self, model: &Model) -> Result<Ready, QuantiseError> {
        let (model, graph) = ready(model, self.source, self.data)?;
        let task = task::find(&graph, self.source.against(), self.data.task)?;
        let n_classes = task.n_classes();
        let data = ModelData::new(&model, self.source, self.data, &graph.inputs, n_classes)?;
        Ok(Ready {
            model,
            graph: Arc::new(graph),
            task,
            data,
        })
    }

    /// Training samples, in batches as the file takes them.
    fn samples(&self, ready: &Ready) -> Result<Samples, QuantiseError> {
        let mut indices = ready.data.splits.train.clone();
        indices.shuffle(&mut ChaCha8Rng::seed_from_u64(self.data.split_seed));
        indices.truncate(self.calibration_images);
        // A file may hold one sample somewhere although it leaves its batch open.
        let batch = batch_of(&ready.model, &ready.graph).unwrap_or(1);
        let part = ready.data.load(&indices)?;
        Ok(Samples::new(part, batch, ready.graph.clone()))
    }
}

/// The batch that a file takes, where it takes no other.
fn batch_of(model: &Model, graph: &Graph) -> Option<usize> {
    let fixed = given_batch(model, graph).or_else(|| fixed_batch(graph));
    fixed.filter(|&batch| batch > 0)
}

/// Test samples, or, where there are none, those that were set apart for validation.
fn held_out(data: &ModelData) -> Result<(&'static str, Part), QuantiseError> {
    if let Some(test) = data.test()? {
        return Ok(("test", test));
    }
    let apart = [&data.splits.search[..], &data.splits.confirm[..]].concat();
    if apart.is_empty() {
        return Err(QuantiseError::NothingHeldOut);
    }
    Ok(("validation", data.load(&apart)?))
}
