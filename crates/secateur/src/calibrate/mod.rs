//! Weights of a pruned file solved on inputs, without gradients, and what that changed of its
//! outputs.

mod judge;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use secateur_net::data::{DataConfig, ModelData, Part, Source, settle_image_size};
use secateur_net::heal::{SolveOptions, SolvedLayer, Solver, Unsolved, WidthErrors};
use secateur_net::interpreter::Frontier;
use secateur_net::task::Against;
use secateur_net::train::predict;
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter, Output, task};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use secateur_search::rank::Ranking;
use secateur_search::scores::Needs;
use serde::Serialize;

use self::judge::Judge;
pub use self::judge::Kept;
use crate::prune::{PruneError, check_outputs, sameness_note};
use crate::table::{Align, table};

/// Held-out inputs that outputs are compared on: as many as weights are solved on, within these
/// bounds. Fewer tell little, and more take longer than they are worth.
const LEAST_HELD_OUT: usize = 64;
const MOST_HELD_OUT: usize = 256;

/// Inputs to solve weights on.
#[derive(Debug, Clone, Copy)]
pub struct Calibration<'a> {
    /// Where they come from; labels are not looked at.
    pub source: &'a Source,
    /// How they are read and split.
    pub data: &'a DataConfig,
    /// Inputs at most.
    pub inputs: usize,
}

/// How far an output of the pruned network is from the original's, on inputs that no weight was
/// solved on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputError {
    /// Its name.
    pub output: String,
    /// Root of the mean squared error, as share of the output's deviation, right after the cut.
    pub cut: f64,
    /// The same with solved weights.
    pub solved: f64,
}

/// What solving the weights of a file did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibrated {
    /// Inputs that weights were solved on.
    pub inputs: usize,
    /// Other inputs, on which outputs are compared.
    pub held_out: usize,
    /// Every output.
    pub outputs: Vec<OutputError>,
    /// The task's quality, and what else it tells.
    pub kept: Vec<Kept>,
    /// Layers whose weights were looked at, in order.
    pub layers: Vec<SolvedLayer>,
    /// Layers that were left as they are.
    pub unsolved: Vec<Unsolved>,
    /// Time of solving, without reading inputs and running the original.
    pub seconds: f64,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// The original with its inputs, ready to solve what is cut of it.
