//! What the report says of the data.

use secateur_net::data::{Normalisation, SkippedImage};
use serde::{Deserialize, Serialize};

/// The data of a run, as the networks took them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFigures {
    /// Format: `image folder`, `npz` and so on.
    pub kind: String,
    /// Samples to train on; those left out are not counted.
    pub n_train: usize,
    /// Validation samples that guided the search.
    pub n_search: usize,
    /// Validation samples that confirmed the result.
    pub n_confirm: usize,
    /// Test samples, if there are some.
    pub n_test: Option<usize>,
    /// Names of the classes, in the order of the outputs; empty without labels.
    pub class_names: Vec<String>,
    /// Mean and deviation by channel; empty for arrays, which are taken as they are.
    pub normalisation: Normalisation,
    /// How images in folders got their size: as `--resize` says it.
    pub resize: String,
    /// Order of three channels: `rgb` or `bgr`.
    pub colour: String,
    /// Images that were left out because they cannot be decoded.
    pub skipped: Vec<SkippedImage>,
    /// How many that may be.
    pub max_skipped: usize,
}

impl DataFigures {
    /// What one of them is called: `image` or `sample`.
    pub fn noun(&self) -> &'static str {
        // Arrays are not normalised.
        match self.normalisation.mean.is_empty() {
            true => "sample",
            false => "image",
        }
    }

    /// A line that names the images that were left out; `None` if there are none.
    pub fn skipped_note(&self) -> Option<String> {
        const SHOWN: usize = 3;
        let n = self.skipped.len();
        let mut text = match n {
            0 => return None,
            1 => "1 image cannot be decoded and was left out: ".to_string(),
            n => format!("{n} images cannot be decoded and were left out: "),
        };
        let names: Vec<String> = self
            .skipped
            .iter()
            .take(SHOWN)
            .map(|skipped| format!("`{}` ({})", skipped.path.display(), skipped.reason))
            .collect();
        text.push_str(&names.join(", "));
        if n > SHOWN {
            text.push_str(&format!(" and {} more", n - SHOWN));
        }
        Some(text)
    }
}
