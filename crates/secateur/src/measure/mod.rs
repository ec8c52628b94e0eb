//! The user's own measure: a command or a function that gives a number of a written network.
//!
//! ```text
//! network ─► file (weights beside it, where there are such) ─► command or function ─► number
//! ```
//!
//! The file lies in the run's folder, or in one for temporary files, while it is measured; where
//! that fails it stays, to be looked at, until the next one is.

mod command;
mod error;
mod number;
mod process;
mod tail;

use std::error::Error;
use std::path::{Path, PathBuf};

use secateur_onnx::model::Model;
use secateur_search::config::MeasureConfig;
use secateur_search::environment::training::{Problem, State};
use secateur_search::error::SearchError;
use secateur_search::measure::{MeasureError, Reading, UserMeasure, take};
use secateur_search::search::Observer;
use tempfile::TempDir;

use crate::verify::store_masks;

use command::MeasureCommand;
pub use error::{CommandError, LastLines};

/// Name of the given network's file among those of a run.
const GIVEN: &str = "given";
/// The folder within a run's folder.
const FOLDER: &str = "measure";

/// A function on the file of a network.
pub(crate) type Function<'a> = dyn FnMut(&Path) -> Result<f64, Box<dyn Error + Send + Sync>> + 'a;

/// What gives the number.
pub(crate) enum Measure<'a> {
    Command(MeasureCommand),
    Function(Box<Function<'a>>),
}

impl<'a> Measure<'a> {
    /// A function if there is one, else the command of the settings if there is one.
    pub fn of(
        function: Option<Box<Function<'a>>>,
        config: &MeasureConfig,
    ) -> Result<Option<Self>, CommandError> {
        if let Some(function) = function {
            return Ok(Some(Self::Function(function)));
        }
        let command = config.command.as_deref();
        let command = command.map(|text| MeasureCommand::parse(text, config.timeout));
        Ok(command.transpose()?.map(Self::Command))
    }

    /// The number of the network in a file.
    fn of_file(&mut self, file: &Path, stop: &dyn Fn() -> bool) -> Result<f64, MeasureError> {
        match self {
            Self::Command(command) => command.run(file, stop),
            Self::Function(function) => Ok(function(file)?),
        }
    }
}

/// Measures networks of a problem in files.
pub(crate) struct FileMeasure<'a> {
    problem: &'a Problem,
    measure: Measure<'a>,
    folder: PathBuf,
    /// Removed in the end, where the run has no folder.
    _temporary: Option<TempDir>,
}

impl<'a> FileMeasure<'a> {
    /// Writes files into a run's folder, or into one of its own.
    pub fn new(
        problem: &'a Problem,
        measure: Measure<'a>,
        run_dir: Option<&Path>,
    ) -> std::io::Result<Self> {
        let (folder, temporary) = match run_dir {
            Some(run_dir) => (run_dir.to_path_buf(), None),
            None => {
                let folder = tempfile::tempdir()?;
                (folder.path().to_path_buf(), Some(folder))
            }
        };
        Ok(Self {
            problem,
            measure,
            // Commands may go to another folder before they read the file.
            folder: std::path::absolute(folder)?.join(FOLDER),
            _temporary: temporary,
        })
    }

    /// Measures the given network, before anything is done to it.
    pub fn given(&mut self, observer: &mut dyn Observer) -> Result<Reading, SearchError> {
        let model = &self.problem.model;
        let (measure, folder) = (&mut self.measure, &self.folder);
        let network = "the given network";
        let reading = take(network, observer, |stop| {
            of_model(measure, folder, GIVEN, model, stop)
        });
        reading.map_err(|error| match error {
            MeasureError::Stopped => SearchError::Interrupted {
                path: None,
                epochs: 0,
            },
            MeasureError::Failed(source) => SearchError::Measure {
                network: network.to_string(),
                path: None,
                source,
            },
        })
    }
}

impl UserMeasure<State> for FileMeasure<'_> {
    fn measure(
        &mut self,
        name: &str,
        network: &State,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, MeasureError> {
        let mut model = self.problem.pruned(network).map_err(failed)?;
        // The very file that is written if it is the result.
        store_masks(&mut model, &network.standing.masks);
        of_model(&mut self.measure, &self.folder, name, &model, stop)
    }
}

/// Writes a model into a folder of its own and measures it there. What an earlier one has left is
/// removed, and so is this one unless it failed.
fn of_model(
    measure: &mut Measure<'_>,
    folder: &Path,
    name: &str,
    model: &Model,
    stop: &dyn Fn() -> bool,
) -> Result<f64, MeasureError> {
    remove(folder).map_err(failed)?;
    fs_err::create_dir_all(folder).map_err(failed)?;
    let file = folder.join(format!("{name}.onnx"));
    model.write(&file).map_err(failed)?;
    let number = measure.of_file(&file, stop);
    if !matches!(number, Err(MeasureError::Failed(_))) {
        remove(folder).map_err(failed)?;
    }
    number
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> std::io::Result<()> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(error: impl Error + Send + Sync + 'static) -> MeasureError {
    MeasureError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs_err::read_dir(folder).unwrap();
        let name = |entry: std::io::Result<fs_err::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<String> = entries
            .map(|entry| name(entry).into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_weights_beside_it_and_stays_only_where_it_failed() {
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/external-data/model.onnx");
        let model = Model::read(fixture).unwrap();
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(FOLDER);
        let measured = |function: Box<Function<'_>>, name: &str| {
            let mut measure = Measure::Function(function);
            of_model(&mut measure, &folder, name, &model, &|| false)
        };
        let whole = |file: &Path| {
            assert_eq!(files(&folder), ["001.onnx", "001.onnx.data"]);
            let read = Model::read(file)?;
            assert_eq!(read.stored_bytes(file), model.stored_bytes(file));
            Ok(1.5)
        };
        assert_eq!(measured(Box::new(whole), "001").unwrap(), 1.5);
        assert!(!folder.exists());

        let failed = measured(Box::new(|_| Err("no".into())), "002");
        assert!(matches!(failed, Err(MeasureError::Failed(_))));
        assert_eq!(files(&folder), ["002.onnx", "002.onnx.data"]);
        let again = |file: &Path| {
            assert_eq!(file.file_name().unwrap(), "003.onnx");
            assert_eq!(files(&folder), ["003.onnx", "003.onnx.data"]);
            Ok(0.0)
        };
        measured(Box::new(again), "003").unwrap();
        assert!(!folder.exists());
    }
}
