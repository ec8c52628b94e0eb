//! Where a quantised file is reported: with the run that made the model, or by itself.

use std::io;
use std::path::{Path, PathBuf};

use secateur_onnx::model::Model;
use secateur_search::store::write_atomically;

use super::QuantiseError;
use crate::prune::file_name;
use crate::report::quantised::Quantised;
use crate::report::{RunReport, read_report, rewrite, write_json, write_quantised};

/// The folder of the run that made a model: that which is named, or one beside it, or around it, whose
/// report has the file.
///
/// # Errors
/// [`crate::report::ReportError`] for a named one that is none.
pub(super) fn run_of(
    path: &Path,
    model: &Model,
    named: Option<&Path>,
) -> Result<Option<PathBuf>, QuantiseError> {
    if let Some(folder) = named {
        read_report(folder)?;
        return Ok(Some(folder.to_path_buf()));
    }
    let name = file_name(path);
    let bytes = model.stored_bytes(path);
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).to_path_buf();
    let beside = fs_err::read_dir(&parent)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<PathBuf> = beside.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders.insert(0, parent.join(format!("{name}.run")));
    folders.push(parent);
    let has = |report: RunReport| {
        let mut networks = report.after.iter().chain(&report.front);
        networks.any(|network| network.file == name && network.bytes == bytes)
    };
    Ok(folders
        .into_iter()
        .find(|folder| read_report(folder).is_ok_and(has)))
}

/// Puts it into the report of that run, or writes one of its own; returns the page.
pub(super) fn keep(
    quantised: &Quantised,
    run_dir: Option<&Path>,
    output: &Path,
) -> Result<PathBuf, QuantiseError> {
    if let Some(folder) = run_dir {
        let mut report = read_report(folder)?;
        report
            .quantised
            .retain(|other| other.after.file != quantised.after.file);
        report.quantised.push(quantised.clone());
        write_json(&report, &folder.join("report.json"))?;
        return Ok(rewrite(folder)?);
    }
    let mut folder = output.as_os_str().to_os_string();
    folder.push(".run");
    let folder = PathBuf::from(folder);
    fs_err::create_dir_all(&folder)?;
    let json = serde_json::to_string_pretty(quantised).map_err(io::Error::from)?;
    let page = folder.join("report.html");
    write_atomically(&folder.join("quantised.json"), json.as_bytes())
        .map_err(crate::report::ReportError::from)?;
    write_quantised(quantised, &page)?;
    Ok(page)
}
