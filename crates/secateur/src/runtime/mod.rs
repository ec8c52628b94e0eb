//! Engines that written files are checked and timed in.
//!
//! In this order, unless one is named: ONNX Runtime where it is found (a library that is named,
//! `ORT_DYLIB_PATH`, or the package of the Python at hand), tract, and for comparing our own
//! interpreter. The Cargo feature `verify` builds the first two.

mod engines;
mod feed;
#[cfg(feature = "verify")]
mod onnxruntime;
mod own;
pub(crate) mod panics;
#[cfg(feature = "verify")]
mod profile;
#[cfg(feature = "verify")]
mod tract;

use std::path::Path;
use std::time::{Duration, Instant};

use secateur_onnx::OnnxError;
use secateur_onnx::model::Model;
use thiserror::Error;

pub use engines::Engines;
pub(crate) use feed::{Element, Feed, feeds, fixed_batch, given_batch, made_up, shapes_text};
pub use panics::panic_is_expected;

/// Why a model was not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// The model is not of a kind that can be run on made-up inputs.
    #[error("cannot try `{model}`: {reason}")]
    Unfit {
        /// The file.
        model: String,
        /// What is in the way.
        reason: String,
    },
    /// No engine at hand runs it.
    #[error("no engine at hand runs `{model}`: {}", listed(.refusals))]
    Refused {
        /// The file.
        model: String,
        /// Each engine with what it said.
        refusals: Vec<(String, String)>,
    },
    /// The engine that was asked for is not there.
    #[error("cannot use the engine `{engine}`: {reason}")]
    NotFound {
        /// Its name.
        engine: &'static str,
        /// What is missing.
        reason: String,
    },
    /// A run that counts by times of another engine.
    #[error(
        "cannot go on with this run: its layers were timed in {begun}, and now there is {at_hand}"
    )]
    OtherEngine {
        /// With version and threads.
        begun: String,
        /// The same of those that may be used now.
        at_hand: String,
    },
    /// There is no engine.
    #[error(
        "cannot run `{model}` in another engine: this build of secateur has none (Cargo feature \
         `verify`)"
    )]
    NotBuilt {
        /// The file.
        model: String,
    },
    /// The file itself.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
}

fn listed(refusals: &[(String, String)]) -> String {
    let each = refusals
        .iter()
        .map(|(engine, reason)| format!("{engine} said: {reason}"));
    each.collect::<Vec<_>>().join("; ")
}

/// Numbers of one output, widened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    /// Extents in the file's order.
    pub shape: Vec<usize>,
    /// False for whole numbers and truth values.
    pub is_float: bool,
    /// Flat.
    pub values: Vec<f64>,
}

/// An engine.
pub(crate) trait Runtime {
    /// Its name, version and threads.
    fn describe(&self) -> String;

    /// Loads a model of `n_nodes` nodes for these inputs, and optimises it.
    ///
    /// # Errors
    /// The engine's reason.
    fn load(
        &self,
        model: &Model,
        n_nodes: usize,
        feeds: &[Feed],
    ) -> Result<Box<dyn Inference>, String>;

    /// Nanoseconds of a piece of a network that holds `around` bytes, without what the engine does
    /// at the ends of a file alone, where it can tell that.
    ///
    /// # Errors
    /// The engine's reason.
    fn piece_time(
        &self,
        piece: &Model,
        n_nodes: usize,
        feeds: &[Feed],
        around: usize,
    ) -> Result<f64, String> {
        let mut loaded = self.load(piece, n_nodes, feeds)?;
        let times = repeated(around, || Ok(loaded.time()?.as_secs_f64() * 1e9))?;
        Ok(undisturbed(times))
    }
}

/// Runs of a piece, at least and at most, and seconds after which no more are begun.
const PIECE_RUNS: (usize, usize) = (8, 60);
const PIECE_SECONDS: f64 = 0.03;
/// Bytes that caches hold together.
const CACHE_LINE: usize = 64;

/// What `run` gives, run by run, behind one that warms allocators. In between, as many bytes are
/// passed over as a whole network reads between two runs of one of its pieces: the weights of a
/// network that does not fit into the processor's caches are not found there.
fn repeated<T>(
    around: usize,
    mut run: impl FnMut() -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let mut passed = vec![0u8; around];
    let mut run = || {
        passed
            .iter_mut()
            .step_by(CACHE_LINE)
            .for_each(|byte| *byte = byte.wrapping_add(1));
        std::hint::black_box(&mut passed);
        run()
    };
    run()?;
    let started = Instant::now();
    let mut all = Vec::new();
    while all.len() < PIECE_RUNS.0
        || (all.len() < PIECE_RUNS.1 && started.elapsed().as_secs_f64() < PIECE_SECONDS)
    {
        all.push(run()?);
    }
    Ok(all)
}

/// The mean of the fastest eighth: other programs only ever hold up a run, and clocks that count
/// whole microseconds need a mean.
pub(crate) fn undisturbed(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.truncate(times.len().div_ceil(8));
    times.iter().sum::<f64>() / times.len().max(1) as f64
}

/// A model that an engine has loaded, with its inputs.
pub(crate) trait Inference {
    /// Runs it once; returns every output.
    ///
    /// # Errors
    /// The engine's reason.
    fn run(&mut self) -> Result<Vec<Output>, String>;

    /// Takes other inputs for the runs to come.
    ///
    /// # Errors
    /// The engine's reason; some are loaded for the inputs that they have.
    fn feed(&mut self, _feeds: &[Feed]) -> Result<(), String> {
        Err("it keeps the inputs that it was loaded with".to_string())
    }

    /// Time of one run.
    ///
    /// # Errors
    /// The engine's reason.
    fn time(&mut self) -> Result<Duration, String>;
}

/// Calls `each` with one engine after the other until one succeeds.
///
/// # Errors
/// [`RuntimeError::Refused`] with what every engine said, [`RuntimeError::NotBuilt`] without one.
pub(crate) fn first_that_runs<T>(
    engines: &[Box<dyn Runtime>],
    model: &Path,
    mut each: impl FnMut(&dyn Runtime) -> Result<T, String>,
) -> Result<T, RuntimeError> {
    let mut refusals = Vec::new();
    for engine in engines {
        match each(engine.as_ref()) {
            Ok(result) => return Ok(result),
            Err(reason) => {
                tracing::info!("{}: {reason}", engine.describe());
                refusals.push((engine.describe(), reason));
            }
        }
    }
    let model = model.display().to_string();
    Err(match refusals.is_empty() {
        true => RuntimeError::NotBuilt { model },
        false => RuntimeError::Refused { model, refusals },
    })
}

/// `2 threads`.
#[cfg_attr(not(feature = "verify"), allow(dead_code))]
fn threads_text(threads: usize) -> String {
    match threads {
        1 => "1 thread".to_string(),
        n => format!("{n} threads"),
    }
}
