//! `report.json`.

use std::path::Path;

use secateur_search::store::write_atomically;

use super::{ReportError, RunReport};

/// Writes beside, then renames.
///
/// # Errors
/// [`ReportError::Store`] naming the path.
pub fn write_json(report: &RunReport, path: &Path) -> Result<(), ReportError> {
    let text = serde_json::to_string_pretty(report).map_err(|error| ReportError::Damaged {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    write_atomically(path, text.as_bytes())?;
    Ok(())
}

/// Reads a report.
///
/// # Errors
/// [`ReportError::Damaged`] if it is not one.
pub fn read_json(path: &Path) -> Result<RunReport, ReportError> {
    let damaged = |reason: String| ReportError::Damaged {
        path: path.to_path_buf(),
        reason,
    };
    let text = fs_err::read_to_string(path).map_err(|error| damaged(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))
}
