//! An experiment file as it is written.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Spanned, Table};

use super::error::CompareError;

/// Everything that the file may hold; docs/compare.md explains it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExperimentFile {
    #[serde(default)]
    pub about: String,
    pub seeds: Spanned<Vec<u64>>,
    pub threads: Option<Spanned<usize>>,
    pub memory_gib: Option<Spanned<f64>>,
    #[serde(default)]
    pub promises: Vec<Spanned<String>>,
    #[serde(default)]
    pub policies: Vec<Spanned<String>>,
    pub against: Option<Spanned<String>>,
    pub settings: Option<Spanned<Table>>,
    #[serde(default)]
    pub variant: Vec<VariantFile>,
    #[serde(default)]
    pub ablation: Vec<AblationFile>,
    pub network: Vec<NetworkFile>,
}

/// `[[variant]]`: a policy with settings of its own, or the shape of another one's results.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VariantFile {
    pub name: Spanned<String>,
    pub policy: Option<Spanned<String>>,
    pub shape_of: Option<Spanned<String>>,
    pub set: Option<Spanned<Table>>,
    pub agent: Option<PathBuf>,
}

/// `[[ablation]]`: every policy and variant that prunes, once more with these settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AblationFile {
    pub name: Spanned<String>,
    pub set: Spanned<Table>,
}

/// `[[network]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkFile {
    pub name: Spanned<String>,
    pub data: PathBuf,
    pub file: Option<PathBuf>,
    pub train: Option<Spanned<Table>>,
    pub promises: Option<Vec<Spanned<String>>>,
    pub settings: Option<Spanned<Table>>,
}

/// The text of an experiment file, to tell lines of.
pub(super) struct Text<'a> {
    pub file: &'a Path,
    pub text: String,
}

impl<'a> Text<'a> {
    pub fn read(file: &'a Path) -> Result<Self, CompareError> {
        let text = fs_err::read_to_string(file)?;
        Ok(Self { file, text })
    }

    pub fn parse(&self) -> Result<ExperimentFile, CompareError> {
        toml::from_str(&self.text)
            .map_err(|error| self.error(error.span(), error.message().to_string()))
    }

    /// Something wrong at a place of the file.
    pub fn error(&self, span: Option<Range<usize>>, reason: String) -> CompareError {
        let line = span.map(|span| {
            let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
            1 + before.iter().filter(|&&byte| byte == b'\n').count()
        });
        CompareError::Experiment {
            file: self.file.to_path_buf(),
            line,
            reason,
        }
    }
}
