//! A floor on the user's own measure, and the smallest network that holds it.

use super::{Candidate, Choice, Confirm, Finish, Held, Recovered};
use crate::error::SearchError;
use crate::measure::number_text;

/// Share of the given number and the drop by which a number may miss the floor: what is left of a
/// difference of decimal fractions.
const ROUNDING: f64 = 1e-9;

/// The given network's number less what may be lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasureFloor {
    given: f64,
    max_drop: f64,
    lower_is_better: bool,
}

impl MeasureFloor {
    /// A floor `max_drop` below (above, where lower is better) the given network's number.
    pub fn new(given: f64, max_drop: f64, lower_is_better: bool) -> Self {
        Self {
            given,
            max_drop,
            lower_is_better,
        }
    }

    /// The number at the floor.
    pub fn number(&self) -> f64 {
        self.worth(self.worth(self.given) - self.max_drop)
    }

    /// How much worse than the given network's a number is; negative where it is better.
    pub fn drop(&self, number: f64) -> f64 {
        self.worth(self.given) - self.worth(number)
    }

    /// Is a number no worse than at the floor?
    pub fn holds(&self, number: f64) -> bool {
        self.worth(number) >= self.least()
    }

    /// The number, or its negative where lower is better: the larger, the better.
    fn worth(&self, number: f64) -> f64 {
        if self.lower_is_better {
            -number
        } else {
            number
        }
    }

    /// A measured candidate, by its worth; `None` without a number.
    pub(super) fn recovered(&self, candidate: &Candidate) -> Option<Recovered> {
        let reading = candidate.reading?;
        Some(Recovered {
            remaining: candidate.remaining,
            value: self.worth(reading.number),
            loss: candidate.loss,
            is_trained: candidate.finish == Finish::Recovered,
        })
    }

    /// May a candidate hold although others have failed? Not if one failed that was larger and of
    /// higher quality.
    pub(super) fn may_hold(&self, candidate: &Candidate, others: &[Candidate]) -> bool {
        let is_beyond = |failed: &Candidate| {
            candidate.remaining < failed.remaining && candidate.quality < failed.quality
        };
        !failed(self, others).any(is_beyond)
    }

    /// The smallest candidate that holds, or the given network and why.
    pub(super) fn smallest(
        &self,
        label: &str,
        candidates: &[Candidate],
        confirm: &mut Confirm<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Choice>, SearchError> {
        let holds = |c: &&Candidate| c.reading.is_some_and(|r| self.holds(r.number));
        let held = candidates.iter().enumerate().filter(|(_, c)| holds(c));
        let smallest = held.min_by(|(_, a), (_, b)| {
            let by_size = a.remaining.total_cmp(&b.remaining);
            by_size.then(b.quality.total_cmp(&a.quality))
        });
        let Some((index, candidate)) = smallest else {
            warnings.push(self.unchanged(candidates));
            return Ok(None);
        };
        Ok(Some(Choice {
            label: label.to_string(),
            target: None,
            candidate: Some(index),
            confirm: confirm(candidate)?,
        }))
    }

    fn unchanged(&self, candidates: &[Candidate]) -> String {
        let mut text = format!(
            "no smaller network held the floor of {} on the measure: the given network is returned \
             unchanged",
            number_text(self.number())
        );
        let drop = |c: &Candidate| c.reading.map(|reading| self.drop(reading.number));
        let drops = failed(self, candidates).filter_map(|c| Some((c, drop(c)?)));
        if let Some((candidate, drop)) = drops.min_by(|(_, a), (_, b)| a.total_cmp(b)) {
            text.push_str(&format!(
                "; with `max_drop` {} the one with {:.2} % of the parameters would have been \
                 taken",
                number_text(rounded_up(drop)),
                100.0 * candidate.remaining
            ));
        }
        text
    }
}

/// A drop that is at least so large, in three digits.
fn rounded_up(drop: f64) -> f64 {
    let unit = 10f64.powf(drop.log10().floor() - 2.0);
    (drop / unit - ROUNDING).ceil() * unit
}

/// Those that were measured and do not hold.
fn failed<'c>(
    floor: &MeasureFloor,
    candidates: &'c [Candidate],
) -> impl Iterator<Item = &'c Candidate> {
    let floor = *floor;
    let fails = move |c: &&Candidate| c.reading.is_some_and(|r| !floor.holds(r.number));
    candidates.iter().filter(fails)
}

/// How far a measure moves by chance is not known: every number is taken at its word.
impl Held for MeasureFloor {
    fn given(&self) -> f64 {
        self.worth(self.given)
    }

    fn least(&self) -> f64 {
        let rounding = ROUNDING * (self.given.abs() + self.max_drop);
        self.worth(self.given) - self.max_drop - rounding
    }

    fn holds(&self, recovered: &Recovered) -> bool {
        MeasureFloor::holds(self, self.worth(recovered.value))
    }

    fn may_hold(&self, recovered: &Recovered) -> bool {
        Held::holds(self, recovered)
    }

