//! Who watches a run.

use crate::run_dir::record::{EpochRecord, Stage};

/// Where a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub stage: Stage,
    /// Episode, from 0.
    pub episode: usize,
    /// Pruning epochs done and expected in all.
    pub done: usize,
    /// See `done`.
    pub expected: usize,
    /// Step in the slice, and its length.
    pub step: usize,
    /// See `step`.
    pub steps: usize,
}

/// Told what happens; says when to stop.
pub trait RunObserver {
    /// A step of a slice was taken.
    fn step(&mut self, _progress: &Progress) {}

    /// A pruning epoch ended.
    fn epoch(&mut self, _record: &EpochRecord) {}

    /// Something that the user should know.
    fn message(&mut self, _text: &str) {}

    /// True to stop after this pruning epoch.
    fn stop_requested(&self) -> bool {
        false
    }
}

impl RunObserver for () {}
