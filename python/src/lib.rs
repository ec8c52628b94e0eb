//! The extension of the Python package: jobs on models and data, without anything that is Python's
//! business.
//!
//! Arguments are plain and complete, results are JSON with the text that people read; the package
//! around it (`secateur/*.py`) knows defaults, kinds of data and models, and what reports look
//! like. While Rust works the interpreter is free, and signals are looked for (`job`).

mod compare;
mod data;
mod demo;
mod error;
mod job;
mod look;
mod model;
mod observer;
mod prune;
mod quantise;
mod report;
mod settings;
mod train;
mod trainer;
mod trials;

use pyo3::prelude::*;

/// The module.
#[pymodule]
mod _secateur {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::compare::{compare, compare_commands};
    #[pymodule_export]
    use crate::demo::Demo;
    #[pymodule_export]
    use crate::look::{bench, evaluate, inspect, inspect_data, kept, verify};
    #[pymodule_export]
    use crate::model::{copy_model, has_normalisation, prepared};
    #[pymodule_export]
    use crate::prune::{prune, prune_without_training};
    #[pymodule_export]
    use crate::quantise::{Samples, quantise};
    #[pymodule_export]
    use crate::report::report;
    #[pymodule_export]
    use crate::settings::{declared, setting_key};
    #[pymodule_export]
    use crate::train::train;
    #[pymodule_export]
    use crate::trials::Trials;

    use secateur::cli::Call;
    use secateur::compare::Program;
    use secateur::quantise::Quantiser as Quantises;

    use crate::quantise::Quantiser;

    /// Runs the command `secateur` with these words; `program`, a file and its first words, is called again
    /// for runs side by side, and `quantiser` quantises, if there is one. Returns the exit code.
    #[pyfunction]
    fn run_command(
        py: Python<'_>,
        words: Vec<std::ffi::OsString>,
        program: (std::path::PathBuf, Vec<std::ffi::OsString>),
        quantiser: Option<Py<PyAny>>,
    ) -> u8 {
        let (file, first) = program;
        let program = Program { file, words: first };
        let call = Call { words, program };
        let quantiser = quantiser
            .as_ref()
            .map(|object| Quantiser { object, stop: None });
        py.detach(|| {
            let quantiser = quantiser
                .as_ref()
                .map(|quantiser| quantiser as &dyn Quantises);
            secateur::cli::run_with(&call, quantiser)
        })
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        secateur::cli::quiet_expected_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
