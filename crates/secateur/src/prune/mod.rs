//! The main job: from a trained network and data to smaller networks and a report.
//!
//! Plan, search, write, verify, measure, report; in memory, nothing is written.

mod effectiveness;
mod error;
mod examples;
mod figures;
mod files;
mod given;
mod learnt;
mod machine;
mod measure;
mod planned;
mod same_data;
mod search;

use std::path::{Path, PathBuf};

use secateur_net::data::Source;
use secateur_net::train::Evaluation;
use secateur_onnx::cost::Size;
use secateur_onnx::coupling::Masks;
use secateur_onnx::model::Model;
use secateur_search::config::{Budget, Mode, PruneConfig, Target};
use secateur_search::environment::training::{Problem, State};
use secateur_search::error::SearchError;
use secateur_search::record::{EpochRecord, RunHeader};
use secateur_search::search::{Found, Observer};
use secateur_search::store::{Memory, RunDir, Store};

pub use error::PruneError;
use figures::Run;
pub(crate) use figures::sameness_note;
pub use files::Files;
pub(crate) use files::{check_verdict, file_name, keep_input, output_paths};
pub(crate) use given::check_outputs;
pub use machine::machine_text;
use measure::Measures;
use planned::{begun_table, plan};
use search::{SearchRun, Searched};

use crate::examples::Examples;
use crate::measure::Measure;
use crate::pruner::Pruner;
use crate::report::{Places, RunReport, write_html, write_json};
use crate::verify::store_masks;

/// A network that a run has made.
#[derive(Debug, Clone)]
pub struct PrunedNetwork {
    /// `params=0.14`, or the mode's name.
    pub label: String,
    /// What it was asked to meet, if anything.
    pub target: Option<Target>,
    /// The model: dormant kernels removed, weights as trained last.
    pub model: Model,
    /// Kernels of the given network that it keeps.
    pub masks: Masks,
    /// Its size.
    pub size: Size,
    /// Quality on the held-out data that guided the search, 0..=1.
    pub search_quality: f64,
    /// On the held-out data that the search never saw.
    pub confirm: Evaluation,
    /// The record in the history that made it; `None` for the given network itself.
    pub record: Option<usize>,
    /// Its number by the user's own measure, if there is one.
    pub measure: Option<f64>,
    /// True for one of several sizes that the run shows beside its output.
    pub is_of_front: bool,
    /// Where it was written, if it was.
    pub path: Option<PathBuf>,
}

impl PrunedNetwork {
    fn new(problem: &Problem, found: &Found<State>, is_of_front: bool) -> Result<Self, PruneError> {
        let standing = &found.state.standing;
        let mut model = problem.pruned(&found.state)?;
        store_masks(&mut model, &standing.masks);
        Ok(Self {
            label: found.label.clone(),
            target: found.target.clone(),
            model,
            masks: standing.masks.clone(),
            size: problem.space.count(&standing.masks),
            search_quality: standing.quality,
            confirm: found.confirm.clone(),
            record: found.record,
            measure: found.reading.map(|reading| reading.number),
            is_of_front,
            path: None,
        })
    }

    /// Its file, or its label where it lies in memory.
    fn file(&self) -> PathBuf {
        self.path
            .clone()
            .unwrap_or_else(|| PathBuf::from(&self.label))
    }

    /// Bytes that it takes in files, or would take.
    fn stored_bytes(&self) -> u64 {
        self.model.stored_bytes(&self.file())
    }
}

/// What a run brought, in memory.
#[derive(Debug)]
pub struct Pruned {
    /// The networks: one in AEC, one a budget in CECA, then those of the front.
    pub networks: Vec<PrunedNetwork>,
    /// What was gained and lost.
    pub report: RunReport,
    /// Held-out samples on which the given network and the last result differ most; `None` where
    /// that is the given network.
    pub examples: Option<Examples>,
}

