//! Labels and their merging.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Pinned;

/// Labels of the positions along one axis.
pub type Labels = Arc<[u32]>;

/// Labels of an axis; `None` where its extent is not known.
pub type AxisLabels = Option<Labels>;

/// Union-find over labels; each class may be tracked and may be pinned.
#[derive(Debug, Default)]
pub(super) struct LabelSets {
    parent: Vec<u32>,
    /// True if the class holds a row of some layer's weights: only such classes can be
    /// kernels.
    tracked: Vec<bool>,
    pinned: BTreeMap<u32, Pinned>,
}

impl LabelSets {
    pub(super) fn len(&self) -> usize {
        self.parent.len()
    }

    pub(super) fn fresh(&mut self, count: usize) -> Vec<u32> {
        let first = self.parent.len() as u32;
        let labels: Vec<u32> = (first..first + count as u32).collect();
        self.parent.extend_from_slice(&labels);
        self.tracked.resize(self.parent.len(), false);
        labels
    }

    pub(super) fn root(&mut self, label: u32) -> u32 {
        let mut root = label;
        while self.parent[root as usize] != root {
            root = self.parent[root as usize];
        }
        // Path compression keeps later look-ups short.
        let mut walk = label;
        while self.parent[walk as usize] != root {
            walk = std::mem::replace(&mut self.parent[walk as usize], root);
        }
        root
    }

    pub(super) fn merge(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        // The older label stays, so that results do not depend on the order of merging.
        let (keep, drop) = (a.min(b), a.max(b));
        self.parent[drop as usize] = keep;
        self.tracked[keep as usize] |= self.tracked[drop as usize];
        if let Some(pin) = self.pinned.remove(&drop) {
            self.pinned.entry(keep).or_insert(pin);
        }
    }

    pub(super) fn track(&mut self, label: u32) {
        let root = self.root(label);
        self.tracked[root as usize] = true;
    }

    pub(super) fn pin(&mut self, label: u32, node: &str, reason: &str) {
        let root = self.root(label);
        self.pinned.entry(root).or_insert_with(|| Pinned {
            node: node.to_string(),
            reason: reason.to_string(),
        });
    }

    pub(super) fn pinned(&mut self, label: u32) -> Option<&Pinned> {
        let root = self.root(label);
        self.pinned.get(&root)
    }

    /// True if the class is a kernel that may go.
    pub(super) fn may_switch(&mut self, label: u32) -> bool {
        let root = self.root(label);
        self.tracked[root as usize] && !self.pinned.contains_key(&root)
    }
}
