//! Means and paired differences of what runs brought.

use serde::Serialize;

use super::bootstrap;
use super::error::CompareError;
use super::experiment::Experiment;
use super::results::{Failure, Results, Row};

/// Which figure of quality is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// On the validation data, which may guide the design.
    Validation,
    /// On the test data, which may not.
    Test,
}

impl Figure {
    /// Test figures, if they are asked for.
    pub fn asked(test: bool) -> Self {
        if test { Self::Test } else { Self::Validation }
    }

    /// In a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    fn of(self, row: &Row) -> Result<[f64; 2], CompareError> {
        match (self, row.test, row.given_test) {
            (Self::Validation, ..) => Ok([row.validation, row.given_validation]),
            (Self::Test, Some(test), Some(given)) => Ok([test, given]),
            (Self::Test, ..) => Err(CompareError::NoTest {
                network: row.network.clone(),
            }),
        }
    }
}

/// What an experiment says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Name of the experiment's file.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// Which quality is compared.
    pub figure: Figure,
    /// What quality is called.
    pub quality_name: String,
    /// The contender that others are held against.
    pub against: String,
    /// The contenders, in their order.
    pub policies: Vec<String>,
    /// By network and promise.
    pub groups: Vec<Group>,
    /// Over all of them.
    pub overall: Vec<Overall>,
    /// Every result.
    pub rows: Vec<Row>,
    /// Runs that failed.
    pub failures: Vec<Failure>,
    /// Runs that are not done.
    pub missing: Vec<String>,
}

/// Contenders under one promise for one network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// The given network.
    pub network: String,
    /// The budget, or the drop that was allowed.
    pub promise: String,
    /// True if a drop was allowed: then sizes are what differs.
    pub is_floor: bool,
    /// Mean quality of the given network.
    pub given: f64,
    /// The contenders that have results.
    pub lines: Vec<Line>,
}

/// Means of a contender over seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    /// The contender.
    pub policy: String,
    /// Seeds that have a result.
    pub runs: usize,
    /// Of these the given network itself.
    pub unchanged: usize,
    /// Mean quality, 0..=1.
    pub quality: f64,
    /// Its standard deviation over seeds, of two and more.
    pub deviation: Option<f64>,
    /// Share of the parameters that remains.
    pub params: f64,
    /// Share of the multiply-adds.
    pub macs: f64,
    /// Cost in sample-MACs as share of the initial training.
    pub cost: f64,
    /// By the clock, as share of the initial training.
    pub clock: Option<f64>,
    /// Seconds.
    pub seconds: f64,
    /// By how many points of quality the one that others are held against is ahead; `None` for itself.
    pub quality_ahead: Option<Difference>,
    /// By how many points of the share of the parameters.
    pub size_ahead: Option<Difference>,
}

/// A contender over all networks and promises.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overall {
    /// The contender.
    pub policy: String,
    /// Points of quality by which the other is ahead, where budgets are met.
    pub budgets: Option<Difference>,
    /// Points of the share of the parameters, where quality is promised.
    pub floors: Option<Difference>,
}

/// A mean of paired differences, with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// The interval, of two pairs and more.
    pub interval: Option<(f64, f64)>,
    /// Pairs.
    pub pairs: usize,
}

impl Difference {
    fn of(values: &[f64]) -> Option<Self> {
        (!values.is_empty()).then(|| Self {
            mean: mean(values.iter().copied()),
            interval: bootstrap::interval(values),
            pairs: values.len(),
        })
    }
}

impl Comparison {
    /// Means and differences of the results of an experiment.
    ///
    /// # Errors
    /// [`CompareError::NoTest`] if test figures are asked for and not there.
    pub fn of(
        experiment: &Experiment,
        results: Results,
        figure: Figure,
    ) -> Result<Self, CompareError> {
        for row in &results.rows {
            figure.of(row)?;
        }
        let name = experiment.file.file_stem().unwrap_or_default();
        let mut comparison = Self {
            name: name.to_string_lossy().into_owned(),
            about: experiment.about.clone(),
            figure,
            quality_name: results.quality_name,
            against: experiment.policies[experiment.against].name.clone(),
            policies: experiment
                .policies
                .iter()
                .map(|policy| policy.name.clone())
                .collect(),
            groups: Vec::new(),
            overall: Vec::new(),
            rows: results.rows,
            failures: results.failures,
            missing: results.missing,
        };
        for network in &experiment.networks {
            for promise in &network.promises {
                for label in promise.labels() {
                    let group = comparison.group(&network.name, &label, promise.is_floor());
                    comparison.groups.extend(group);
                }
            }
        }
        comparison.overall = comparison.overall();
        Ok(comparison)
    }