impl Pruner<'_> {
    /// Searches, verifies the results, reads the test data once. Nothing is written.
    ///
    /// # Errors
    /// [`PruneError`]; an interrupted run is [`SearchError::Interrupted`].
    pub fn run(
        mut self,
        model: &Model,
        source: &Source,
        observer: &mut dyn Observer,
    ) -> Result<Pruned, PruneError> {
        let file = Path::new("the given network");
        let measure = Measure::of(self.measure.take(), &self.config.measure)?;
        self.config.check_for(measure.is_some())?;
        learnt::check(&self, &[], false)?;
        let policy = learnt::policy(&mut self, false)?;
        let model = model.prepared();
        let planned = plan(&mut self, (file, model), source, None, observer)?;
        let problem = &planned.problem;
        let gauge = planned.gauge();
        let asked = Asked::of(&self, file);
        let mut store = Memory::default();

        let run = SearchRun {
            problem,
            policy,
            measure,
            gauge: gauge.as_ref(),
            begun: None,
            name: "",
        };
        let mut searched = run.search(self, &mut store, observer)?;
        searched.verify((&asked.file, &problem.model), &planned.engines)?;
        let measures = planned.measures(&asked.file, &searched, gauge.as_ref())?;
        let examples = searched.examples(problem, &measures);
        let (header, history) = store.read()?;
        let report = asked.report(problem, &header, &history, &searched, measures)?;
        Ok(Pruned {
            networks: searched.networks,
            report,
            examples,
        })
    }

    /// The same from file to file: writes and verifies the results, and keeps the run's state
    /// and its report in a folder.
    ///
    /// # Errors
    /// As [`Pruner::run`].
    pub fn run_files(
        mut self,
        files: &Files,
        source: &Source,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, PruneError> {
        let mut paths = planned_paths(&self.config, &files.output);
        keep_input(&files.model, &paths)?;
        paths.push(files.model.clone());
        let measure = Measure::of(self.measure.take(), &self.config.measure)?;
        self.config.check_for(measure.is_some())?;
        learnt::check(&self, &paths, files.resume)?;
        let policy = learnt::policy(&mut self, files.resume)?;
        let model = Model::read(&files.model)?.prepared();
        let given = (&*files.model, model);
        let known = files.resume.then(|| begun_table(&files.run_dir)).flatten();
        let planned = plan(&mut self, given, source, known, observer)?;
        let problem = &planned.problem;
        let gauge = planned.gauge();
        let asked = Asked::of(&self, &files.model);
        let mut store = open(files, &self.config)?;
        if !files.resume {
            same_data::keep(&store, problem)?;
            planned.keep(&store)?;
        }

        let run = SearchRun {
            problem,
            policy,
            measure,
            gauge: gauge.as_ref(),
            begun: files.resume.then_some(&*files.run_dir),
            name: &file_name(&files.model),
        };
        let mut searched = run.search(self, &mut store, observer)?;
        files.write(&mut searched.networks)?;
        searched.verify((&files.model, &problem.model), &planned.engines)?;
        let measures = planned.measures(&files.model, &searched, gauge.as_ref())?;
        let examples = searched.kept_examples(problem, &measures, store.path());
        let (header, history) = store.read()?;
        let mut report = asked.report(problem, &header, &history, &searched, measures)?;
        report.places = Some(Places::of(&files.model, &files.output));
        write_json(&report, &store.file("report.json"))?;
        let page = store.file("report.html");
        write_html(&report, &header, &history, examples.as_ref(), &page)?;
        Ok(report)
    }
}

/// What a run was asked for, for its report.
struct Asked {
    config: PruneConfig,
    command: String,
    /// Where the given network lies; only a name in memory.
    file: PathBuf,
    measured_by_command: bool,
}

impl Asked {
    fn of(pruner: &Pruner<'_>, file: &Path) -> Self {
        Self {
            config: pruner.config.clone(),
            command: pruner.command.clone(),
            file: file.to_path_buf(),
            measured_by_command: pruner.measure.is_none(),
        }
    }

    fn report(
        &self,
        problem: &Problem,
        header: &RunHeader,
        history: &[EpochRecord],
        searched: &Searched,
        measures: Measures,
    ) -> Result<RunReport, PruneError> {
        let run = Run {
            problem,
            config: &self.config,
            file: &self.file,
            command: &self.command,
            measured_by_command: self.measured_by_command,
            header,
            history,
        };
        figures::report(&run, searched, measures)
    }
}

/// The files that a run is going to write, as far as the settings tell.
fn planned_paths(config: &PruneConfig, output: &Path) -> Vec<PathBuf> {
    output_paths(output, Target::labels(budgets(config)).into_iter())
}

fn budgets(config: &PruneConfig) -> &[Budget] {
    match &config.mode {
        Mode::Ceca { budgets, .. } => budgets,
        Mode::Aec { .. } => &[],
    }
}

/// Opens the run folder, new or begun as asked, and leaves the settings there.
fn open(files: &Files, config: &PruneConfig) -> Result<RunDir, PruneError> {
    let store = RunDir::open(&files.run_dir)?;
    let path = files.run_dir.clone();
    match (store.has_checkpoint(), files.resume) {
        (true, false) => return Err(SearchError::AlreadyBegun { path }.into()),
        (false, true) => return Err(SearchError::NothingToResume { path }.into()),
        (true, true) => check_settings(&store, config)?,
        (false, false) => {}
    }
    store.write_text("config.toml", &figures::config_text(config))?;
    Ok(store)
}

/// Refuses to go on with other settings than a run was begun with, where that would mix
/// two runs.
fn check_settings(store: &RunDir, config: &PruneConfig) -> Result<(), PruneError> {
    let begun = fs_err::read_to_string(store.file("config.toml"))
        .ok()
        .and_then(|text| toml::from_str::<PruneConfig>(&text).ok());
    match begun.and_then(|begun| config.conflict_with(&begun)) {
        None => Ok(()),
        Some(reason) => Err(SearchError::OtherRun {
            path: store.path().to_path_buf(),
            reason,
        }
        .into()),
    }
}
