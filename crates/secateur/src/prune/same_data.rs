//! Which data a run was begun with, so that it goes on with the same.
//!
//! Without labels the given network agrees with itself on any data, so nothing else would tell.

use std::path::Path;

use secateur_net::data::{Augment, BatchJob, DataError, Part};
use secateur_net::{Host, HostData, Input};
use secateur_search::environment::training::Problem;
use secateur_search::error::SearchError;
use secateur_search::store::{RunDir, StoreError, checksum};
use serde::{Deserialize, Serialize};

use super::PruneError;

/// The file in the run folder.
const FILE: &str = "data.json";
/// Samples of each part that are looked at, at even distances.
const LOOKED_AT: usize = 16;

/// What tells data apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    /// Samples to train on.
    n_train: usize,
    /// Samples that guide the search.
    n_search: usize,
    /// Samples that confirm its result.
    n_confirm: usize,
    /// Of some samples of each part as the network takes them, and their labels.
    checksum: String,
}

/// Leaves in the folder of a new run which data it works on.
pub(super) fn keep(store: &RunDir, problem: &Problem) -> Result<(), PruneError> {
    let found = Identity::of(problem)?;
    let text = serde_json::to_string_pretty(&found);
    let text = text.map_err(|error| damaged(&store.file(FILE), &error))?;
    Ok(store.write_text(FILE, &text)?)
}

/// Fails if the run in a folder was begun with other data. Runs of earlier versions have left
/// nothing and go on.
pub(super) fn check(folder: &Path, problem: &Problem) -> Result<(), PruneError> {
    let file = folder.join(FILE);
    if !file.exists() {
        return Ok(());
    }
    let text = fs_err::read_to_string(&file).map_err(StoreError::Io)?;
    let begun: Identity = serde_json::from_str(&text).map_err(|error| damaged(&file, &error))?;
    match begun.difference(&Identity::of(problem)?) {
        None => Ok(()),
        Some(reason) => Err(SearchError::OtherRun {
            path: folder.to_path_buf(),
            reason,
        }
        .into()),
    }
}

fn damaged(file: &Path, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged {
        path: file.to_path_buf(),
        reason: error.to_string(),
    }
}

impl Identity {
    fn of(problem: &Problem) -> Result<Self, DataError> {
        let parts = [&problem.train, &problem.search.part, &problem.confirm.part];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend(checksum(sampled(part)?).to_le_bytes());
        }
        Ok(Self {
            n_train: parts[0].len(),
            n_search: parts[1].len(),
            n_confirm: parts[2].len(),
            checksum: format!("{:016x}", checksum(bytes)),
        })
    }

    /// How other data differ from these.
    fn difference(&self, other: &Self) -> Option<String> {
        let counts = |of: &Self| {
            let (train, search, confirm) = (of.n_train, of.n_search, of.n_confirm);
            format!("{train} samples to train on, {search} to guide and {confirm} to confirm")
        };
        if self == other {
            None
        } else if counts(self) == counts(other) {
            Some("it was begun with other data of the same size".to_string())
        } else {
            Some(format!(
                "it was begun with other data: {}, now there are {}",
                counts(self),
                counts(other)
            ))
        }
    }
}

/// The values and labels of some samples of a part.
fn sampled(part: &Part) -> Result<Vec<u8>, DataError> {
    let n = part.len().min(LOOKED_AT);
    let batch = part.batch(&BatchJob {
        indices: (0..n).map(|i| i * part.len() / n).collect(),
        augment: Augment::default(),
        seed: 0,
    })?;
    let labels = batch.labels.iter().flat_map(|label| label.to_le_bytes());
    let mut bytes: Vec<u8> = labels.collect();
    for input in &batch.inputs.values {
        match input {
            Input::Images(values) => bytes.extend(floats(values)),
            Input::Array(Host { data, .. }) => match data {
                HostData::Float(values) => bytes.extend(floats(values)),
                HostData::Int(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
                HostData::Bool(values) => bytes.extend(values.iter().map(|&v| u8::from(v))),
            },
        }
    }
    Ok(bytes)
}

fn floats(values: &[f32]) -> impl Iterator<Item = u8> {
    values.iter().flat_map(|value| value.to_le_bytes())
}
