//! Where results go, and that nothing else is lost there.

use std::path::{Path, PathBuf};

use secateur_onnx::model::Model;

use super::{PruneError, PrunedNetwork};
use crate::runtime::Engines;
use crate::verify::{Verdict, verify_where_possible};

/// The files of a run.
#[derive(Debug, Clone)]
pub struct Files {
    /// The trained model.
    pub model: PathBuf,
    /// Where the result goes; several budgets add their names.
    pub output: PathBuf,
    /// Folder of the run: history, checkpoint, report.
    pub run_dir: PathBuf,
    /// Go on with the run in the folder.
    pub resume: bool,
}

impl Files {
    /// A new run, its folder beside the output: `small.onnx` keeps its run in `small.onnx.run`.
    pub fn new(model: impl AsRef<Path>, output: impl AsRef<Path>) -> Self {
        let output = output.as_ref();
        let mut run_dir = output.as_os_str().to_os_string();
        run_dir.push(".run");
        Self {
            model: model.as_ref().to_path_buf(),
            output: output.to_path_buf(),
            run_dir: PathBuf::from(run_dir),
            resume: false,
        }
    }

    /// Writes the results, each to its place: those of the front into the run folder.
    pub(super) fn write(&self, networks: &mut [PrunedNetwork]) -> Result<(), PruneError> {
        let labels: Vec<String> = networks
            .iter()
            .filter(|network| !network.is_of_front)
            .map(|network| network.label.clone())
            .collect();
        let mut outputs = output_paths(&self.output, labels.into_iter()).into_iter();
        for network in networks {
            let in_run_dir = self.run_dir.join(format!("{}.onnx", plain(&network.label)));
            let path = if network.is_of_front {
                in_run_dir
            } else {
                outputs.next().unwrap_or(in_run_dir)
            };
            network.model.write(&path)?;
            network.path = Some(path);
        }
        Ok(())
    }
}

/// `params=0.06` as part of a file name.
fn plain(label: &str) -> String {
    label.replace('=', "-")
}

/// Verifies the networks against the given one; returns why outputs were not compared, where
/// they were not.
pub(super) fn verify(
    given: (&Path, &Model),
    networks: &[PrunedNetwork],
    engines: &Engines,
) -> Result<Vec<String>, PruneError> {
    let mut not_compared = Vec::new();
    for network in networks {
        let file = network.file();
        let small = (&*file, &network.model);
        let (verdict, not_run) = verify_where_possible(given, small, engines, &mut ())?;
        check_verdict(&file, &verdict)?;
        not_compared.extend(not_run.map(|reason| {
            format!(
                "the outputs of `{}` were not compared with those of the masked network in \
                 another engine: {reason}",
                file_name(&file)
            )
        }));
    }
    Ok(not_compared)
}

/// Fails with the first check that did not hold.
pub(crate) fn check_verdict(file: &Path, verdict: &Verdict) -> Result<(), PruneError> {
    match verdict.checks.iter().find(|check| !check.passed) {
        None => Ok(()),
        Some(check) => Err(PruneError::NotVerified {
            file: file.display().to_string(),
            failed: format!("{}: {}", check.name, check.detail),
        }),
    }
}

/// Refuses to write a result over the given network.
pub(crate) fn keep_input(model: &Path, outputs: &[PathBuf]) -> Result<(), PruneError> {
    let Ok(given) = model.canonicalize() else {
        return Ok(());
    };
    let is_given = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| path == given);
    match outputs.iter().find(is_given) {
        Some(path) => Err(PruneError::OverInput { path: path.clone() }),
        None => Ok(()),
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
    path.with_file_name(format!("{stem}.{}.onnx", plain(label)))
}
