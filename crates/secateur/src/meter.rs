//! How far a pruning run is, and how long it will take.

use std::time::Duration;

use secateur_search::search::Progress;

/// Share of the run, rate and time left, from the steps of its healings.
#[derive(Debug, Default)]
pub struct Meter {
    /// Work of the run so far.
    done: f64,
    /// The largest fraction so far: what is expected changes, a bar does not run backwards.
    pub fraction: f64,
    /// Work and seconds of the last minutes, the older the less.
    work: f64,
    seconds: f64,
    last: Option<f64>,
    /// When the first step of this healing that was told of was done, and its number from 1.
    slice_began: f64,
    slice_first: usize,
    /// Of this healing; `None` until enough is measured.
    pub images_per_second: Option<f64>,
}

/// Seconds in which a measurement loses two thirds of its weight: the machine's speed changes
/// within a run, and so do the networks.
const FORGETTING: f64 = 60.0;
/// Seconds of measurement before a time left is told.
const LEAST_SECONDS: f64 = 2.0;
/// Seconds of a healing before its rate is told.
const LEAST_RATE_SECONDS: f64 = 0.2;

impl Meter {
    /// A step was done at `now`, in seconds of any clock.
    pub fn step(&mut self, progress: &Progress, now: f64) {
        match self.last {
            Some(_) => self.done += progress.step_work,
            None => self.done = progress.done + progress.step_work * progress.step as f64,
        }
        let all = (self.done + progress.left()).max(f64::MIN_POSITIVE);
        self.fraction = self.fraction.max(self.done / all);
        if let Some(last) = self.last {
            let passed = (now - last).max(0.0);
            let kept = (-passed / FORGETTING).exp();
            self.work = self.work * kept + progress.step_work;
            self.seconds = self.seconds * kept + passed;
        }
        if progress.step <= 1 || self.last.is_none() {
            // A recovery may go on in the middle.
            (self.slice_began, self.slice_first) = (now, progress.step);
        }
        self.last = Some(now);
        let passed = now - self.slice_began;
        if passed >= LEAST_RATE_SECONDS {
            let steps = progress.step.saturating_sub(self.slice_first);
            let images = steps * progress.batch_size;
            self.images_per_second = Some(images as f64 / passed);
        }
    }

    /// Time left of the run; `None` until enough is measured.
    pub fn left(&self, progress: &Progress) -> Option<Duration> {
        if self.seconds < LEAST_SECONDS || self.work <= 0.0 {
            return None;
        }
        let seconds = progress.left() * self.seconds / self.work;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use secateur_search::record::Stage;

    use super::*;

    fn at(stage: Stage, step: usize, done: f64, after: f64) -> Progress {
        Progress {
            stage,
            episode: 0,
            step,
            steps: 10,
            batch_size: 100,
            done,
            step_work: 1.0,
            after,
            most: f64::INFINITY,
        }
    }

    #[test]
    fn the_time_left_goes_by_the_work_left() {
        let mut meter = Meter::default();
        // A second a step, and as much for each of the 360 after this healing.
        for step in 1..=10 {
            let progress = at(Stage::Explore, step, 10.0, 360.0);
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
        meter.step(&at(Stage::Exploit, 10, 10.0, 20.0), 1.0);
        let before = meter.fraction;
        // More is expected than was.
        meter.step(&at(Stage::Recover, 1, 20.0, 200.0), 2.0);
        assert_eq!(meter.fraction, before);
        meter.step(&at(Stage::Recover, 10, 220.0, 0.0), 3.0);
        assert_eq!(meter.fraction, 1.0);
    }
}
