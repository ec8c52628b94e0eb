//! Progress of a pruning run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{HumanDuration, ProgressBar};
use secateur_search::measure::{Reading, number_text};
use secateur_search::record::{EpochRecord, Stage};
use secateur_search::search::{Observer, Progress};

use super::log::ProgressLog;
use super::style;
use crate::meter::Meter;

/// Progress of a pruning run.
pub struct PruneProgress {
    bar: ProgressBar,
    log: ProgressLog,
    stop: Arc<AtomicBool>,
    full: u64,
    last: Option<String>,
    meter: Meter,
    started: Instant,
}

/// Units of the bar.
const UNITS: u64 = 10_000;

impl PruneProgress {
    /// For a network of `full` parameters.
    pub fn new(label: &str, full: u64, stop: Arc<AtomicBool>) -> Self {
        let bar = ProgressBar::new(UNITS);
        bar.set_style(style("{prefix} [{bar:30}] {percent}%, {msg}"));
        bar.set_prefix(label.to_string());
        bar.set_message("starting");
        Self {
            bar,
            log: ProgressLog::new(),
            stop,
            full,
            last: None,
            meter: Meter::default(),
            started: Instant::now(),
        }
    }

    fn show(&mut self, message: String) {
        let percent = 100.0 * self.meter.fraction;
        self.log
            .tell(|| format!("{}: {percent:.0}%, {message}", self.bar.prefix()));
        self.bar.set_message(message);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.set_position(UNITS);
        self.bar.finish_and_clear();
    }
}

impl Observer for PruneProgress {
    fn step(&mut self, progress: &Progress) {
        self.meter
            .step(progress, self.started.elapsed().as_secs_f64());
        let stage = match progress.stage {
            Stage::Explore => "exploring",
            Stage::Exploit => "exploiting",
            Stage::Solve => "solving",
            Stage::Recover => "recovering",
        };
        let mut parts = vec![stage.to_string()];
        if let Some(rate) = self.meter.images_per_second {
            parts.push(format!("{rate:.0} samples/s"));
        }
        parts.extend(self.last.clone());
        if let Some(left) = self.meter.left(progress) {
            parts.push(format!("{:#} left", HumanDuration(left)));
        }
        self.show(parts.join(", "));
        self.bar
            .set_position((self.meter.fraction * UNITS as f64) as u64);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let remaining = 100.0 * record.size.params as f64 / self.full.max(1) as f64;
        self.last = Some(format!(
            "{remaining:.1} % of parameters, quality {:.2} %",
            100.0 * record.quality
        ));
        // Then the results are confirmed, written, verified and measured.
        if self.meter.fraction > 0.99 {
            self.show("measuring the results".to_string());
        }
        tracing::info!(
            epoch = record.epoch,
            remaining = format!("{remaining:.2}"),
            quality = format!("{:.4}", record.quality),
            off = record.turned_off.len(),
            on = record.reactivated.len(),
            seconds = format!("{:.1}", record.seconds),
            "pruning epoch"
        );
    }

    fn preparing(&mut self, what: &str) {
        self.show(what.to_string());
    }

    fn measuring(&mut self, network: &str) {
        self.show(format!("measuring {network}"));
    }

    /// Every number is shown: the first tells whether the command does what its user means.
    fn measured(&mut self, network: &str, reading: &Reading) {
        let number = number_text(reading.number);
        let seconds = reading.seconds;
        self.bar.suspend(|| {
            eprintln!("measure: {number} for {network}, in {seconds:.1} s");
        });
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
