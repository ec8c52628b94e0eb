//! An experiment: networks, promises, policies and seeds, checked.

use std::path::{Path, PathBuf};

use secateur_search::config::PruneConfig;
use secateur_search::policies;
use toml::Table;

use super::check::Check;
use super::error::CompareError;
use super::file::Text;
use super::promise::Promise;
use super::recipe::Recipe;
use crate::layered::{gone, lay_over};

/// What an experiment file says.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The file.
    pub file: PathBuf,
    /// What it is about.
    pub about: String,
    /// Seeds of the runs.
    pub seeds: Vec<u64>,
    /// Threads of each run.
    pub threads: usize,
    /// What a run takes at most, GiB.
    pub memory_gib: f64,
    /// What is compared, in the order of the table.
    pub policies: Vec<Contender>,
    /// The one that the others are held against.
    pub against: usize,
    /// The networks, each with its promises.
    pub networks: Vec<Network>,
}

/// One of the policies that are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Contender {
    /// Its name in tables and folders.
    pub name: String,
    /// What it does.
    pub kind: Kind,
}

/// What a contender does.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Prunes.
    Prune(Pruning),
    /// Trains the shape of another contender's results from new weights, at equal total cost.
    Scratch {
        /// The other one.
        of: usize,
    },
}

/// Pruning by a policy, with settings of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruning {
    /// The policy's name in settings.
    pub policy: String,
    /// Laid over those of all runs.
    pub set: Table,
    /// What the agent has learnt before.
    pub agent: Option<PathBuf>,
}

/// A network of an experiment.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its name in tables and folders.
    pub name: String,
    /// The data.
    pub data: PathBuf,
    /// The network's file; `None` where it is trained.
    pub file: Option<PathBuf>,
    /// How it is trained, and new ones of its shapes.
    pub recipe: Recipe,
    /// What is promised of it, a run each.
    pub promises: Vec<Promise>,
    /// Settings of all its runs.
    pub(super) settings: Table,
}

/// Threads of a run unless told otherwise: runs side by side use cores better than threads do.
pub(super) const THREADS: usize = 1;
/// Memory of a run unless told otherwise, GiB. Peaks that were measured, with one thread: VGG-like on MNIST
/// 0.3, VGG-16 of half the width on CIFAR-10 1.1.
pub(super) const MEMORY_GIB: f64 = 2.0;

impl Experiment {
    /// Reads and checks an experiment file; paths in it start at its folder.
    ///
    /// # Errors
    /// [`CompareError::Experiment`] names file, line and key.
    pub fn read(file: &Path) -> Result<Self, CompareError> {
        let text = Text::read(file)?;
        let raw = text.parse()?;
        Check { text: &text }.experiment(&raw)
    }

    /// Takes other data for all networks.
    ///
    /// # Errors
    /// [`CompareError::SeveralData`] if they have not the same.
    pub fn use_data(&mut self, data: &Path) -> Result<(), CompareError> {
        let first = self.networks[0].data.clone();
        if let Some(other) = self.networks.iter().find(|network| network.data != first) {
            let other = other.data.clone();
            return Err(CompareError::SeveralData { first, other });
        }
        for network in &mut self.networks {
            network.data = data.to_path_buf();
        }
        Ok(())
    }
}

impl Network {
    /// The settings of a run.
    ///
    /// # Errors
    /// Says which setting is wrong.
    pub fn run_settings(
        &self,
        promise: &Promise,
        pruning: &Pruning,
        seed: u64,
    ) -> Result<PruneConfig, String> {
        let mut table = self.settings.clone();
        lay_over(&mut table, pruning.set.clone());
        let became = gone(&table);
        let mut config: PruneConfig = table
            .try_into()
            .map_err(|error: toml::de::Error| became.unwrap_or(error.message().to_string()))?;
        config.mode = promise.mode.clone();
        config.seed = seed;
        config.search.policy = pruning.policy.clone();
        config.check().map_err(|error| error.to_string())?;
        policies::check(&config, pruning.agent.is_some()).map_err(|error| error.to_string())?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn experiments_that_are_shipped_can_be_used() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let experiment = Experiment::read(&entry.unwrap().path()).unwrap();
            assert!(!experiment.about.is_empty());
            read += 1;
        }
        assert!(read >= 5, "{read}");
    }
}
