//! The report of a run: `report.json`, `report.html`, and the table at its end.

mod command;
pub mod data;
pub(crate) mod html;
mod json;
mod kernel_map;
pub mod measure;
mod places;
pub(crate) mod plots;
pub mod quantised;
pub mod stats;
mod terminal;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use command::command_text;
pub use html::{write_html, write_quantised};
pub use json::{read_json, write_json};
pub use places::Places;
use secateur_onnx::cost::Size;
use secateur_onnx::coupling::Mixed;
use secateur_search::store::{StoreError, read_run};
pub use terminal::terminal_table;

use secateur_net::task::Figure;

use crate::bench::Latency;
use crate::examples::{self, Examples};
use crate::latency::LatencyFigures;
use quantised::Quantised;
use stats::{Disagreement, PairedDifference};

/// What can go wrong with a report.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The run folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder that is missing, or holds something else than a run.
    #[error("cannot report on `{}`: it is no run folder: it holds no `header.json`", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// A run that was not finished.
    #[error("cannot report on `{}`: its run is not finished", path.display())]
    NotFinished {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is not what was written.
    #[error("cannot read `{}`: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A plot that the drawing crate refused.
    #[error("cannot draw plot `{plot}`: {reason}")]
    Plot {
        /// Its name.
        plot: String,
        /// What the crate said.
        reason: String,
    },
}

/// A network's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkFigures {
    /// `before`, or the output's label.
    pub label: String,
    /// File name.
    pub file: String,
    /// Size.
    pub size: Size,
    /// Bytes of the file.
    pub bytes: u64,
    /// Quality on test data, 0..=1, read once, at the end; `None` without test data.
    #[serde(alias = "test_accuracy")]
    pub test_quality: Option<f64>,
    /// Per class on test data: right answers, images.
    pub test_per_class: Vec<(u64, u64)>,
    /// What else the task tells of the test data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_figures: Vec<Figure>,
    /// Quality on the validation data that guided the search.
    #[serde(alias = "search_accuracy")]
    pub search_quality: f64,
    /// Quality on the validation data that the search never saw.
    #[serde(alias = "confirm_accuracy")]
    pub confirm_quality: f64,
    /// The number by the user's own measure, where it was asked.
    #[serde(default)]
    pub measure: Option<f64>,
    /// Latency in another engine; empty where none could run it.
    pub latency: Vec<Latency>,
    /// Its time beside the given network's, where a budget is a latency.
    #[serde(default)]
    pub timed: Option<LatencyFigures>,
    /// Test quality minus the given network's; `None` for the given network.
    pub test_difference: Option<PairedDifference>,
    /// Quality on the confirmation data minus the given network's.
    pub confirm_difference: Option<PairedDifference>,
    /// Where there are no labels: decisions on the confirmation data that differ from the given
    /// network's.
    #[serde(default)]
    pub confirm_disagreement: Option<Disagreement>,
    /// The same on test data.
    #[serde(default)]
    pub test_disagreement: Option<Disagreement>,
    /// Which pruning epoch made it.
    pub record: Option<usize>,
    /// Nodes that mix channels, and over how many they do now.
    #[serde(default)]
    pub mixed: Vec<Mixed>,
}

/// A layer before and after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerFigures {
    /// Name of its first node.
    pub name: String,
    /// Kernels before.
    pub width: usize,
    /// Kernels in each output.
    pub kept: Vec<usize>,
}

/// Widths that rules give at the size of a result, for all layers in their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Index of the result among [`RunReport::after`].
    pub output: usize,
    /// Its label.
    pub label: String,
    /// The same share of every layer.
    pub even: Vec<usize>,
    /// The least sum of the layers' errors.
    pub by_errors: Vec<usize>,
}

/// How effective the kernels of a layer were, by three measures. Only ablation is independent:
/// Q contains what significance says as its known part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Effectiveness {
    /// Index of the layer's group.
    pub group: usize,
    /// The kernels that were looked at, as indices in the layer; all but in large networks.
    #[serde(default)]
    pub kernels: Vec<usize>,
    /// Rise of the loss when the kernel alone is taken out of the given network.
    pub ablation: Vec<f32>,
    /// Mean Q(on) - Q(off) while exploring.
    pub q_explore: Vec<f32>,
    /// The same while exploiting.
    pub q_exploit: Vec<f32>,
    /// Mean rank of Taylor significance while exploring, 0..=1.
    pub significance_explore: Vec<f32>,
    /// The same while exploiting.
    pub significance_exploit: Vec<f32>,
    /// Spearman's rank correlation of ablation with Q while exploring, Q while exploiting,
    /// significance while exploring and while exploiting; `None` where one does not vary.
    pub agreement: [Option<f64>; 4],
}

