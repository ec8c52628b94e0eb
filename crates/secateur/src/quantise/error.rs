//! What can go wrong.

use std::error::Error;

use secateur_net::NetError;
use secateur_net::data::DataError;
use secateur_onnx::OnnxError;
use thiserror::Error;

use crate::PruneError;
use crate::eval::EvalError;
use crate::report::ReportError;
use crate::runtime::RuntimeError;

/// Why a file was not quantised.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// The program alone has none.
    #[error(
        "cannot quantise: this program has no quantiser of its own, and calls that of ONNX Runtime \
         where Python brings it"
    )]
    NoQuantiser,
    /// The quantiser failed.
    #[error("cannot quantise: {name} said: {source}")]
    Quantiser {
        /// Its name.
        name: String,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// What was written cannot stand for the given file.
    #[error("the quantised file does not hold: {reason}")]
    DoesNotHold {
        /// Why.
        reason: String,
    },
    /// There is nothing to judge the files on.
    #[error(
        "cannot quantise: the data hold neither test nor validation samples to judge the file on"
    )]
    NothingHeldOut,
    /// The network with its data.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// ONNX Runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The report of a run.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The output is the given file.
    #[error(transparent)]
    Over(#[from] PruneError),
    /// The file system refused; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl QuantiseError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::NoQuantiser => {
                "install the Python package with what it quantises by, from a clone \
                 `pip install './python[quantise]'`: its command `secateur quantise` does it"
            }
            Self::NothingHeldOut => "set samples apart with `--validation`",
            _ => return None,
        };
        Some(text.to_string())
    }
}
