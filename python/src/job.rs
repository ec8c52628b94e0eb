//! Work outside the interpreter, in a thread of its own, while the calling thread looks for signals.

use std::any::Any;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};
use std::time::Duration;

use anyhow::{Result, anyhow};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::error::raise;

/// Between two looks for signals: as quick as a person expects an answer to Ctrl-C.
const LOOK: Duration = Duration::from_millis(50);
/// Of the working threads: as much as the first thread of a program has.
const STACK: usize = 8 << 20;

/// Tells a job that it is to stop.
#[derive(Default)]
pub struct Stop {
    requested: AtomicBool,
    at_once: AtomicBool,
    /// The signal's exception, or that of a callback.
    raised: Mutex<Option<PyErr>>,
}

/// What a job unwinds with that was asked twice to stop.
struct AtOnce;

impl Stop {
    /// Is the job to end when it has something whole?
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Ends the job here if that was asked for. What it has written before is whole.
    pub fn here_if_asked(&self) {
        if self.at_once.load(Ordering::SeqCst) {
            resume_unwind(Box::new(AtOnce));
        }
    }

    /// A callback has failed: the job is to stop, and its caller told why.
    pub fn fail(&self, error: PyErr) {
        self.requested.store(true, Ordering::SeqCst);
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.get_or_insert(error);
    }

    /// Takes a signal that has come; `unit` is what the job finishes first.
    fn look(&self, unit: Option<&str>) {
        Python::attach(|py| {
            let Err(signal) = py.check_signals() else {
                return;
            };
            if self.is_requested() {
                self.at_once.store(true, Ordering::SeqCst);
            } else if let Some(unit) = unit {
                let text =
                    format!("stopping after this {unit}; interrupt once more to stop at once\n");
                // Nobody is told where there is no stderr.
                let _ = py
                    .import("sys")
                    .and_then(|sys| sys.getattr("stderr")?.call_method1("write", (text,)));
            }
            self.fail(signal);
        });
    }
}

/// Runs a job without the interpreter, on so many threads, or on those that all jobs share.
/// `unit` is what it finishes when it is to stop; `None` for one that is only finished.
///
/// # Errors
/// The job's error as an exception; that of a callback or a signal comes before it.
pub fn run<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    unit: Option<&str>,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> PyResult<T> {
    match outcome(py, threads, unit, job) {
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(raise(py, &error)),
        (_, Some(raised)) => Err(raised),
    }
}

/// As [`run`], for a job that gives what it has reached when it is to stop: a signal is no error.
///
/// # Errors
/// As [`run`].
pub fn run_as_far_as_asked<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    unit: &str,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> PyResult<T> {
    match outcome(py, threads, Some(unit), job) {
        (Ok(value), None) => Ok(value),
        (Ok(value), Some(raised)) if raised.is_instance_of::<PyKeyboardInterrupt>(py) => Ok(value),
        (Err(error), None) => Err(raise(py, &error)),
        (_, Some(raised)) => Err(raised),
    }
}

/// What came of a job, and what was raised meanwhile.
fn outcome<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    unit: Option<&str>,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> (Result<T>, Option<PyErr>) {
    let stop = Stop::default();
    let result = match py.detach(|| beside(&stop, unit, threads, job)) {
        Ok(result) => result,
        Err(panic) if panic.is::<AtOnce>() => Err(anyhow!("stopped at once")),
        Err(panic) => resume_unwind(panic),
    };
    let raised = stop.raised.into_inner();
    (result, raised.unwrap_or_else(PoisonError::into_inner))
}

/// The job in a thread of its own, until it ends.
fn beside<T: Send>(
    stop: &Stop,
    unit: Option<&str>,
    threads: Option<usize>,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> Result<Result<T>, Box<dyn Any + Send>> {
    scope(|scope| {
        let (ends, ended) = channel::<()>();
        let work = move || {
            // Dropped when the job ends, however it does.
            let _ends = ends;
            on_threads(threads, || job(stop))
        };
        let worker = match Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
            Ok(worker) => worker,
            Err(error) => return Ok(Err(no_thread(&error))),
        };
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            stop.look(unit);
        }
        worker.join()
    })
}

fn no_thread(error: &io::Error) -> anyhow::Error {
    anyhow!("cannot start a thread: {error}")
}

fn on_threads<T: Send>(
    threads: Option<usize>,
    job: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let Some(threads) = threads else { return job() };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK)
        .build()?;
    pool.install(job)
}
