//! Pruning without training: from a file alone to smaller files.
//!
//! Needs no data and no gradients, so it takes every model that can be read, whatever its
//! operators, inputs and outputs. What accuracy is left nobody knows before the file is
//! trained or measured elsewhere. With inputs the weights that are left can be solved anew, which
//! needs no gradients either and shows how far the outputs are from the original's.

use std::path::{Path, PathBuf};

use secateur_net::interpreter::Frontier;
use secateur_onnx::cost::Size;
use secateur_onnx::coupling::{Masks, Mixed};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{InputShape, Model};
use secateur_onnx::surgery;
use secateur_onnx::text::counted;
use secateur_search::config::{Budget, LatencyConfig, PruneConfig, Target};
use secateur_search::environment::training::{check_finite, file_notes};
use secateur_search::gauge::{Gauge, within};
use secateur_search::rank::one_shot::Subject;
use secateur_search::rank::{Ranking, RankingError};
use secateur_search::scores::Needs;
use secateur_search::space::{Space, SpaceError};
use serde::Serialize;

use crate::calibrate::{Calibrated, Calibration, Calibrator};
use crate::latency::{BudgetTiming, LatencyFigures, LatencyGauge};
use crate::prune::{PruneError, check_verdict, file_name, keep_input, output_paths};
use crate::runtime::Engines;
use crate::verify::{Check, CheckObserver, store_masks, verify_where_possible};

/// What to do.
#[derive(Debug, Clone)]
pub struct OneShotJob<'a> {
    /// The model.
    pub model: &'a Path,
    /// Where the result goes; several budgets add their names.
    pub output: &'a Path,
    /// Shapes of inputs that the file leaves open.
    pub input_shapes: &'a [InputShape],
    /// How kernels are ranked.
    pub ranking: Ranking,
    /// What may remain; a file each.
    pub budgets: &'a [Budget],
    /// Layers to leave alone: names or globs.
    pub ignore: &'a [String],
    /// Prune layers too whose channels a node mixes.
    pub allow_mixing: bool,
    /// Keep a multiple of this many kernels in every layer.
    pub round_to: usize,
    /// Of random numbers.
    pub seed: u64,
    /// Solve the weights that are left on these inputs.
    pub calibration: Option<Calibration<'a>>,
    /// What files are checked and timed in.
    pub engines: &'a Engines,
    /// How budgets of latency are timed.
    pub latency: &'a LatencyConfig,
}

impl<'a> OneShotJob<'a> {
    /// How kernels are ranked by the settings of `config`; where those do not name a policy themselves, by
    /// what layers lose with them if inputs are there to calibrate on, else by the norms of their
    /// weights.
    ///
    /// # Errors
    /// [`RankingError`] for a policy that is no ranking.
    pub fn ranking_of(
        config: &PruneConfig,
        names_policy: bool,
        calibrates: bool,
    ) -> Result<Ranking, RankingError> {
        match (names_policy, calibrates) {
            (true, _) => &config.search.policy,
            (false, true) => "second-order-knapsack",
            (false, false) => "l2-uniform",
        }
        .parse()
    }

    /// By the settings of `config`.
    pub fn of_config(
        config: &'a PruneConfig,
        ranking: Ranking,
        (model, output): (&'a Path, &'a Path),
        budgets: &'a [Budget],
        calibration: Option<Calibration<'a>>,
        engines: &'a Engines,
    ) -> Self {
        Self {
            model,
            output,
            input_shapes: &config.data.input_shapes,
            ranking,
            budgets,
            ignore: &config.search.ignore,
            allow_mixing: config.search.allow_mixing,
            round_to: config.search.round_to,
            seed: config.seed,
            calibration,
            engines,
            latency: &config.latency,
        }
    }
}

/// A file and its size.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileFigures {
    /// Path.
    pub file: PathBuf,
    /// What the network costs.
    pub size: Size,
    /// Bytes of the file and of its external data.
    pub bytes: u64,
}

