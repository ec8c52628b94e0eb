//! What a removal changes beyond the removed kernels: nodes that mix channels do so over fewer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::group::ChannelGroups;
use super::masks::Masks;

/// A node that mixes channels, and over how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// The node.
    pub node: String,
    /// What it does: `takes a mean over these channels`.
    pub what: String,
    /// Positions before.
    pub before: usize,
    /// Positions that are left.
    pub after: usize,
}

impl fmt::Display for Mixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            what,
            before,
            after,
        } = self;
        write!(f, "node `{node}` {what}: {after} instead of {before}")
    }
}

impl ChannelGroups {
    /// The nodes that mix channels which may go only on request, in the order of the graph.
    pub fn mixed(&self, masks: &Masks) -> Vec<Mixed> {
        let on_request = self.mixing.iter().filter(|mixing| mixing.on_request);
        let mixed = on_request.map(|mixing| Mixed {
            node: mixing.node.clone(),
            what: mixing.what.clone(),
            before: mixing.positions.len(),
            after: masks.kept(&mixing.positions),
        });
        mixed.collect()
    }
}
