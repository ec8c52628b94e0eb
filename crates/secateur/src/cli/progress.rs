//! Progress on stderr, with rates and time left; silent where stderr is no terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use secateur::net::train::StepObserver;
use secateur::search::pruner::{Progress, RunObserver};
use secateur::search::run_dir::record::{EpochRecord, Stage};

/// Set by Ctrl-C; `unit` is what is finished first.
pub fn stop_flag(unit: &'static str) -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::SeqCst) {
            // Asked twice: what was written last stands.
            std::process::exit(i32::from(super::exit_code::INTERRUPTED));
        }
        eprintln!("\nstopping after this {unit}; press Ctrl-C again to stop at once");
    })?;
    Ok(flag)
}

fn style(template: &str) -> ProgressStyle {
    // The templates are fixed; a wrong one would show in the first run.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Progress of plain training.
pub struct TrainProgress {
    bar: ProgressBar,
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
        self.bar
            .set_message(format!("{rate:.0} images/s, loss {smooth:.4}"));
        !self.stop.load(Ordering::SeqCst)
    }
}

/// Progress of a pruning run.
pub struct PruneProgress {
    bar: ProgressBar,
    stop: Arc<AtomicBool>,
    full: u64,
    last: String,
}

impl PruneProgress {
    /// For a network of `full` parameters.
    pub fn new(label: &str, full: u64, stop: Arc<AtomicBool>) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_style(style("{prefix} [{bar:30}] {percent}%, {msg}, {eta} left"));
        bar.set_prefix(label.to_string());
        Self {
            bar,
            stop,
            full,
            last: "starting".to_string(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Units of the bar a pruning epoch, so that its slices show.
const PER_EPOCH: u64 = 1000;

impl RunObserver for PruneProgress {
    fn step(&mut self, progress: &Progress) {
        let within = (progress.step as u64 * PER_EPOCH) / progress.steps.max(1) as u64;
        self.bar.set_length(progress.expected as u64 * PER_EPOCH);
        self.bar
            .set_position(progress.done as u64 * PER_EPOCH + within);
        let stage = match progress.stage {
            Stage::Explore => "exploring",
            Stage::Exploit => "exploiting",
            Stage::Recover => "recovering",
        };
        self.bar.set_message(format!("{stage}, {}", self.last));
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let remaining = 100.0 * record.size.params as f64 / self.full.max(1) as f64;
        self.last = format!(
            "{remaining:.1} % of parameters, accuracy {:.2} %",
            100.0 * record.accuracy
        );
        tracing::info!(
            epoch = record.epoch,
            remaining = format!("{remaining:.2}"),
            accuracy = format!("{:.4}", record.accuracy),
            off = record.turned_off.len(),
            on = record.reactivated.len(),
            seconds = format!("{:.1}", record.seconds),
            "pruning epoch"
        );
    }

    fn message(&mut self, text: &str) {
        self.bar.println(text);
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
