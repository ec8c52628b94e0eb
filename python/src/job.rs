//! Work outside the interpreter, in a thread of its own, while the calling thread looks for signals.
//!
//! The user's own functions are called in the calling thread: there their device is the current one, and
//! Ctrl-C reaches them as they know it.

use std::any::Any;
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};
use std::time::Duration;

use anyhow::{Result, anyhow};
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError};
use pyo3::prelude::*;

use crate::error::raise;

/// Between two looks for signals: as quick as a person expects an answer to Ctrl-C.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at how far a function of the user's own is.
const BETWEEN: Duration = Duration::from_millis(200);
/// Of the working threads: as much as the first thread of a program has.
const STACK: usize = 8 << 20;

/// What the calling thread is asked for.
enum Asked {
    /// To do something.
    Call(Box<dyn FnOnce(Python<'_>) + Send>),
    /// To go on: the job has ended.
    Ended,
}

/// Tells a job that it is to stop, and calls functions of the user's own for it.
pub struct Stop {
    requested: AtomicBool,
    at_once: AtomicBool,
    /// The signal's exception, or that of a callback.
    raised: Mutex<Option<PyErr>>,
    asks: Sender<Asked>,
}

/// What a job unwinds with that was asked twice to stop.
struct AtOnce;

impl Stop {
    fn new(asks: Sender<Asked>) -> Self {
        Self {
            requested: AtomicBool::new(false),
            at_once: AtomicBool::new(false),
            raised: Mutex::new(None),
            asks,
        }
    }

    /// Calls a function of the user's own in the calling thread; `meanwhile` is called now and then until
    /// it returns. Ctrl-C in it ends the job.
    ///
    /// # Errors
    /// Its exception.
    pub fn call<T: Send + 'static>(
        &self,
        function: impl FnOnce(Python<'_>) -> PyResult<T> + Send + 'static,
        mut meanwhile: impl FnMut(),
    ) -> PyResult<T> {
        let (gives, given) = channel();
        let call = move |py: Python<'_>| {
            // The job waits for it.
            let _ = gives.send(function(py));
        };
        let gone = || PyRuntimeError::new_err("the calling thread has ended");
        self.asks
            .send(Asked::Call(Box::new(call)))
            .map_err(|_| gone())?;
        let result = loop {
            match given.recv_timeout(BETWEEN) {
                Ok(result) => break result,
                Err(RecvTimeoutError::Timeout) => meanwhile(),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            }
        };
        if let Err(error) = &result {
            Python::attach(|py| {
                if error.is_instance_of::<PyKeyboardInterrupt>(py) {
                    self.fail(error.clone_ref(py));
                }
            });
        }
        result
    }

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

    /// Takes a signal that has come; `when` says what is done first.
    fn look(&self, when: Option<&str>) {
        Python::attach(|py| {
            let Err(signal) = py.check_signals() else {
                return;
            };
            if self.is_requested() {
                self.at_once.store(true, Ordering::SeqCst);
            } else if let Some(when) = when {
                let text = format!("stopping {when}; interrupt once more to stop at once\n");
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
/// `when` says what is done first when it is to stop; `None` for one that is only finished.
///
/// # Errors
/// The job's error as an exception; that of a callback or a signal comes before it.
pub fn run<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    when: Option<&str>,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> PyResult<T> {
    match outcome(py, threads, when, job) {
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
    when: &str,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> PyResult<T> {
    match outcome(py, threads, Some(when), job) {
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
    when: Option<&str>,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> (Result<T>, Option<PyErr>) {
    let (asks, asked) = channel();
    let stop = Stop::new(asks);
    let result = match py.detach(|| beside((&stop, asked), when, threads, job)) {
        Ok(result) => result,
        Err(panic) if panic.is::<AtOnce>() => Err(anyhow!("stopped at once")),
        Err(panic) => resume_unwind(panic),
    };
    let raised = stop.raised.into_inner();
    (result, raised.unwrap_or_else(PoisonError::into_inner))
}

/// Tells the calling thread that the job has ended, however it did.
struct Ends<'a>(&'a Stop);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        // The calling thread waits for nothing else.
        let _ = self.0.asks.send(Asked::Ended);
    }
}

/// The job in a thread of its own, until it ends.
fn beside<T: Send>(
    (stop, asked): (&Stop, Receiver<Asked>),
    when: Option<&str>,
    threads: Option<usize>,
    job: impl FnOnce(&Stop) -> Result<T> + Send,
) -> Result<Result<T>, Box<dyn Any + Send>> {
    scope(|scope| {
        let work = move || {
            let _ends = Ends(stop);
            on_threads(threads, || job(stop))
        };
        let worker = match Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
            Ok(worker) => worker,
            Err(error) => return Ok(Err(no_thread(&error))),
        };
        loop {
            match asked.recv_timeout(LOOK) {
                Ok(Asked::Call(call)) => Python::attach(call),
                Err(RecvTimeoutError::Timeout) => stop.look(when),
                Ok(Asked::Ended) | Err(RecvTimeoutError::Disconnected) => break,
            }
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
