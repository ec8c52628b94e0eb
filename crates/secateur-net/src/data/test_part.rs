//! A test part for data that bring none: some of the samples, set apart by seed.

use std::sync::Arc;

use secateur_onnx::text::counted;
use serde::{Deserialize, Serialize};

use super::dataset::noun;
use super::split::set_apart;
use super::views::Subset;
use super::{DataConfig, Parts};

/// A test part that was set apart from data without parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetApart {
    /// Share of each class.
    pub share: f64,
    /// Seed that picked the images.
    pub seed: u64,
}

impl std::fmt::Display for SetApart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} % of each class or folder by seed {}",
            100.0 * self.share,
            self.seed
        )
    }
}

/// Takes a test part from data without parts, if one is wanted.
pub(super) fn take(parts: &mut Parts, config: &DataConfig) -> Option<SetApart> {
    if parts.has_parts || parts.test.is_some() || config.test_share <= 0.0 {
        return None;
    }
    let train = &parts.train;
    let labels: Vec<usize> = (0..train.len()).map(|i| train.label(i)).collect();
    let (rest, picked) = set_apart(&labels, config.test_share, config.test_seed);
    if picked.is_empty() || rest.is_empty() {
        return None;
    }
    parts.notes.push(format!(
        "no test part: {} of {} are set apart for it, {} %{}, by seed {}",
        picked.len(),
        counted(labels.len(), noun(train.as_ref())),
        100.0 * config.test_share,
        match train.is_labelled() {
            true => " of each class",
            false if labels.iter().any(|label| *label != labels[0]) => " of each folder",
            false => "",
        },
        config.test_seed
    ));
    parts.test = Some(Arc::new(Subset::new(train.clone(), picked)));
    parts.train = Arc::new(Subset::new(train.clone(), rest));
    Some(SetApart {
        share: config.test_share,
        seed: config.test_seed,
    })
}
