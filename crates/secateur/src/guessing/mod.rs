//! A given network that answers no better than a guess, and what may be the matter.
//!
//! Nothing that pruning does can be told from chance on such a network. Mostly it is the
//! network of other data, or its input is prepared in another way than it was trained with.

mod trials;

use std::fmt;

use secateur_net::NetError;
use secateur_net::data::{Augment, Batch, BatchJob, DataError, Normalisation, Part};
use secateur_net::task::Against;
use secateur_search::environment::training::Problem;

use crate::report::stats::{binomial_tail, chance_agreement};
use crate::table::{Align, table};
pub use trials::{Change, Trial};

/// A network is better than guessing where chance would do as well in fewer cases than this.
const SIGNIFICANCE: f64 = 0.05;
/// The 95 % quantile of the standard normal distribution, for one-sided tests at
/// [`SIGNIFICANCE`].
///
/// Source: NIST/SEMATECH e-Handbook of Statistical Methods, doi 10.18434/M32189, 1.3.6.7.1.
const Z95_ONE_SIDED: f64 = 1.645;
/// Validation images of which fewer tell nothing.
const LEAST_IMAGES: u64 = 100;
/// Validation images that changes of the input are tried on.
const TRIED_ON: usize = 400;

/// How the network was found to be guessing, and what was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Guessing {
    /// Its answers on the validation images.
    pub counts: Counts,
    /// How many of them changes were tried on.
    pub tried_on: usize,
    /// What was tried; first the images as they were given.
    pub tried: Vec<Trial>,
}

/// Right answers against those of a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Images.
    pub images: u64,
    /// Right answers.
    pub right: u64,
    /// Images of the most frequent class.
    pub most_frequent: u64,
}

impl Counts {
    /// Of the right answers and images of each class, if the right answers are no more than those
    /// of a guess that always says the most frequent class (exact binomial test, one-sided, 5 %).
    /// None of too few images, or of a single class, which do not tell.
    pub fn guessed(per_class: impl Iterator<Item = (u64, u64)>) -> Option<Self> {
        let none = Self {
            images: 0,
            right: 0,
            most_frequent: 0,
        };
        let counts = per_class.fold(none, |sum, (right, images)| Self {
            images: sum.images + images,
            right: sum.right + right,
            most_frequent: sum.most_frequent.max(images),
        });
        let Self {
            images,
            right,
            most_frequent,
        } = counts;
        let tells = images >= LEAST_IMAGES && most_frequent < images;
        let chance = most_frequent as f64 / images.max(1) as f64;
        (tells && binomial_tail(right, images, chance) >= SIGNIFICANCE).then_some(counts)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: u64| percent(part as f64 / self.images.max(1) as f64);
        write!(
            f,
            "it answers {} of {} right, {} are of one class",
            share(self.right),
            self.images,
            share(self.most_frequent)
        )
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

impl Guessing {
    /// Asks whether the given network of a problem guesses, and if so tries what may help. Reads
    /// validation images only.
    ///
    /// A network guesses if [`Counts::guessed`] says so and its answers agree with the labels no
    /// more often than they would in a random order: where most images are of one class, a useful
    /// network may be less often right than a guess of that class.
    ///
    /// # Errors
    /// [`NetError`] and [`DataError`] of an inference pass.
    pub fn find(problem: &Problem) -> Result<Option<Self>, GuessingError> {
        let Some(n_classes) = problem.task.n_classes() else {
            return Ok(None);
        };
        if problem.task.against() == Against::Original {
            return Ok(None);
        }
        let (search, confirm) = (&problem.baseline.search, &problem.baseline.confirm);
        let counts = search.per_class.iter().zip(&confirm.per_class);
        let Some(counts) = Counts::guessed(counts.map(|(a, b)| (a.0 + b.0, a.1 + b.1))) else {
            return Ok(None);
        };
        let (answers, labels) = trials::answers(problem, &problem.search.part)?;
        if chance_agreement(&answers, &labels, n_classes) > Z95_ONE_SIDED {
            return Ok(None);
        }
        let sample = sample(&problem.search.part)?;
        Ok(Some(Self {
            counts,
            tried_on: sample.inputs.n,
            tried: trials::try_all(problem, &sample)?,
        }))
    }

    /// The change that helps most, if one helps.
    pub fn best(&self) -> Option<&Trial> {
        let helping = self.tried.iter().filter(|trial| trial.helps);
        helping.max_by(|a, b| a.accuracy.total_cmp(&b.accuracy))
    }
}

/// Some images, before any normalisation, from all over a part.
fn sample(part: &Part) -> Result<Batch, DataError> {
    let n = part.len().min(TRIED_ON);
    let channels = part.shape()[2];
    let identity = Normalisation::identity(channels);
    part.clone().normalised(&identity)?.batch(&BatchJob {
        indices: (0..n).map(|i| i * part.len() / n).collect(),
        augment: Augment::default(),
        seed: 0,
    })
}

impl fmt::Display for Guessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "cannot prune: the given network is no better than guessing on the validation images: \
             {}\n\ntried on {} of them:",
            self.counts, self.tried_on
        )?;
        let rows = self.tried.iter().map(|trial| {
            let helps = if trial.helps { "better" } else { "" };
            [
                format!("  {}", trial.change),
                percent(trial.accuracy),
                helps.to_string(),
            ]
        });
        let align = [Align::Left, Align::Right, Align::Left];
        f.write_str(table(&align, rows).trim_end())
    }
}

/// What can go wrong while asking.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuessingError {
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
}
