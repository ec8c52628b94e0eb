//! What a run tells while it goes on, to an object of Python's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use secateur::meter::Meter;
use secateur::verify::CheckObserver;
use secateur_net::train::StepObserver;
use secateur_search::measure::Reading;
use secateur_search::record::{EpochRecord, Stage};
use secateur_search::search::{Observer, Progress};

use crate::job::Stop;

/// Steps are told this often at most: each takes the interpreter for a moment.
const BETWEEN: Duration = Duration::from_millis(100);

/// Passes on what happens to an object with the methods `step`, `epoch`, `measuring` and
/// `measured`, if there is one.
pub struct Told<'a> {
    to: Option<&'a Py<PyAny>>,
    stop: &'a Stop,
    meter: Meter,
    began: Instant,
    last: Option<Instant>,
    /// A callback has failed: nothing more is told.
    is_silent: AtomicBool,
}

impl<'a> Told<'a> {
    pub fn new(to: Option<&'a Py<PyAny>>, stop: &'a Stop) -> Self {
        Self {
            to,
            stop,
            meter: Meter::default(),
            began: Instant::now(),
            last: None,
            is_silent: AtomicBool::new(false),
        }
    }

    fn call(
        &self,
        method: &str,
        arguments: impl for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>>,
    ) {
        let Some(to) = self.to else { return };
        if self.is_silent.load(Ordering::SeqCst) {
            return;
        }
        let called = Python::attach(|py| {
            let arguments = arguments(py)?;
            to.bind(py).call_method1(method, arguments).map(|_| ())
        });
        if let Err(error) = called {
            self.is_silent.store(true, Ordering::SeqCst);
            self.stop.fail(error);
        }
    }

    /// Is it time to tell of a step again?
    fn is_due(&mut self) -> bool {
        let is_due = self.last.is_none_or(|last| last.elapsed() >= BETWEEN);
        if is_due {
            self.last = Some(Instant::now());
        }
        is_due
    }
}

impl Observer for Told<'_> {
    fn step(&mut self, progress: &Progress) {
        self.stop.here_if_asked();
        self.meter
            .step(progress, self.began.elapsed().as_secs_f64());
        if !self.is_due() {
            return;
        }
        let stage = match progress.stage {
            Stage::Explore => "exploring",
            Stage::Exploit => "exploiting",
            Stage::Recover => "recovering",
            Stage::Solve => "solving",
        };
        let fraction = self.meter.fraction;
        let rate = self.meter.images_per_second;
        let left = self.meter.left(progress).map(|left| left.as_secs_f64());
        self.call("step", |py| (stage, fraction, rate, left).into_pyobject(py));
    }

    fn epoch(&mut self, record: &EpochRecord) {
        // What can be written to the history can be written here.
        let text = serde_json::to_string(record).unwrap_or_default();
        self.call("epoch", |py| (text,).into_pyobject(py));
    }

    fn preparing(&mut self, what: &str) {
        self.call("preparing", |py| (what,).into_pyobject(py));
    }

    fn measuring(&mut self, network: &str) {
        self.call("measuring", |py| (network,).into_pyobject(py));
    }

    fn measured(&mut self, network: &str, reading: &Reading) {
        let (number, seconds) = (reading.number, reading.seconds);
        self.call("measured", |py| {
            (network, number, seconds).into_pyobject(py)
        });
    }

    fn stop_requested(&self) -> bool {
        self.stop.is_requested()
    }
}

/// A training's steps: `step` gets the number, how many there are, and the loss.
impl StepObserver for Told<'_> {
    fn step(&mut self, step: usize, steps: usize, loss: f32) -> bool {
        self.stop.here_if_asked();
        if self.is_due() || step + 1 == steps {
            self.call("step", |py| (step + 1, steps, loss).into_pyobject(py));
        }
        !self.stop.is_requested()
    }
}

/// Comparing outputs is told as a measurement is.
impl CheckObserver for Told<'_> {
    fn comparing(&mut self, engine: &str, inputs: &str) {
        let text = format!("outputs in {engine}: {inputs}");
        self.call("measuring", |py| (text,).into_pyobject(py));
    }
}
