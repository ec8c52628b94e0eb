//! The report of a finished run.

use std::path::PathBuf;

use pyo3::prelude::*;
use secateur::report::{read_report, rewrite, terminal_table};

use crate::job;
use crate::prune::Report;

/// The report in a run's folder, whose page is written anew.
#[pyfunction]
pub fn report(py: Python<'_>, run_dir: PathBuf) -> PyResult<Report> {
    job::run(py, None, None, |_| {
        rewrite(&run_dir)?;
        let report = read_report(&run_dir)?;
        Ok((serde_json::to_string(&report)?, terminal_table(&report)))
    })
}
