//! `runs.csv`: a line a result.

use std::io;

use super::CompareError;
use crate::compare::summary::Comparison;

pub(super) fn text(comparison: &Comparison) -> Result<String, CompareError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in &comparison.rows {
        writer.serialize(row).map_err(io::Error::from)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| io::Error::from(error.error().kind()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
