//! The extension of the Python package: jobs on models and data, without anything that is Python's
//! business.
//!
//! Arguments are plain and complete, results are JSON with the text that people read; the package
//! around it (`secateur/*.py`) knows defaults, kinds of data and models, and what reports look
//! like. While Rust works the interpreter is free, and signals are looked for (`job`).

mod data;
mod error;
mod job;
mod look;
mod model;
mod observer;
mod prune;
mod settings;
mod train;
mod trainer;

use pyo3::prelude::*;

/// The module.
#[pymodule]
mod _secateur {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::look::{bench, evaluate, inspect, inspect_data, kept, verify};
    #[pymodule_export]
    use crate::model::{copy_model, has_normalisation, prepared};
    #[pymodule_export]
    use crate::prune::{prune, prune_without_training};
    #[pymodule_export]
    use crate::settings::{declared, setting_key};
    #[pymodule_export]
    use crate::train::train;

    use secateur::cli::Call;

    /// Runs the command `secateur` with these words; `program` is called again for runs side by
    /// side. Returns the exit code.
    #[pyfunction]
    fn run_command(
        py: Python<'_>,
        words: Vec<std::ffi::OsString>,
        program: std::path::PathBuf,
    ) -> u8 {
        let call = Call { words, program };
        py.detach(|| secateur::cli::run(&call))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        secateur::cli::quiet_expected_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
