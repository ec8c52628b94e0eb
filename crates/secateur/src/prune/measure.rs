//! What the networks of a finished run are measured by: test data, latency, kernels taken out.

use std::path::Path;

use secateur_net::Interpreter;
use secateur_net::data::Part;
use secateur_net::task::Judged;
use secateur_net::train::{Evaluation, Judgement};
use secateur_net::weights::Weights;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::config::Target;
use secateur_search::environment::training::{Held, Problem};

use super::{PruneError, PrunedNetwork};
use crate::bench::{Latency, Rounds, bench_rounds};
use crate::latency::{LatencyFigures, LatencyGauge};
use crate::runtime::Engines;

/// Batch sizes at which the report gives latencies.
const LATENCY_BATCHES: [usize; 3] = [1, 8, 64];
/// Timed runs of each file, fewer where they take long: people wait for the report.
const LATENCY_ROUNDS: Rounds = Rounds {
    most: 15,
    seconds: 2.0,
};

/// What was measured of one network.
pub(super) struct Measured {
    /// On the test data, read once; `None` without test data.
    pub test: Option<Evaluation>,
    /// The same sample by sample.
    pub samples: Vec<Judged>,
    /// In another engine; empty where none could run it.
    pub latency: Vec<Latency>,
    /// Beside the given network, where a budget is a latency.
    pub timed: Option<LatencyFigures>,
}

/// Measures of the given network, then of each result.
pub(super) struct Measures {
    pub given: Measured,
    pub results: Vec<Measured>,
    /// The test data, if there are some.
    pub test: Option<Part>,
    /// What was not measured, and why.
    pub notes: Vec<String>,
}

impl Measures {
    /// Measures the given network of a problem, which lies at `file`, and the results.
    pub(super) fn take(
        problem: &Problem,
        file: &Path,
        networks: &[PrunedNetwork],
        engines: &Engines,
        gauge: Option<&LatencyGauge<'_>>,
    ) -> Result<Self, PruneError> {
        let paths: Vec<_> = networks.iter().map(PrunedNetwork::file).collect();
        let mut files: Vec<(&Path, &Model)> = vec![(file, &problem.model)];
        let results = paths.iter().zip(networks);
        files.extend(results.map(|(path, network)| (path.as_path(), &network.model)));
        let mut notes = Vec::new();
        // A run is not lost for want of an engine that knows all operators.
        let latencies = match bench_rounds(&files, &LATENCY_BATCHES, LATENCY_ROUNDS, engines) {
            Ok(bench) => {
                notes.extend(bench.notes);
                bench.rows
            }
            Err(error) => {
                notes.push(format!("latencies were not measured: {error}"));
                vec![Vec::new(); files.len()]
            }
        };
        let test = problem.data.test()?;
        let held = |part| Held::new(part, problem.task.as_ref(), &problem.original);
        let test = test.map(held).transpose()?;
        let measured = files.iter().zip(latencies).map(|((_, model), latency)| {
            let tested = tested(problem, model, test.as_ref())?;
            let samples = tested.as_ref().map(|tested| tested.samples.clone());
            Ok(Measured {
                samples: samples.unwrap_or_default(),
                test: tested.map(Judgement::evaluation),
                latency,
                timed: None,
            })
        });
        let mut measured = measured.collect::<Result<Vec<_>, PruneError>>()?;
        for (network, measured) in networks.iter().zip(measured.iter_mut().skip(1)) {
            let timed = gauge.map(|gauge| {
                let allowed = network.target.as_ref().and_then(Target::latency);
                gauge.figures(&network.masks, allowed)
            });
            match timed.transpose() {
                Ok(timed) => measured.timed = timed,
                Err(reason) => notes.push(format!("{} was not timed: {reason}", network.label)),
            }
            let timed = measured.timed.as_ref();
            notes.extend(timed.map(|timed| format!("{} {}", network.label, timed.text())));
        }
        Ok(Self {
            results: measured.split_off(1),
            given: measured.remove(0),
            test: test.map(|test| test.part),
            notes,
        })
    }
}

/// Judges a model on the test data.
fn tested(
    problem: &Problem,
    model: &Model,
    test: Option<&Held>,
) -> Result<Option<Judgement>, PruneError> {
    let Some(test) = test else { return Ok(None) };
    let (network, weights) = ready(problem, model)?;
    let task = problem.task.as_ref();
    Ok(Some(test.judge(&network, task, &weights)?))
}

/// A model as a network that gives what the task reads, with its parameters.
pub(super) fn ready(
    problem: &Problem,
    model: &Model,
) -> Result<(Interpreter, Weights), PruneError> {
    let graph = Graph::from_model(model)?;
    let outputs = problem.task.outputs();
    let network = Interpreter::new(&graph, &outputs, &problem.engine)?;
    Ok((network, Weights::from_graph(&graph)?))
}
