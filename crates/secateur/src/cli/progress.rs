//! Progress on stderr, with rates and time left; silent where stderr is no terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
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

/// Share of the run, rate and time left, from the steps of its slices. By effort rather than
/// cost, so that the bar moves evenly in time.
#[derive(Default)]
struct Meter {
    /// Effort of the run so far; of what was done before it was resumed, the cost.
    done: f64,
    /// The largest fraction so far: what is expected changes, a bar does not run backwards.
    fraction: f64,
    /// Effort and seconds of the last minutes, the older the less.
    effort: f64,
    seconds: f64,
    last: Option<f64>,
    /// When the first step of this slice was done.
    slice_began: f64,
    images_per_second: Option<f64>,
}

/// Seconds in which a measurement loses two thirds of its weight: the machine's speed changes
/// within a run, and so do the networks.
const FORGETTING: f64 = 60.0;
/// Seconds of measurement before a time left is told.
const LEAST_SECONDS: f64 = 2.0;
/// Seconds of a slice before its rate is told.
const LEAST_RATE_SECONDS: f64 = 0.2;

impl Meter {
    /// A step was done at `now`, in seconds of any clock.
    fn step(&mut self, progress: &Progress, now: f64) {
        match self.last {
            Some(_) => self.done += progress.step_effort,
            None => self.done = progress.spent + progress.step_effort * progress.step as f64,
        }
        let all = (self.done + progress.effort_left()).max(f64::MIN_POSITIVE);
        self.fraction = self.fraction.max(self.done / all);
        if let Some(last) = self.last {
            let passed = (now - last).max(0.0);
            let kept = (-passed / FORGETTING).exp();
            self.effort = self.effort * kept + progress.step_effort;
            self.seconds = self.seconds * kept + passed;
        }
        self.last = Some(now);
        if progress.step <= 1 {
            self.slice_began = now;
        }
        let passed = now - self.slice_began;
        if passed >= LEAST_RATE_SECONDS {
            let images = progress.step.saturating_sub(1) * progress.batch_size;
            self.images_per_second = Some(images as f64 / passed);
        }
    }

    /// `None` until enough is measured.
    fn left(&self, progress: &Progress) -> Option<Duration> {
        if self.seconds < LEAST_SECONDS || self.effort <= 0.0 {
            return None;
        }
        let seconds = progress.effort_left() * self.seconds / self.effort;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// Progress of a pruning run.
pub struct PruneProgress {
    bar: ProgressBar,
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
            stop,
            full,
            last: None,
            meter: Meter::default(),
            started: Instant::now(),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.set_position(UNITS);
        self.bar.finish_and_clear();
    }
}

impl RunObserver for PruneProgress {
    fn step(&mut self, progress: &Progress) {
        self.meter
            .step(progress, self.started.elapsed().as_secs_f64());
        let stage = match progress.stage {
            Stage::Explore => "exploring",
            Stage::Exploit => "exploiting",
            Stage::Recover => "recovering",
        };
        let mut parts = vec![stage.to_string()];
        if let Some(rate) = self.meter.images_per_second {
            parts.push(format!("{rate:.0} images/s"));
        }
        parts.extend(self.last.clone());
        if let Some(left) = self.meter.left(progress) {
            parts.push(format!("{:#} left", HumanDuration(left)));
        }
        self.bar.set_message(parts.join(", "));
        self.bar
            .set_position((self.meter.fraction * UNITS as f64) as u64);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        let remaining = 100.0 * record.size.params as f64 / self.full.max(1) as f64;
        self.last = Some(format!(
            "{remaining:.1} % of parameters, accuracy {:.2} %",
            100.0 * record.accuracy
        ));
        // Then the results are confirmed, written, verified and measured.
        if self.meter.fraction > 0.99 {
            self.bar.set_message("measuring the results");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: Stage, step: usize, spent: f64, effort: f64, after: (f64, f64)) -> Progress {
        Progress {
            stage,
            episode: 0,
            step,
            steps: 10,
            batch_size: 100,
            spent,
            step_cost: 1.0,
            cost_after: after.0,
            step_effort: effort,
            effort_after: after.1,
            most_cost: f64::INFINITY,
        }
    }

    #[test]
    fn the_time_left_knows_that_small_networks_take_longer() {
        let mut meter = Meter::default();
        // A second a step; each of the 180 steps after this slice takes the effort of two.
        for step in 1..=10 {
            let progress = at(Stage::Explore, step, 10.0, 1.0, (180.0, 360.0));
            meter.step(&progress, step as f64);
            let left = meter.left(&progress).map(|left| left.as_secs_f64());
            if step < 4 {
                assert_eq!(left, None);
            } else {
                assert!(
                    (left.unwrap() - (370.0 - step as f64)).abs() < 5.0,
                    "{left:?}"
                );
            }
        }
        assert!((meter.fraction - 20.0 / 380.0).abs() < 1e-12);
        assert_eq!(meter.images_per_second, Some(100.0));
    }

    #[test]
    fn a_bar_does_not_run_backwards_and_ends_full() {
        let mut meter = Meter::default();
        meter.step(&at(Stage::Exploit, 10, 10.0, 1.0, (20.0, 20.0)), 1.0);
        let before = meter.fraction;
        // More is expected than was.
        meter.step(&at(Stage::Recover, 1, 20.0, 1.0, (200.0, 200.0)), 2.0);
        assert_eq!(meter.fraction, before);
        meter.step(&at(Stage::Recover, 10, 220.0, 1.0, (0.0, 0.0)), 3.0);
        assert_eq!(meter.fraction, 1.0);
    }
}