/// How many kernels of a layer stay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeptKernels {
    /// Name of the channel group.
    pub name: String,
    /// Kernels of the original.
    pub width: usize,
    /// Kernels kept.
    pub kept: usize,
}

/// A written file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneShotFile {
    /// The budget that it meets, such as `macs=0.5`.
    pub budget: String,
    /// File and size.
    #[serde(flatten)]
    pub figures: FileFigures,
    /// Its time beside the given file's, where a budget is a latency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timed: Option<LatencyFigures>,
    /// Per channel group.
    pub kept: Vec<KeptKernels>,
    /// Nodes that mix channels, and over how many they do now.
    pub mixed: Vec<Mixed>,
    /// What solving its weights did, if they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<Calibrated>,
    /// What was verified.
    pub checks: Vec<Check>,
    /// Why outputs were not compared, if they were not.
    pub not_run: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneShotReport {
    /// Of the program.
    pub version: String,
    /// Ranking.
    pub ranking: String,
    /// Of random numbers.
    pub seed: u64,
    /// The given file.
    pub before: FileFigures,
    /// What was written.
    pub after: Vec<OneShotFile>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Prunes to every budget, writes the files and verifies them.
///
/// # Errors
/// [`PruneError`] for files that cannot be read or written, budgets that cannot be reached,
/// unknown layers, and files that do not verify.
pub fn prune_one_shot(
    job: &OneShotJob<'_>,
    observer: &mut dyn CheckObserver,
) -> Result<OneShotReport, PruneError> {
    let paths = output_paths(job.output, Target::labels(job.budgets).into_iter());
    keep_input(job.model, &paths)?;
    job.ranking.check(match job.calibration {
        Some(_) => Needs::Inputs,
        None => Needs::Weights,
    })?;
    let model = Model::read(job.model)?;
    let mut model = model.prepared().with_mixing(job.allow_mixing);
    model.give_input_shapes(job.input_shapes)?;
    if let Some(calibration) = &job.calibration {
        Calibrator::settle(&mut model, calibration)?;
    }
    let graph = Graph::from_model(&model)?;
    let (space, frontier) = match &job.calibration {
        Some(_) => {
            let frontier = Frontier::find(&graph)?;
            (Space::up_to(&graph, &frontier, job.ignore)?, Some(frontier))
        }
        None => (Space::new(&graph, job.ignore)?, None),
    };
    check_finite(&graph, Some(&space.groups))?;
    let timing = BudgetTiming::for_budgets(
        job.budgets,
        ((job.model, &model), &space),
        job.engines,
        job.latency,
        None,
        &mut |engine, done, of| observer.timing(engine, done, of),
    )?;
    let (space, round_to) = match &timing {
        Some(timing) => (
            timing.lay_over(&model, space)?,
            timing.round_to(job.round_to),
        ),
        None => (space, job.round_to),
    };
    // Every budget is checked before inputs are read, and before the first file is written.
    for budget in job.budgets {
        space.check_budget(budget, round_to.max(1))?;
    }
    if let Some(calibration) = &job.calibration {
        observer.calibrating(&format!(
            "measuring layers on up to {}",
            counted(calibration.inputs, "input")
        ));
    }
    let calibrator = match job.calibration.as_ref().zip(frontier.as_ref()) {
        Some((calibration, frontier)) => Some(Calibrator::new(
            &model,
            (&graph, frontier),
            &space.groups,
            calibration,
            &job.ranking,
            job.seed,
        )?),
        None => None,
    };
    let subject = Subject {
        graph: &graph,
        space: &space,
        round_to,
        errors: calibrator.as_ref().map_or(&[], |c| &c.errors),
    };
    let gauge = timing
        .as_ref()
        .map(|timing| LatencyGauge::new(&model, &space, timing, job.budgets));
    let targets = Target::of(job.budgets, &space.size);
    let chosen = targets
        .iter()
        .map(|target| masks(job, &subject, target, gauge.as_ref()))
        .collect::<Result<Vec<Masks>, _>>()?;
    let mut notes = file_notes(&model, &graph, &space.cost);
    notes.extend(timing.as_ref().map(BudgetTiming::note));
    notes.extend(calibrator.iter().flat_map(|c| c.notes.clone()));
    // All weights, decoded: not needed any more.
    drop(graph);
    let before = figures(job.model, &model, space.size);
    let mut after = Vec::new();
    for ((target, path), masks) in targets.iter().zip(paths).zip(chosen) {
        let mut small = surgery::remove(&model, &space.groups, &masks)?;
        let mut calibrated = None;
        if let Some(calibrator) = &calibrator {
            observer.calibrating(&format!("solving weights for {}", target.label));
            let (healed, result) = calibrator.heal(&small, &masks)?;
            let unsaid = result.notes.iter().filter(|note| !notes.contains(note));
            notes.extend(unsaid.cloned().collect::<Vec<_>>());
            (small, calibrated) = (healed, Some(result));
        }
        store_masks(&mut small, &masks);
        small.write(&path)?;
        let (verdict, not_run) =
            verify_where_possible((job.model, &model), (&path, &small), job.engines, observer)?;
        check_verdict(&path, &verdict)?;
        let timed = gauge.as_ref().and_then(|gauge| {
            let timed = gauge.figures(&masks, target.latency());
            timed
                .inspect_err(|reason| {
                    notes.push(format!("`{}` was not timed: {reason}", path.display()))
                })
                .ok()
        });
        let kept = space.groups.groups.iter().enumerate();
        after.push(OneShotFile {
            timed,
            budget: target.label.clone(),
            figures: figures(&path, &Model::read(&path)?, space.count(&masks)),
            kept: kept
                .map(|(g, group)| KeptKernels {
                    name: group.name.clone(),
                    width: group.width,
                    kept: masks.active(g),
                })
                .collect(),
            mixed: space.groups.mixed(&masks),
            calibrated,
            checks: verdict.checks,
            not_run,
        });
    }
    Ok(OneShotReport {
        version: env!("CARGO_PKG_VERSION").to_string(),
        ranking: job.ranking.to_string(),
        seed: job.seed,
        before,
        after,
        notes,
    })
}

/// Masks that meet a target; one of latency as it is measured.
fn masks(
    job: &OneShotJob<'_>,
    subject: &Subject<'_>,
    target: &Target,
    gauge: Option<&LatencyGauge<'_>>,
) -> Result<Masks, SpaceError> {
    let choose = |share| {
        let target = Target {
            share,
            ..target.clone()
        };
        subject.masks(&job.ranking, &target, job.seed)
    };
    let gauge = gauge.map(|gauge| gauge as &dyn Gauge);
    Ok(within(gauge, target.share, choose)?.masks)
}

fn figures(path: &Path, model: &Model, size: Size) -> FileFigures {
    FileFigures {
        file: path.to_path_buf(),
        size,
        bytes: model.stored_bytes(path),
    }
}

impl OneShotReport {
    /// Before and after, a row a file.
    pub fn table(&self) -> String {
        let share = |part: u64, whole: u64| {
            format!(
                "{part} ({:.1} %)",
                100.0 * part as f64 / whole.max(1) as f64
            )
        };
        let header = ["file", "kernels", "parameters", "MACs", "bytes"].map(str::to_string);
        let row = |file: &FileFigures| {
            let (size, whole) = (&file.size, &self.before.size);
            [
                file_name(&file.file),
                share(size.kernels, whole.kernels),
                share(size.params, whole.params),
                share(size.macs, whole.macs),
                share(file.bytes, self.before.bytes),
            ]
        };
        let mut rows = vec![header, row(&self.before)];
        rows.extend(self.after.iter().map(|file| row(&file.figures)));
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..5).map(width).collect();
        let mut text = String::new();
        for row in &rows {
            text.push_str(&format!("{:<1$}", row[0], widths[0]));
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            text.push('\n');
        }
        text
    }
}
