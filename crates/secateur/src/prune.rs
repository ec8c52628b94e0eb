//! The main job: from a trained file and data to smaller files and a report.

use std::path::{Path, PathBuf};
use std::time::Instant;

use secateur_net::data::{Part, Source};
use secateur_net::interpreter::{Engine, Network};
use secateur_net::train::{Evaluation, evaluate};
use secateur_net::weights::Weights;
use secateur_onnx::cost::Size;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_search::config::{Budget, Mode, PruneConfig};
use secateur_search::env::{Problem, ProblemError};
use secateur_search::pruner::{Output, PruneError, Pruner, RunObserver, RunOutcome};
use secateur_search::run_dir::{RunDirError, read_run};

use crate::bench::bench;
use crate::engine::EngineError;
use crate::report::data::DataFigures;
use crate::report::stats::paired_difference;
use crate::report::{LayerFigures, NetworkFigures, ReportError, RunReport, write_html, write_json};
use crate::train::training_mode_note;
use crate::verify::{Verdict, VerifyError, store_masks, verify_where_possible};

mod effectiveness;
mod machine;

pub use machine::machine_text;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// The search.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// A written file does not hold what it promises.
    #[error("`{}` was written but does not verify: {failed}", path.display())]
    NotVerified {
        /// The file.
        path: PathBuf,
        /// The check that failed, with its figures.
        failed: String,
    },
    /// The result would overwrite the given network.
    #[error("cannot write `{}`: it is the network to prune", path.display())]
    OverInput {
        /// Both.
        path: PathBuf,
    },
    /// Verification could not run.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Latency could not be measured.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The report.
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl JobError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Prune(error) => error.hint(),
            Self::Verify(error) => error.hint(),
            Self::OverInput { .. } => Some("give another file with `-o`".to_string()),
            _ => None,
        }
    }
}

impl From<ProblemError> for JobError {
    fn from(error: ProblemError) -> Self {
        Self::Prune(error.into())
    }
}

impl From<RunDirError> for JobError {
    fn from(error: RunDirError) -> Self {
        Self::Prune(error.into())
    }
}

impl From<secateur_onnx::OnnxError> for JobError {
    fn from(error: secateur_onnx::OnnxError) -> Self {
        Self::Prune(error.into())
    }
}

impl From<secateur_net::NetError> for JobError {
    fn from(error: secateur_net::NetError) -> Self {
        Self::Prune(error.into())
    }
}

impl From<secateur_net::data::DataError> for JobError {
    fn from(error: secateur_net::data::DataError) -> Self {
        Self::Prune(ProblemError::Data(error).into())
    }
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// The trained model.
    pub model: &'a Path,
    /// Where the result goes; several budgets add their names.
    pub output: &'a Path,
    /// Folder of the run.
    pub run_dir: &'a Path,
    /// Agent to start from.
    pub agent: Option<&'a Path>,
    /// Go on with the run in the folder.
    pub resume: bool,
    /// For the report: the command as typed.
    pub command: String,
}

/// Batch sizes at which the report gives latencies.
const LATENCY_BATCHES: [usize; 3] = [1, 8, 64];
/// Timed runs of each file.
const LATENCY_ROUNDS: usize = 15;

/// Runs a job to its end: searches, writes and verifies the files, reads the test data
/// once, writes the report.
///
/// # Errors
/// [`JobError`]; an interrupted run is [`PruneError::Interrupted`].
pub fn prune(
    job: &Job<'_>,
    source: &Source,
    config: &PruneConfig,
    observer: &mut dyn RunObserver,
) -> Result<RunReport, JobError> {
    config.check()?;
    let budgets: &[Budget] = match &config.mode {
        Mode::Ceca { budgets, .. } => budgets,
        Mode::Aec { .. } => &[],
    };
    for path in output_paths(job.output, budgets.iter().map(Budget::label)) {
        keep_input(job.model, &path)?;
    }
    // Vectors that the exporter stored once for several layers must not tie them together.
    let model = Model::read(job.model)?.unshared();
    let problem = Problem::new(model, source, &config.data, &config.search)?;
    let name = file_name(job.model);
    let pruner = Pruner::new(&problem, config, &name, job.run_dir, job.agent, job.resume)?;
    if job.resume {
        check_settings(job.run_dir, config)?;
    }
    let config_text = toml::to_string(config).unwrap_or_default();
    pruner.run_dir().write_text("config.toml", &config_text)?;
    let outcome = pruner.run(observer)?;

    let labels = outcome.outputs.iter().map(|output| output.label.clone());
    let outputs: Vec<(PathBuf, &Output, Model)> = output_paths(job.output, labels)
        .into_iter()
        .zip(&outcome.outputs)
        .map(|(path, output)| (path, output, stamped(output)))
        .collect();
    let mut front = Vec::new();
    for output in &outcome.front {
        let path = job
            .run_dir
            .join(format!("{}.onnx", output.label.replace('=', "-")));
        front.push((path, output, stamped(output)));
    }
    let mut not_compared = Vec::new();
    for (path, _, model) in outputs.iter().chain(&front) {
        model.write(path)?;
        let (verdict, not_run) = verify_where_possible((job.model, &problem.model), (path, model))?;
        check_verdict(path, &verdict)?;
        not_compared.extend(not_run.map(|reason| {
            format!(
                "the outputs of `{}` were not compared with those of the masked network in \
                 another engine: {reason}",
                file_name(path)
            )
        }));
    }
    let mut report = report(
        job,
        config,
        &problem,
        &outcome,
        &outputs,
        &front,
        config_text,
    )?;
    report.warnings.extend(not_compared);
    let (header, history) = read_run(job.run_dir)?;
    write_json(&report, &job.run_dir.join("report.json"))?;
    write_html(&report, &header, &history, &job.run_dir.join("report.html"))?;
    Ok(report)
}

