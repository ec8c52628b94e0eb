//! What happens in another engine, where that takes a while.

use std::time::Duration;

use crate::quantise::QuantiseObserver;
use crate::verify::CheckObserver;
use indicatif::ProgressBar;

use super::style;

/// Shows what is compared or timed, in which engine and for how long.
pub struct CheckProgress(ProgressBar);

/// The bar is drawn anew this often, and first after it: what is quicker shows nothing.
const TICK: Duration = Duration::from_secs(1);

impl CheckProgress {
    /// Shows nothing yet.
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(style("{spinner} {msg}, {elapsed}"));
        Self(bar)
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl QuantiseObserver for CheckProgress {
    fn begins(&mut self, what: &str) {
        self.0.set_message(what.to_string());
        self.0.enable_steady_tick(TICK);
    }
}

impl CheckObserver for CheckProgress {
    fn calibrating(&mut self, what: &str) {
        if self.0.is_hidden() {
            eprintln!("{what}");
        }
        self.0.reset_elapsed();
        self.0.set_message(what.to_string());
        self.0.enable_steady_tick(TICK);
    }

    fn comparing(&mut self, engine: &str, inputs: &str) {
        self.0.reset_elapsed();
        let text = format!("comparing outputs in {engine}: {inputs}");
        self.0.set_message(text);
        self.0.enable_steady_tick(TICK);
    }

    fn timing(&mut self, engine: &str, done: usize, of: usize) {
        let text = format!("timing layers in {engine}: {done} of {of} networks");
        self.0.set_message(text);
        self.0.enable_steady_tick(TICK);
    }
}
