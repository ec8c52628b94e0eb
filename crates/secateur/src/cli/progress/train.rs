//! Progress of plain training.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use secateur_net::train::StepObserver;

use super::log::ProgressLog;
use super::style;

/// Progress of plain training.
pub struct TrainProgress {
    bar: ProgressBar,
    log: ProgressLog,
    batch_size: usize,
    stop: Arc<AtomicBool>,
    smooth: Option<f32>,
}

impl TrainProgress {
    /// Over an unknown number of steps.
    pub fn new(label: &str, batch_size: usize, stop: Arc<AtomicBool>) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_style(style(
            "{prefix} [{bar:30}] {pos}/{len} steps, {msg}, {eta} left",
        ));
        bar.set_prefix(label.to_string());
        Self {
            bar,
            log: ProgressLog::new(),
            batch_size,
            stop,
            smooth: None,
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl StepObserver for TrainProgress {
    fn step(&mut self, step: usize, steps: usize, loss: f32) -> bool {
        let smooth = self.smooth.map_or(loss, |s| 0.95 * s + 0.05 * loss);
        self.smooth = Some(smooth);
        self.bar.set_length(steps as u64);
        self.bar.set_position(step as u64 + 1);
        let rate = self.bar.per_sec() * self.batch_size as f64;
        let message = format!("{rate:.0} images/s, loss {smooth:.4}");
        self.log.tell(|| {
            let done = step + 1;
            format!("{}: {done}/{steps} steps, {message}", self.bar.prefix())
        });
        self.bar.set_message(message);
        !self.stop.load(Ordering::SeqCst)
    }
}
