//! What the networks of a finished run are measured by: test data, latency, kernels taken out.

use std::path::Path;

use secateur_net::Interpreter;
use secateur_net::train::Evaluation;
use secateur_net::weights::Weights;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::environment::training::{Held, Problem};

use super::{PruneError, PrunedNetwork};
use crate::bench::{Latency, bench};

/// Batch sizes at which the report gives latencies.
const LATENCY_BATCHES: [usize; 3] = [1, 8, 64];
/// Timed runs of each file.
const LATENCY_ROUNDS: usize = 15;

/// What was measured of one network.
pub(super) struct Measured {
    /// On the test data, read once; `None` without test data.
    pub test: Option<Evaluation>,
    /// In another engine; empty where none could run it.
    pub latency: Vec<Latency>,
}

/// Measures of the given network, then of each result.
pub(super) struct Measures {
    pub given: Measured,
    pub results: Vec<Measured>,
    /// Samples of the test data, if there are some.
    pub n_test: Option<usize>,
    /// What was not measured, and why.
    pub notes: Vec<String>,
}

impl Measures {
    /// Measures the given network of a problem, which lies at `file`, and the results.
    pub(super) fn take(
        problem: &Problem,
        file: &Path,
        networks: &[PrunedNetwork],
    ) -> Result<Self, PruneError> {
        let paths: Vec<_> = networks.iter().map(PrunedNetwork::file).collect();
        let mut files: Vec<(&Path, &Model)> = vec![(file, &problem.model)];
        let results = paths.iter().zip(networks);
        files.extend(results.map(|(path, network)| (path.as_path(), &network.model)));
        let mut notes = Vec::new();
        // A run is not lost for want of an engine that knows all operators.
        let latencies = match bench(&files, &LATENCY_BATCHES, LATENCY_ROUNDS) {
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
            Ok(Measured {
                test: tested(problem, model, test.as_ref())?,
                latency,
            })
        });
        let mut measured = measured.collect::<Result<Vec<_>, PruneError>>()?;
        Ok(Self {
            results: measured.split_off(1),
            given: measured.remove(0),
            n_test: test.as_ref().map(|test| test.part.len()),
            notes,
        })
    }
}

/// Evaluates a model on the test data.
fn tested(
    problem: &Problem,
    model: &Model,
    test: Option<&Held>,
) -> Result<Option<Evaluation>, PruneError> {
    let Some(test) = test else { return Ok(None) };
    let graph = Graph::from_model(model)?;
    let task = problem.task.as_ref();
    let network = Interpreter::new(&graph, &task.outputs(), &problem.engine)?;
    let weights = Weights::from_graph(&graph)?;
    Ok(Some(test.evaluate(&network, task, &weights)?))
}
