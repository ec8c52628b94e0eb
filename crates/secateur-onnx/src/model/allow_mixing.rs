//! Whether channels may go that a node mixes (takes a mean over, normalises across).
//!
//! Kept in the metadata, so that everything that reads a file later finds the same groups.

use super::message::Model;

/// Metadata key of the permission; present where it is given.
pub const ALLOW_MIXING: &str = "secateur.allow_mixing";

impl Model {
    /// True if channels may go that a node mixes.
    pub fn allows_mixing(&self) -> bool {
        self.metadata(ALLOW_MIXING).is_some()
    }

    /// Gives the permission or takes it away, whatever the file says.
    #[must_use]
    pub fn with_mixing(mut self, allow: bool) -> Self {
        if allow {
            self.set_metadata(ALLOW_MIXING, "true");
        } else {
            self.remove_metadata(ALLOW_MIXING);
        }
        self
    }
}