/// Everything that the report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Program version.
    pub version: String,
    /// `aec` or `ceca`, with its promise in words.
    pub mode: String,
    /// Command that made the run.
    pub command: String,
    /// Resolved settings, TOML.
    pub config: String,
    /// Seed.
    pub seed: u64,
    /// What the task calls its quality, for people: `accuracy` for classification.
    #[serde(default = "accuracy")]
    pub quality_name: String,
    /// True if quality is held against the given network, as there are no labels.
    #[serde(default)]
    pub is_against_original: bool,
    /// Machine: processor, threads, vector unit in use.
    pub machine: String,
    /// Where the networks lay; `None` in memory, and in reports written before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub places: Option<Places>,
    /// The given network.
    pub before: NetworkFigures,
    /// The results.
    pub after: Vec<NetworkFigures>,
    /// Networks of the front, in CECA without a budget.
    pub front: Vec<NetworkFigures>,
    /// Layers.
    pub layers: Vec<LayerFigures>,
    /// The last result held against rules; `None` where that is the given network.
    #[serde(default)]
    pub shape: Option<Shape>,
    /// Sample-MACs of search and recovery, forward 1, backward 2; everything counted that
    /// runs the network: training, evaluation, probes, the teacher's scores.
    pub search_sample_macs: f64,
    /// Work of the search: sample-MACs of the given network that take as long as all of it, which follows
    /// from counts; 0 in reports written before it was kept.
    #[serde(default)]
    pub search_work: f64,
    /// Sample-MACs of the initial training.
    pub training_sample_macs: f64,
    /// True if the model carries the cost of its training, false if the config's reference stands in.
    pub training_is_measured: bool,
    /// Wall-clock seconds of the search.
    pub search_seconds: f64,
    /// Wall-clock seconds of the initial training, where the model carries them.
    pub training_seconds: Option<f64>,
    /// Floor of the quality in the search (AEC); `None` where a measure of the user's own has it.
    pub floor: Option<f64>,
    /// The user's own measure, if there is one.
    #[serde(default)]
    pub measure: Option<measure::MeasureFigures>,
    /// The data; `None` in reports written before it was kept.
    #[serde(default)]
    pub data: Option<data::DataFigures>,
    /// By layer.
    pub effectiveness: Vec<Effectiveness>,
    /// Files with 8-bit integers that were made of the results since.
    #[serde(default)]
    pub quantised: Vec<Quantised>,
    /// What the user must know.
    pub warnings: Vec<String>,
}

impl RunReport {
    /// What one of the data is called: `image` or `sample`.
    pub fn noun(&self) -> &'static str {
        self.data.as_ref().map_or("image", data::DataFigures::noun)
    }

    /// What costs are shares of.
    pub(crate) fn training_name(&self) -> &'static str {
        match self.training_is_measured {
            true => "initial training",
            false => "reference training of the config",
        }
    }
}

/// The quality of all tasks in reports written before it had a name.
fn accuracy() -> String {
    "accuracy".to_string()
}

/// Reads `report.json` of a run folder.
///
/// # Errors
/// [`ReportError`] if it is no run folder, the run is not finished or the file is damaged.
pub fn read_report(run_dir: &Path) -> Result<RunReport, ReportError> {
    let path = run_dir.to_path_buf();
    if !run_dir.join("header.json").is_file() {
        return Err(ReportError::NoRun { path });
    }
    let file = run_dir.join("report.json");
    if !file.is_file() {
        return Err(ReportError::NotFinished { path });
    }
    read_json(&file)
}

/// Writes `report.html` of a run folder anew.
///
/// # Errors
/// [`ReportError`] if it is no run folder, the run is not finished or a file is damaged.
pub fn rewrite(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let mut report = read_report(run_dir)?;
    let (header, history) = read_run(run_dir)?;
    let page = run_dir.join("report.html");
    // The page says as much without them.
    let examples = Examples::read(run_dir).unwrap_or_else(|reason| {
        report.warnings.push(examples::not_shown(&reason));
        None
    });
    write_html(&report, &header, &history, examples.as_ref(), &page)?;
    Ok(page)
}
