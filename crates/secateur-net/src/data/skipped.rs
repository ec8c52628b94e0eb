//! Images that cannot be decoded: named, counted, left out up to a limit.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::DataError;
use super::error::one_line;

/// An image that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedImage {
    /// Its file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// Keeps the account of all parts of a source.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: usize,
    skipped: Mutex<BTreeMap<PathBuf, String>>,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            skipped: Mutex::new(BTreeMap::new()),
        }
    }

    /// Images that may still be left out.
    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.lock().len())
    }

    /// False if the error is about an image that was left out before.
    pub(super) fn is_new(&self, error: &DataError) -> bool {
        !matches!(error, DataError::Image { path, .. } if self.lock().contains_key(path))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, String>> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the errors of a part, in the order of its images. An image that was entered
    /// before counts once.
    ///
    /// # Errors
    /// [`DataError::TooManySkipped`] beyond the limit; errors that are not about one image.
    pub(super) fn enter(&self, place: &str, errors: Vec<DataError>) -> Result<(), DataError> {
        let mut skipped = self.lock();
        for error in errors {
            let DataError::Image { path, source } = error else {
                return Err(error);
            };
            let reason = one_line(&source);
            if skipped.contains_key(&path) {
                continue;
            }
            tracing::warn!("left out `{}`: {reason}", path.display());
            skipped.insert(path.clone(), reason.clone());
            if skipped.len() > self.limit {
                return Err(DataError::TooManySkipped {
                    place: place.to_string(),
                    limit: self.limit,
                    last: path,
                    reason,
                });
            }
        }
        Ok(())
    }

    /// All until now, by path.
    pub(super) fn list(&self) -> Vec<SkippedImage> {
        self.lock()
            .iter()
            .map(|(path, reason)| SkippedImage {
                path: path.clone(),
                reason: reason.clone(),
            })
            .collect()
    }
}
