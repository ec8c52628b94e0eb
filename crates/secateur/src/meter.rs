//! How far a pruning run is, and how long it will take.

use std::time::Duration;

use secateur_search::search::Progress;

/// Share of the run, rate and time left, from the steps of its slices. By effort rather than
/// cost, so that the bar moves evenly in time.
#[derive(Debug, Default)]
pub struct Meter {
    /// Effort of the run so far; of what was done before it was resumed, the cost.
    done: f64,
    /// The largest fraction so far: what is expected changes, a bar does not run backwards.
    pub fraction: f64,
    /// Effort and seconds of the last minutes, the older the less.
    effort: f64,
    seconds: f64,
    last: Option<f64>,
    /// When the first step of this slice was done.
    slice_began: f64,
    /// Of this slice; `None` until enough is measured.
    pub images_per_second: Option<f64>,
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
    pub fn step(&mut self, progress: &Progress, now: f64) {
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

    /// Time left of the run; `None` until enough is measured.
    pub fn left(&self, progress: &Progress) -> Option<Duration> {
        if self.seconds < LEAST_SECONDS || self.effort <= 0.0 {
            return None;
        }
        let seconds = progress.effort_left() * self.seconds / self.effort;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use secateur_search::record::Stage;

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
