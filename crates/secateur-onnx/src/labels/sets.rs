//! Labels and their merging.

use std::collections::HashMap;
use std::sync::Arc;

/// Why kernels cannot be removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pinned {
    /// The node (or input, output) that needs them.
    pub node: String,
    /// In words.
    pub reason: String,
    /// True if they may go on request (`allow_mixing`).
    pub on_request: bool,
}

/// Labels of the positions along one axis.
pub type Labels = Arc<[u32]>;

/// Labels of an axis; `None` where its extent is not known.
pub type AxisLabels = Option<Labels>;

/// Union-find over labels; each class may be tracked and may be pinned.
#[derive(Debug, Default)]
pub(crate) struct LabelSets {
    parent: Vec<u32>,
    /// True if the class holds a row of some layer's weights: only such classes can be
    /// kernels.
    tracked: Vec<bool>,
    /// Why the class is pinned: index in `pins` plus one; zero if it is not.
    pin_of: Vec<u32>,
    pins: Vec<Pinned>,
    known_pins: HashMap<Pinned, u32>,
}

impl LabelSets {
    pub(crate) fn len(&self) -> usize {
        self.parent.len()
    }

    pub(crate) fn fresh(&mut self, count: usize) -> Vec<u32> {
        let first = self.parent.len() as u32;
        let labels: Vec<u32> = (first..first + count as u32).collect();
        self.parent.extend_from_slice(&labels);
        self.tracked.resize(self.parent.len(), false);
        self.pin_of.resize(self.parent.len(), 0);
        labels
    }

    pub(crate) fn root(&mut self, label: u32) -> u32 {
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

    pub(crate) fn merge(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        // The older label stays, so that results do not depend on the order of merging.
        let (keep, drop) = (a.min(b) as usize, a.max(b) as usize);
        self.parent[drop] = keep as u32;
        self.tracked[keep] |= self.tracked[drop];
        if self.gives_way(self.pin_of[keep]) && self.pin_of[drop] != 0 {
            self.pin_of[keep] = self.pin_of[drop];
        }
    }

    /// True for no pin, and for one that a request lifts: any other reason says more.
    fn gives_way(&self, pin: u32) -> bool {
        let pinned = pin.checked_sub(1).map(|index| &self.pins[index as usize]);
        pinned.is_none_or(|pinned| pinned.on_request)
    }

    pub(crate) fn track(&mut self, label: u32) {
        let root = self.root(label);
        self.tracked[root as usize] = true;
    }

    /// Pins the classes of these labels; the first reason stays.
    pub(crate) fn pin(&mut self, labels: &[u32], node: &str, reason: &str) {
        let pin = Pinned {
            node: node.to_string(),
            reason: reason.to_string(),
            on_request: false,
        };
        self.pin_by(labels, pin);
    }

    /// As [`Self::pin`], with a reason that a request lifts; it gives way to any other.
    pub(crate) fn pin_unless_asked(&mut self, labels: &[u32], node: &str, reason: &str) {
        let pin = Pinned {
            node: node.to_string(),
            reason: reason.to_string(),
            on_request: true,
        };
        self.pin_by(labels, pin);
    }

    fn pin_by(&mut self, labels: &[u32], pin: Pinned) {
        let on_request = pin.on_request;
        let index = *self.known_pins.entry(pin).or_insert_with_key(|pin| {
            self.pins.push(pin.clone());
            self.pins.len() as u32
        });
        for &label in labels {
            let root = self.root(label) as usize;
            let held = self.pin_of[root];
            if held == 0 || !on_request && self.gives_way(held) {
                self.pin_of[root] = index;
            }
        }
    }

    pub(crate) fn pinned(&mut self, label: u32) -> Option<&Pinned> {
        let root = self.root(label);
        let index = self.pin_of[root as usize].checked_sub(1)?;
        self.pins.get(index as usize)
    }

    /// True if the class is a kernel that may go.
    pub(crate) fn may_switch(&mut self, label: u32) -> bool {
        let root = self.root(label) as usize;
        self.tracked[root] && self.pin_of[root] == 0
    }
}
