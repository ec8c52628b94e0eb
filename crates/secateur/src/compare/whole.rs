//! An experiment from its file to its tables, as its caller asks for it.

use std::path::{Path, PathBuf};

use super::agenda::Work;
use super::child::Program;
use super::error::CompareError;
use super::experiment::Experiment;
use super::output;
use super::plan::{Job, Shard};
use super::results::Results;
use super::room::at_once;
use super::step::{Step, Workplace};
use super::summary::{Comparison, Figure};
use super::work::{Done, Watch};

/// An experiment and what is asked of it.
#[derive(Debug, Clone)]
pub struct CompareJob {
    /// The experiment.
    pub experiment: Experiment,
    /// Where everything is written.
    pub out: PathBuf,
    /// The part of the runs that is made; all of them if there is none.
    pub shard: Option<Shard>,
    /// Folders that tables are made of, instead of runs.
    pub merge: Vec<PathBuf>,
    /// Which quality is compared.
    pub figure: Figure,
    /// Runs at once; as many as cores and memory allow if nothing is said.
    pub side_by_side: Option<usize>,
    /// As typed, for the page.
    pub command: String,
}

impl CompareJob {
    /// Reads an experiment, to be written to `out`, or to `runs` under the experiment's name; `threads` of
    /// each run and `data` of all networks go before what the file says.
    ///
    /// # Errors
    /// [`CompareError::Experiment`] names file, line and key; [`CompareError::SeveralData`] where `data`
    /// would stand for several.
    pub fn read(
        file: &Path,
        out: Option<&Path>,
        data: Option<&Path>,
        threads: Option<usize>,
    ) -> Result<Self, CompareError> {
        let mut experiment = Experiment::read(file)?;
        if let Some(threads) = threads {
            experiment.threads = threads;
        }
        if let Some(data) = data {
            experiment.use_data(data)?;
        }
        let out = match out {
            Some(folder) => folder.to_path_buf(),
            None => Path::new("runs").join(experiment.file.file_stem().unwrap_or_default()),
        };
        Ok(Self {
            experiment,
            out,
            shard: None,
            merge: Vec::new(),
            figure: Figure::Validation,
            side_by_side: None,
            command: String::new(),
        })
    }

    fn place(&self) -> Workplace<'_> {
        Workplace {
            experiment: &self.experiment,
            out: &self.out,
        }
    }

    /// The runs that are asked for.
    pub fn jobs(&self) -> Vec<Job> {
        self.experiment.jobs(self.shard)
    }

    /// So many of them are made at once.
    pub fn at_once(&self) -> usize {
        self.side_by_side
            .unwrap_or_else(|| at_once(&self.experiment))
    }

    /// The first calls of what is not done, with the names of the runs; `None` for one that depends on
    /// another's result.
    ///
    /// # Errors
    /// As [`Work::plan`].
    pub fn commands(&self) -> Result<Vec<(String, Option<Step>)>, CompareError> {
        Work::plan(self.place(), &self.jobs())?.commands()
    }

    /// Makes the runs that are not done. Runs that fail are told to `watch`, and kept in their folders.
    ///
    /// # Errors
    /// [`CompareError::NoData`] before anything begins; as [`Work::plan`] and [`Work::run`].
    pub fn run(&self, program: &Program, watch: &mut dyn Watch) -> Result<Done, CompareError> {
        let mut networks = self.experiment.networks.iter();
        if let Some(network) = networks.find(|network| !network.data.exists()) {
            return Err(CompareError::NoData {
                network: network.name.clone(),
                data: network.data.clone(),
            });
        }
        Work::plan(self.place(), &self.jobs())?.run(program, self.at_once(), watch)
    }

    /// Reads what runs have brought, and writes the tables.
    ///
    /// # Errors
    /// [`CompareError`] if a folder to merge holds no runs, or a file cannot be read or written.
    pub fn tables(&self) -> Result<Comparison, CompareError> {
        let own = [self.out.clone()];
        let folders = match self.merge.is_empty() {
            true => &own[..],
            false => &self.merge,
        };
        let mut merged = self.merge.iter();
        if let Some(folder) = merged.find(|folder| !folder.join("runs").is_dir()) {
            return Err(CompareError::NoRuns {
                folder: folder.clone(),
            });
        }
        let results = Results::read(&self.experiment, folders)?;
        let comparison = Comparison::of(&self.experiment, results, self.figure)?;
        let text = fs_err::read_to_string(&self.experiment.file)?;
        output::write(&comparison, &text, &self.command, &self.out)?;
        Ok(comparison)
    }
}
