//! The main job in a few lines.

use std::path::{Path, PathBuf};

use secateur_net::data::Source;
use secateur_search::config::{Mode, PruneConfig};
use secateur_search::pruner::RunObserver;

use crate::prune::{Job, JobError, prune};
use crate::report::RunReport;

/// A pruning run from a trained file to a smaller one, with its settings.
///
/// ```
/// use secateur::search::config::{Budget, Metric, Mode};
/// use secateur::train::{TrainConfig, train};
/// use secateur::data::{self, DataConfig};
/// use secateur::{Network, Pruner};
/// # use secateur::onnx::arch::{VggConfig, vgg_like};
///
/// # let folder = tempfile::tempdir()?;
/// # let (net, small) = (folder.path().join("net.onnx"), folder.path().join("small.onnx"));
/// let source = data::open("../../data/mnist".as_ref(), &DataConfig::default())?;
/// # let mut architecture = VggConfig::new([1, 28, 28], 10);
/// # architecture.stages = VggConfig::parse_stages("4,M,6,M")?;
/// # architecture.hidden = vec![8];
/// # let config = TrainConfig { epochs: 0.02, ..TrainConfig::default() };
/// # train(&vgg_like(&architecture, 0)?, &source, &config, &mut ())?.model.write(&net)?;
/// let budget = Budget { metric: Metric::Params, remaining: 0.3 };
/// let mode = Mode::Ceca { budgets: vec![budget], max_drop: 0.0 };
/// let mut pruner = Pruner::new(&net, &small, mode);
/// pruner.config.seed = 7;
/// # pruner.config.search.slice_steps = [2, 2];
/// # pruner.config.search.recover_steps = 4;
/// # pruner.config.search.ablation_images = 0;
/// # pruner.config.search.agent_updates = 4;
/// let report = pruner.run(&source, &mut ())?;
///
/// let (before, after) = (Network::from_onnx(&net)?, Network::from_onnx(&small)?);
/// assert!(after.size().params as f64 <= 0.3 * before.size().params as f64);
/// assert_eq!(after.size().params, report.after[0].size.params);
/// let test = after.test(&source)?.expect("MNIST has test data");
/// assert_eq!(Some(test.accuracy), report.after[0].test_accuracy);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pruner {
    /// The trained model.
    pub model: PathBuf,
    /// Where the result goes; several budgets add their names.
    pub output: PathBuf,
    /// Folder of the run: history, checkpoint, report.
    pub run_dir: PathBuf,
    /// Agent of an earlier run to start from.
    pub agent: Option<PathBuf>,
    /// Go on with the run in the folder.
    pub resume: bool,
    /// The promise and every constant of the search.
    pub config: PruneConfig,
}

impl Pruner {
    /// A new run with default settings; its folder lies beside the output.
    pub fn new(model: impl AsRef<Path>, output: impl AsRef<Path>, mode: Mode) -> Self {
        Self {
            model: model.as_ref().to_path_buf(),
            output: output.as_ref().to_path_buf(),
            run_dir: default_run_dir(output.as_ref()),
            agent: None,
            resume: false,
            config: PruneConfig::new(mode),
        }
    }

    /// Searches, writes and verifies the files, reads the test data once, writes the report.
    ///
    /// # Errors
    /// See [`prune`].
    pub fn run(
        &self,
        source: &Source,
        observer: &mut dyn RunObserver,
    ) -> Result<RunReport, JobError> {
        let job = Job {
            model: &self.model,
            output: &self.output,
            run_dir: &self.run_dir,
            agent: self.agent.as_deref(),
            resume: self.resume,
            command: "the library".to_string(),
        };
        prune(&job, source, &self.config, observer)
    }
}

/// `small.onnx` keeps its run in `small.onnx.run`.
pub fn default_run_dir(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_os_string();
    name.push(".run");
    PathBuf::from(name)
}
