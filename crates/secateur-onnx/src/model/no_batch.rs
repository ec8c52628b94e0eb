//! Whether a network has no axis for a batch: every input holds one sample.
//!
//! No file says so by itself: `[time, values]` may be a batch of values, too. Data do, and what they say is
//! kept in the metadata.

use super::message::Model;

/// Metadata key; present where a network has no axis for a batch.
pub const NO_BATCH: &str = "secateur.no_batch";

impl Model {
    /// True if its inputs have no axis for a batch.
    pub fn has_no_batch(&self) -> bool {
        self.metadata(NO_BATCH).is_some()
    }

    /// Notes that its inputs have no axis for a batch.
    pub fn set_no_batch(&mut self) {
        self.set_metadata(NO_BATCH, "true");
    }
}