pub(crate) struct Calibrator<'a> {
    solver: Solver<'a>,
    outputs: Vec<String>,
    held_out: Part,
    expected: Vec<Output>,
    judge: Judge,
    /// Errors by width, by group; empty where the ranking does not need them.
    pub errors: Vec<WidthErrors>,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl<'a> Calibrator<'a> {
    /// Gives the model the size of the images, where it has none of its own.
    pub fn settle(model: &mut Model, calibration: &Calibration<'_>) -> Result<(), PruneError> {
        Ok(settle_image_size(model, calibration.source)?)
    }

    /// Reads the inputs and runs the original on them, as far as `graph` can be run: up to its
    /// frontier.
    pub fn new(
        model: &Model,
        (graph, frontier): (&Graph, &Frontier),
        groups: &'a ChannelGroups,
        calibration: &Calibration<'_>,
        ranking: &Ranking,
        seed: u64,
    ) -> Result<Self, PruneError> {
        let (source, wish) = (calibration.source, calibration.data.task);
        let task = task::up_to(graph, frontier, Against::Original, wish)?;
        let outputs: Vec<String> = match frontier.is_whole() {
            true => graph.outputs.iter().map(|o| o.name.clone()).collect(),
            false => frontier.values().into_iter().map(str::to_string).collect(),
        };
        let network = plan(graph, &names(&outputs))?;
        let weights = Weights::from_graph(graph)?;
        let classes = task::up_to(graph, frontier, source.against(), wish)
            .ok()
            .and_then(|task| task.n_classes());
        let inputs = network.inputs();
        let data = ModelData::new(model, source, calibration.data, inputs, classes)?;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut some = |mut indices: Vec<usize>, most: usize| {
            indices.shuffle(&mut rng);
            indices.truncate(most);
            data.load(&indices)
        };
        let part = some(data.splits.train.clone(), calibration.inputs)?;
        let apart = [&data.splits.search[..], &data.splits.confirm[..]].concat();
        let compared = calibration.inputs.clamp(LEAST_HELD_OUT, MOST_HELD_OUT);
        let held_out = some(apart, compared)?;
        let options = SolveOptions {
            inputs: calibration.inputs,
            seed,
            ..SolveOptions::default()
        };
        let solver = Solver::new(&network, graph, groups, &weights, &part, &options)?;
        let errors = match ranking.needs()? {
            Needs::Weights => Vec::new(),
            _ => {
                solver
                    .errors_by_width(&network, graph, &weights, &options)?
                    .0
            }
        };
        let expected = predict(&network, &weights, &held_out)?;
        check_outputs(&names(&outputs), &expected)?;
        let judge = Judge::new(graph, &weights, task, &part, &held_out)?;
        let mut notes = data.notes.clone();
        if !frontier.is_whole() {
            notes.push(format!(
                "weights are solved up to where training ends, and kernels behind it stay: {}",
                frontier.stops_text()
            ));
        }
        if solver.inputs() < part.len() {
            notes.push(format!(
                "weights are solved on {} of {}: the values of more would take too much memory",
                solver.inputs(),
                counted(part.len(), "input")
            ));
        }
        Ok(Self {
            solver,
            outputs,
            held_out,
            expected,
            judge,
            errors,
            notes,
        })
    }

    /// Solves the weights of a cut model.
    pub fn heal(&self, small: &Model, masks: &Masks) -> Result<(Model, Calibrated), PruneError> {
        let graph = Graph::from_model(small)?;
        let network = plan(&graph, &names(&self.outputs))?;
        let mut weights = Weights::from_graph(&graph)?;
        let look = |weights: &Weights| self.judge.look(&graph, weights, &self.held_out);
        let (cut, cut_look) = (self.errors(&network, &weights)?, look(&weights)?);
        let start = std::time::Instant::now();
        let layers = self.solver.solve(&network, masks, &mut weights)?.layers;
        let seconds = start.elapsed().as_secs_f64();
        let (solved, solved_look) = (self.errors(&network, &weights)?, look(&weights)?);
        let outputs = self.outputs.iter().zip(cut.into_iter().zip(solved));
        let calibrated = Calibrated {
            inputs: self.solver.inputs(),
            held_out: self.held_out.len(),
            outputs: outputs
                .map(|(output, (cut, solved))| OutputError {
                    output: output.clone(),
                    cut,
                    solved,
                })
                .collect(),
            kept: self.judge.kept(&cut_look, &solved_look),
            layers,
            unsolved: self.solver.unsolved().to_vec(),
            seconds,
            notes: sameness_note(
                &[&cut_look],
                &counted(self.held_out.len(), "held-out input"),
            )
            .into_iter()
            .collect(),
        };
        Ok((small.with_weights(&weights.values())?, calibrated))
    }

    /// Relative error of every output on the held-out inputs.
    fn errors(&self, network: &Interpreter, weights: &Weights) -> Result<Vec<f64>, PruneError> {
        let found = predict(network, weights, &self.held_out)?;
        let pairs = self.expected.iter().zip(&found);
        Ok(pairs
            .map(|(expected, found)| relative_error(expected, found))
            .collect())
    }
}

fn names(outputs: &[String]) -> Vec<&str> {
    outputs.iter().map(String::as_str).collect()
}

fn plan(graph: &Graph, outputs: &[&str]) -> Result<Interpreter, PruneError> {
    Ok(Interpreter::new(graph, outputs, &Engine::fused())?)
}

/// Root of the mean squared error over the deviation of what was expected.
fn relative_error(expected: &Output, found: &Output) -> f64 {
    let n = expected.values.len().max(1) as f64;
    let mean = expected.values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let (mut error, mut deviation) = (0.0, 0.0);
    for (&a, &b) in expected.values.iter().zip(&found.values) {
        let (a, b) = (f64::from(a), f64::from(b));
        error += (a - b).powi(2);
        deviation += (a - mean).powi(2);
    }
    (error / f64::max(deviation, f64::MIN_POSITIVE)).sqrt()
}

impl Calibrated {
    /// A line for each output, and one for each figure of the task.
    pub fn lines(&self) -> Vec<String> {
        let outputs = self.outputs.iter().map(|error| {
            format!(
                "`{}`: error {:.3} of its deviation right after the cut, {:.3} with solved \
                 weights, on {} held-out inputs",
                error.output, error.cut, error.solved, self.held_out
            )
        });
        let kept = self.kept.iter().map(|kept| kept.line(self.held_out));
        outputs.chain(kept).collect()
    }

    /// A row for each layer.
    pub fn table(&self) -> String {
        let header = [
            "layer",
            "solved for",
            "rows",
            "columns",
            "λ",
            "before",
            "after",
            "s",
        ];
        let rows = self.layers.iter().map(|layer| {
            [
                layer.node.clone(),
                format!("{:?}", layer.target).to_lowercase(),
                layer.rows.to_string(),
                layer.columns.to_string(),
                layer
                    .strength
                    .map_or("-".to_string(), |s| format!("{s:.0e}")),
                format!("{:.3}", layer.before),
                format!("{:.3}", layer.after),
                format!("{:.2}", layer.seconds),
            ]
        });
        let align = [Align::Left, Align::Left]
            .into_iter()
            .chain([Align::Right; 6])
            .collect::<Vec<_>>();
        table(&align, [header.map(str::to_string)].into_iter().chain(rows))
    }
}