    fn is_near(&self, _: &Recovered) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NextSize, next_size};
    use super::*;
    use crate::measure::Reading;
    use secateur_net::train::Evaluation;

    fn candidate(remaining: f64, quality: f64, number: Option<f64>) -> Candidate {
        Candidate {
            snapshot: 0,
            record: 0,
            stop: None,
            remaining,
            quality,
            loss: 0.1,
            finish: Finish::Recovered,
            reading: number.map(|number| Reading {
                number,
                seconds: 1.0,
            }),
        }
    }

    #[test]
    fn a_drop_is_counted_in_the_direction_of_the_measure() {
        let higher = MeasureFloor::new(53.2, 0.5, false);
        assert!((higher.number() - 52.7).abs() < 1e-9);
        assert!(higher.holds(52.7) && higher.holds(60.0) && !higher.holds(52.69));
        let lower = MeasureFloor::new(1.1, 0.1, true);
        assert!((lower.number() - 1.2).abs() < 1e-9);
        assert!(lower.holds(1.2) && lower.holds(0.0) && !lower.holds(1.201));
        // 0.9 - 0.8 is a little less than 0.1, 1.1 - 1 a little more.
        assert!(MeasureFloor::new(1.1, 0.1, false).holds(1.0));
        assert!(MeasureFloor::new(0.9, 0.1, false).holds(0.8));
    }

    #[test]
    fn an_advised_drop_lets_the_number_pass() {
        for (given, number) in [(0.9, 0.875), (0.9, 0.1234567), (53.2, 53.1), (1e-3, 9e-4)] {
            let drop = rounded_up(MeasureFloor::new(given, 0.0, false).drop(number));
            let told: f64 = number_text(drop).parse().unwrap();
            assert!(
                MeasureFloor::new(given, told, false).holds(number),
                "{told}"
            );
            assert!(told < 1.011 * (given - number), "{told}");
        }
    }

    #[test]
    fn what_is_smaller_and_worse_than_a_failure_is_not_worth_a_reading() {
        let floor = MeasureFloor::new(0.9, 0.0, false);
        let tried = [
            candidate(0.1, 0.8, Some(0.7)),
            candidate(0.5, 0.6, Some(0.95)),
        ];
        let worth =
            |remaining, quality| floor.may_hold(&candidate(remaining, quality, None), &tried);
        assert!(!worth(0.05, 0.7));
        assert!(worth(0.05, 0.85));
        assert!(worth(0.2, 0.7));
        // Nothing follows from one that held.
        assert!(worth(0.4, 0.5));
    }

    #[test]
    fn the_smallest_that_holds_is_taken_and_the_nearest_miss_is_told() {
        let choose = |drop: f64, lower: bool, tried: &[Candidate]| {
            let mut warnings = Vec::new();
            let mut confirm = |candidate: &Candidate| {
                Ok(Evaluation {
                    quality: candidate.quality,
                    loss: 0.1,
                    samples: Vec::new(),
                    per_class: Vec::new(),
                    figures: Vec::new(),
                })
            };
            let floor = MeasureFloor::new(0.9, drop, lower);
            let choice = floor.smallest("aec", tried, &mut confirm, &mut warnings);
            (choice.unwrap().and_then(|c| c.candidate), warnings)
        };
        let tried = [
            candidate(0.1, 0.8, Some(0.875)),
            candidate(0.3, 0.8, Some(0.9)),
            candidate(0.02, 0.9, None),
            candidate(0.2, 0.8, Some(0.925)),
        ];
        assert_eq!(choose(0.0, false, &tried).0, Some(3));
        assert_eq!(choose(0.1, false, &tried).0, Some(0));
        assert_eq!(choose(0.0, true, &tried).0, Some(0));
        let (none, warnings) = choose(0.0, false, &tried[..1]);
        assert_eq!(none, None);
        assert!(
            warnings[0].contains("returned unchanged; with `max_drop` 0.025"),
            "{warnings:?}"
        );
    }

    /// Bisecting by the number: between the largest that failed and the smallest that held.
    #[test]
    fn the_next_size_goes_by_the_number() {
        let after = |floor: MeasureFloor, tried: &[(f64, f64)]| {
            let of = |&(size, number)| floor.recovered(&candidate(size, 0.5, Some(number)));
            let tried: Vec<Recovered> = tried.iter().filter_map(of).collect();
            next_size(&tried, &floor, 3)
        };
        let is = |found: NextSize, expected: f64| {
            let NextSize::Other(size) = found else {
                panic!("{found:?}, not {expected}");
            };
            // The floor lies lower by ROUNDING of 55, of 10 that the numbers differ by.
            assert!((size - expected).abs() < 1e-7, "{size}, not {expected}");
        };
        let floor = MeasureFloor::new(50.0, 5.0, false);
        assert_eq!(after(floor, &[]), NextSize::Same);
        // Half of the way from 40 at 0.01 to 50 at 1.
        is(after(floor, &[(0.01, 40.0)]), 0.1);
        is(after(floor, &[(0.08, 45.0)]), 0.05);
        let settled = after(floor, &[(0.11, 46.0), (0.1, 44.9)]);
        assert_eq!(settled, NextSize::Settled);
        // The same as errors.
        let errors = MeasureFloor::new(50.0, 5.0, true);
        is(after(errors, &[(0.01, 60.0)]), 0.1);
    }
}
