//! The whole way on the data that are shipped with the sources: train, prune in both modes, report.
//!
//! [`Demo`] holds its folder; [`Demo::train`] comes first, then [`Demo::prune`] for each of [`runs`].

mod error;
mod folder;

use std::path::{Path, PathBuf};

use secateur_net::settings;
use secateur_net::settings::EPOCHS;
use secateur_net::train::StepObserver;
use secateur_onnx::arch::{VggConfig, vgg_like};
use secateur_search::config::{Budget, Metric, Mode, PruneConfig};
use secateur_search::search::Observer;

use crate::data::{self, DataConfig, Source};
use crate::report::RunReport;
use crate::train::{TrainConfig, Trained, train};
use crate::{Files, Pruner};

pub use error::DemoError;
use folder::{claim, clear};

/// Points: what two equal networks differ by on 5,000 images by chance. A network trained as
/// briefly as here often has lucky validation images, which nothing smaller reaches.
const AEC_DROP: f64 = 0.1;

settings! {
    /// Settings of the demo.
    pub struct DemoConfig {
        /// Passes over the training data in the initial training.
        pub epochs: f64 = 3.0, in EPOCHS, flag "--epochs <EPOCHS>";
        /// Seed.
        pub seed: u64 = 0, flag "--seed <SEED>";
    }
}

/// A demo in its folder, which nobody else writes to meanwhile.
pub struct Demo {
    folder: PathBuf,
    config: DemoConfig,
    source: Source,
    command: String,
    /// Locked as long as this lives.
    _marker: std::fs::File,
}

/// One of the two pruning runs.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoRun {
    /// Stem of its output, and its folder.
    pub name: &'static str,
    /// The mode in words.
    pub promise: String,
    mode: Mode,
}

/// The pruning runs of a demo.
pub fn runs() -> [DemoRun; 2] {
    let budget = Budget {
        metric: Metric::Params,
        remaining: 0.06,
    };
    [
        DemoRun {
            name: "aec",
            promise: format!("at most {AEC_DROP} points below the original accuracy"),
            mode: Mode::Aec { max_drop: AEC_DROP },
        },
        DemoRun {
            name: "ceca",
            promise: "6 % of the parameters, as accurate as it can".to_string(),
            mode: Mode::Ceca {
                budgets: vec![budget],
                max_drop: 0.0,
            },
        },
    ]
}

impl Demo {
    /// Takes a folder, emptied of an earlier demo. `command` is what reports say of how they were made.
    ///
    /// # Errors
    /// [`DemoError`] for data that cannot be read, and for a folder that holds something else or is in use.
    pub fn begin(
        data: &Path,
        folder: &Path,
        config: DemoConfig,
        command: String,
    ) -> Result<Self, DemoError> {
        let source = data::open(data, &DataConfig::default())?;
        let marker = claim(folder)?;
        clear(folder)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            config,
            source,
            command,
            _marker: marker,
        })
    }

    /// The network that is pruned.
    pub fn net(&self) -> PathBuf {
        self.folder.join("net.onnx")
    }

    /// Where a run writes.
    pub fn files(&self, run: &DemoRun) -> Files {
        let output = self.folder.join(format!("{}.onnx", run.name));
        Files {
            run_dir: self.folder.join(run.name),
            ..Files::new(self.net(), output)
        }
    }

    /// Trains the network and writes it.
    ///
    /// # Errors
    /// [`DemoError`] for data without labels, and for what training fails at.
    pub fn train(&self, observer: &mut dyn StepObserver) -> Result<Trained, DemoError> {
        self.source.check_labelled("train")?;
        let [h, w, c] = self.source.train.image_shape();
        let architecture = VggConfig::new([c, h, w], self.source.train.n_classes());
        let model = vgg_like(&architecture, self.config.seed)?;
        let config = TrainConfig {
            epochs: self.config.epochs,
            seed: self.config.seed,
            ..TrainConfig::default()
        };
        let trained = train(&model, &self.source, &config, observer)?;
        trained.model.write(self.net())?;
        Ok(trained)
    }

    /// Prunes the network.
    ///
    /// # Errors
    /// [`DemoError::Prune`].
    pub fn prune(
        &self,
        run: &DemoRun,
        observer: &mut dyn Observer,
    ) -> Result<RunReport, DemoError> {
        let config = PruneConfig {
            seed: self.config.seed,
            ..PruneConfig::new(run.mode.clone())
        };
        let pruner = Pruner::with_config(config).command(self.command.clone());
        Ok(pruner.run_files(&self.files(run), &self.source, observer)?)
    }
}