/// Refuses to go on with other settings than a run was begun with, where that would mix
/// two runs.
fn check_settings(run_dir: &Path, config: &PruneConfig) -> Result<(), JobError> {
    let begun = fs_err::read_to_string(run_dir.join("config.toml"))
        .ok()
        .and_then(|text| toml::from_str::<PruneConfig>(&text).ok());
    match begun.and_then(|begun| config.conflict_with(&begun)) {
        None => Ok(()),
        Some(reason) => Err(JobError::Prune(PruneError::OtherRun {
            path: run_dir.to_path_buf(),
            reason,
        })),
    }
}

fn stamped(output: &Output) -> Model {
    let mut model = output.model.clone();
    store_masks(&mut model, &output.masks);
    model
}

pub(crate) fn check_verdict(path: &Path, verdict: &Verdict) -> Result<(), JobError> {
    match verdict.checks.iter().find(|check| !check.passed) {
        None => Ok(()),
        Some(check) => Err(JobError::NotVerified {
            path: path.to_path_buf(),
            failed: format!("{}: {}", check.name, check.detail),
        }),
    }
}

/// Refuses to write the result over the given network.
pub(crate) fn keep_input(model: &Path, output: &Path) -> Result<(), JobError> {
    match (model.canonicalize(), output.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => Err(JobError::OverInput {
            path: output.to_path_buf(),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Where results go: to `output`, or to a file each if there are several.
pub(crate) fn output_paths(
    output: &Path,
    labels: impl ExactSizeIterator<Item = String>,
) -> Vec<PathBuf> {
    if labels.len() < 2 {
        return vec![output.to_path_buf()];
    }
    labels.map(|label| labelled(output, &label)).collect()
}

/// `small.onnx` and `params=0.06` make `small.params-0.06.onnx`.
fn labelled(path: &Path, label: &str) -> PathBuf {
    let stem = path
        .file_stem()
        .map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    path.with_file_name(format!("{stem}.{}.onnx", label.replace('=', "-")))
}

/// Evaluates a model file on the test data.
fn test_evaluation(model: &Model, test: Option<&Part>) -> Result<Option<Evaluation>, JobError> {
    let Some(test) = test else { return Ok(None) };
    let graph = Graph::from_model(model)?;
    let network = Network::new(&graph, Engine::Fused)?;
    let weights = Weights::from_graph(&graph)?;
    Ok(Some(evaluate(&network, &weights, test)?))
}

#[allow(clippy::too_many_arguments)]
fn report(
    job: &Job<'_>,
    config: &PruneConfig,
    problem: &Problem,
    outcome: &RunOutcome,
    outputs: &[(PathBuf, &Output, Model)],
    front: &[(PathBuf, &Output, Model)],
    config_text: String,
) -> Result<RunReport, JobError> {
    let (header, history) = read_run(job.run_dir)?;
    let started = Instant::now();
    let mut files: Vec<(&Path, &Model)> = vec![(job.model, &problem.model)];
    files.extend(
        outputs
            .iter()
            .chain(front)
            .map(|(path, _, model)| (path.as_path(), model)),
    );
    let mut warnings = outcome.warnings.clone();
    // A run is not lost for want of an engine that knows all operators.
    let latencies = bench(&files, &LATENCY_BATCHES, LATENCY_ROUNDS).unwrap_or_else(|error| {
        warnings.push(format!("latencies were not measured: {error}"));
        vec![Vec::new(); files.len()]
    });
    let test = problem.data.test()?;
    let before_test = test_evaluation(&problem.model, test.as_ref())?;
    let before = NetworkFigures {
        label: "before".to_string(),
        file: file_name(job.model),
        size: problem.size,
        bytes: problem.model.stored_bytes(job.model),
        test_accuracy: before_test.as_ref().map(|e| e.accuracy),
        test_per_class: before_test
            .as_ref()
            .map(|e| e.per_class.clone())
            .unwrap_or_default(),
        search_accuracy: problem.baseline.search.accuracy,
        confirm_accuracy: problem.baseline.confirm.accuracy,
        latency: latencies[0].clone(),
        test_difference: None,
        confirm_difference: None,
        record: None,
    };
    let mut figures = Vec::new();
    for ((path, output, model), latency) in outputs.iter().chain(front).zip(&latencies[1..]) {
        let evaluation = test_evaluation(model, test.as_ref())?;
        let size: &Size = &output.size;
        // The given network does not differ from itself, not even within an interval.
        let changed = output.record.is_some();
        figures.push(NetworkFigures {
            label: output.label.clone(),
            file: file_name(path),
            size: *size,
            bytes: Model::read(path)?.stored_bytes(path),
            test_accuracy: evaluation.as_ref().map(|e| e.accuracy),
            test_per_class: evaluation
                .as_ref()
                .map(|e| e.per_class.clone())
                .unwrap_or_default(),
            search_accuracy: output.search_accuracy,
            confirm_accuracy: output.confirm.accuracy,
            latency: latency.clone(),
            test_difference: before_test
                .as_ref()
                .zip(evaluation.as_ref())
                .filter(|_| changed)
                .map(|(a, b)| paired_difference(&a.correct, &b.correct)),
            confirm_difference: changed.then(|| {
                paired_difference(&problem.baseline.confirm.correct, &output.confirm.correct)
            }),
            record: output.record,
        });
    }
    let front_figures = figures.split_off(outputs.len());
    let layers = problem
        .groups
        .groups
        .iter()
        .enumerate()
        .map(|(g, group)| LayerFigures {
            name: group.name.clone(),
            width: group.width,
            kept: outputs
                .iter()
                .chain(front)
                .map(|(_, o, _)| o.masks.active(g))
                .collect(),
        })
        .collect();
    let effectiveness = effectiveness::measure(problem, &header, &history, config)?;
    let data = data_figures(problem, config, test.as_ref());
    warnings.extend(problem.data.notes.iter().cloned());
    warnings.extend(data.skipped_note());
    warnings.extend(training_mode_note(&problem.graph));
    if !problem.reference.is_measured {
        warnings.push(
            "the model does not carry the cost of its training: costs are shares of the \
             reference in the config"
                .to_string(),
        );
        warnings.push(
            "the model may have been trained on the images that are validation data here: its \
             own accuracy on them may be flattering, which makes the floor stricter"
                .to_string(),
        );
    }
    tracing::info!(
        seconds = started.elapsed().as_secs_f64(),
        "measured the results"
    );
    Ok(RunReport {
        version: env!("CARGO_PKG_VERSION").to_string(),
        mode: mode_text(&config.mode),
        command: job.command.clone(),
        config: config_text,
        seed: config.seed,
        machine: machine_text(),
        before,
        after: figures,
        front: front_figures,
        layers,
        search_sample_macs: outcome.cost_sample_macs,
        training_sample_macs: problem.reference.sample_macs,
        training_is_measured: problem.reference.is_measured,
        search_seconds: history.iter().map(|r| r.seconds).sum(),
        training_seconds: problem.reference.seconds,
        floor: match config.mode {
            Mode::Aec { max_drop } => Some(problem.baseline.search.accuracy - max_drop / 100.0),
            Mode::Ceca { .. } => None,
        },
        data: Some(data),
        effectiveness,
        warnings,
    })
}

fn data_figures(problem: &Problem, config: &PruneConfig, test: Option<&Part>) -> DataFigures {
    let data = &problem.data;
    DataFigures {
        kind: data.source.kind.to_string(),
        n_train: problem.train.len(),
        n_search: problem.search.len(),
        n_confirm: problem.confirm.len(),
        n_test: test.map(Part::len),
        class_names: data.source.train.class_names().to_vec(),
        normalisation: data.normalisation.clone(),
        resize: data.preprocessing.resize.to_string(),
        colour: data.preprocessing.colour.to_string(),
        skipped: data.source.skipped(),
        max_skipped: config.data.max_skipped,
    }
}

fn mode_text(mode: &Mode) -> String {
    match mode {
        Mode::Aec { max_drop } => {
            format!("Auto-AEC: accuracy may fall by at most {max_drop} points")
        }
        Mode::Ceca { budgets, .. } if budgets.is_empty() => {
            "Auto-CECA: as far down as it goes".to_string()
        }
        Mode::Ceca { budgets, .. } => {
            let list: Vec<String> = budgets
                .iter()
                .map(|b| {
                    let percent = format!("{:.2}", b.remaining * 100.0);
                    let percent = percent.trim_end_matches('0').trim_end_matches('.');
                    format!("{percent} % of the {}", b.metric.words())
                })
                .collect();
            format!("Auto-CECA: at most {} remain", list.join(", "))
        }
    }
}