    fn quality(&self, row: &Row) -> [f64; 2] {
        self.figure
            .of(row)
            .unwrap_or([row.validation, row.given_validation])
    }

    /// `None` while there are no results.
    fn group(&self, network: &str, promise: &str, is_floor: bool) -> Option<Group> {
        let own = |row: &&Row| row.network == network && row.promise == promise;
        let rows: Vec<&Row> = self.rows.iter().filter(own).collect();
        let lines = self
            .policies
            .iter()
            .filter_map(|policy| self.line(&rows, policy));
        (!rows.is_empty()).then(|| Group {
            network: network.to_string(),
            promise: promise.to_string(),
            is_floor,
            given: mean(rows.iter().map(|row| self.quality(row)[1])),
            lines: lines.collect(),
        })
    }

    fn line(&self, group: &[&Row], policy: &str) -> Option<Line> {
        let rows: Vec<&Row> = group
            .iter()
            .copied()
            .filter(|row| row.policy == policy)
            .collect();
        let of = |figure: &dyn Fn(&Row) -> f64| mean(rows.iter().map(|row| figure(row)));
        let qualities: Vec<f64> = rows.iter().map(|row| self.quality(row)[0]).collect();
        let clocks: Option<Vec<f64>> = rows.iter().map(|row| row.clock).collect();
        let is_other = policy != self.against;
        let ahead = |size: bool| {
            let values = self.differences(group, policy, size);
            Difference::of(&values).filter(|_| is_other)
        };
        (!rows.is_empty()).then(|| Line {
            policy: policy.to_string(),
            runs: rows.len(),
            unchanged: rows.iter().filter(|row| row.is_unchanged).count(),
            quality: mean(qualities.iter().copied()),
            deviation: deviation(&qualities),
            params: of(&|row| row.params),
            macs: of(&|row| row.macs),
            cost: of(&|row| row.cost),
            clock: clocks.map(|clocks| mean(clocks.into_iter())),
            seconds: of(&|row| row.seconds),
            quality_ahead: ahead(false),
            size_ahead: ahead(true),
        })
    }

    /// By how many points the one that others are held against is ahead of `policy`, for each network,
    /// promise and seed of which both have a result.
    fn differences(&self, rows: &[&Row], policy: &str, size: bool) -> Vec<f64> {
        let others = rows.iter().filter(|row| row.policy == policy);
        let pairs = others.filter_map(|other| {
            let is_pair = |row: &&&Row| {
                row.policy == self.against
                    && (&row.network, &row.promise, row.seed)
                        == (&other.network, &other.promise, other.seed)
            };
            Some((*rows.iter().find(is_pair)?, *other))
        });
        pairs
            .map(|(first, other)| match size {
                true => 100.0 * (other.params - first.params),
                false => 100.0 * (self.quality(first)[0] - self.quality(other)[0]),
            })
            .collect()
    }

    fn overall(&self) -> Vec<Overall> {
        let of = |is_floor: bool| -> Vec<&Row> {
            self.rows
                .iter()
                .filter(|row| row.is_floor == is_floor)
                .collect()
        };
        let (budgets, floors) = (of(false), of(true));
        let others = self
            .policies
            .iter()
            .filter(|policy| **policy != self.against);
        others
            .map(|policy| Overall {
                policy: policy.clone(),
                budgets: Difference::of(&self.differences(&budgets, policy, false)),
                floors: Difference::of(&self.differences(&floors, policy, true)),
            })
            .collect()
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len().max(1) as f64;
    values.sum::<f64>() / n
}

fn deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values.iter().copied());
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}
