//! The two promises of a run: what an epoch may do, what is kept, what comes next, and which
//! networks are the result.
//!
//! Promises are kept outside the agent: a bad agent costs compression or quality, never the
//! promise.

mod aec;
mod ceca;
mod confirmation;
mod floor;
mod measured;
mod next_size;
mod retries;
mod solved_size;
mod stops;

use secateur_net::train::Evaluation;
use serde::{Deserialize, Serialize};

pub use aec::Aec;
pub use ceca::Ceca;
pub use floor::Floor;
pub use measured::MeasureFloor;
pub use next_size::{Held, NextSize, Recovered, next_size};
pub use stops::{Bounds, Stops};

use crate::baseline::Baseline;
use crate::config::{Count, Metric, Mode, PruneConfig, SearchConfig, Target};
use crate::costs::Costs;
use crate::environment::Standing;
use crate::error::SearchError;
use crate::measure::Reading;
use crate::space::{Space, SpaceError};

/// What was done for a candidate, and so how far its figures reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finish {
    /// Its weights were solved, and few samples tell how good it is: no result yet.
    Looked,
    /// Its weights were solved, and all of the search part tells how good it is.
    Solved,
    /// It was recovered by training.
    Recovered,
}

/// How far a run may pass its bound before the user is told, as factor.
const OVERRUN: f64 = 1.05;

/// A network that may become a result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Number of its file among the snapshots.
    pub snapshot: usize,
    /// Record in the history that made it.
    pub record: usize,
    /// Which stop it was kept for; `None` where the size is not promised.
    pub stop: Option<usize>,
    /// Share of the parameters that remains.
    pub remaining: f64,
    /// Quality on the search part.
    pub quality: f64,
    /// Loss on the search part.
    pub loss: f64,
    /// What was done for it.
    pub finish: Finish,
    /// By the user's own measure, where it was asked.
    pub reading: Option<Reading>,
}

/// What a promise looks at.
#[derive(Clone, Copy)]
pub struct Ledger<'a> {
    /// What may be pruned, and what it costs.
    pub space: &'a Space,
    /// Prices.
    pub costs: &'a Costs,
    /// How the present network stands.
    pub standing: &'a Standing,
    /// What was kept so far.
    pub candidates: &'a [Candidate],
    /// Sample-MACs spent so far.
    pub spent: f64,
    /// Work so far.
    pub worked: f64,
}

impl<'a> Ledger<'a> {
    /// What was kept for a stop, with its place among the candidates.
    pub fn kept_for(
        &self,
        stop: usize,
    ) -> impl DoubleEndedIterator<Item = (usize, &'a Candidate)> + use<'a> {
        let all = self.candidates.iter().enumerate();
        all.filter(move |(_, kept)| kept.stop == Some(stop))
    }

    /// Multiply-adds of the present network.
    pub fn macs(&self) -> f64 {
        self.space.count(&self.standing.masks).macs as f64
    }

    /// Share of a metric that the present network keeps.
    pub fn remaining(&self, metric: impl Into<Count>) -> f64 {
        self.space.remaining(metric, &self.standing.masks)
    }

    /// Sample-MACs spent so far, as share of the initial training.
    pub fn spent_share(&self) -> f64 {
        self.costs.share(self.spent)
    }

    /// What a user must know if the run has cost more of the initial training than `max_cost`, in sample-MACs or
    /// in work; `why` ends the sentence.
    fn overrun(&self, max_cost: f64, why: &str) -> Option<String> {
        let [cost, time] = [self.spent, self.worked].map(|spent| self.costs.share(spent));
        (cost.max(time) > OVERRUN * max_cost).then(|| {
            format!(
                "the run cost {:.0} % of the initial training in sample-MACs and about {:.0} % of its time, more \
                 than `max_cost` ({:.0} %): {why}",
                100.0 * cost,
                100.0 * time,
                100.0 * max_cost,
            )
        })
    }

    /// Steps of the present network that may still be taken until the run has cost `max_cost` of
    /// the initial training, with the look at the end: neither in sample-MACs nor in work more.
    pub fn steps_allowed(&self, max_cost: f64) -> f64 {
        let macs = self.macs();
        let whole = self.costs.of_share(max_cost);
        let left_after =
            |spent: f64, look: f64, step: f64| (whole - spent - look).max(0.0) / step.max(1.0);
        let (look, step) = (self.costs.look(macs), self.costs.step(macs));
        let slowdown = self.costs.slowdown(macs);
        let by_macs = left_after(self.spent, look, step);
        by_macs.min(left_after(self.worked, slowdown * look, slowdown * step))
    }

    /// Steps of one of `parts` equal recoveries of what is left of `most_cost`, as share of the initial
    /// training, within the bounds of a recovery.
    pub fn share_of_steps(&self, search: &SearchConfig, most_cost: f64, parts: usize) -> usize {
        self.within_bounds(search, self.steps_allowed(most_cost) / parts.max(1) as f64)
    }

    /// So many steps, within the bounds of a recovery.
    fn within_bounds(&self, search: &SearchConfig, steps: f64) -> usize {
        let [least, most] = search.recovery_steps();
        (steps as usize).clamp(least, most.max(least))
    }
}

/// What a recovery begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// The present network.
    Present,
    /// The candidate of that index.
    Candidate(usize),
    /// The present network, cut or grown to a share of the parameters.
    Resized(f64),
}

/// How a network is recovered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recovery {
    /// Training steps.
    pub steps: usize,
    /// The stop that it is recovered for.
    pub stop: Option<usize>,
    /// Peak of the learning rate, as share of the usual one of recoveries, 0..=1.
    pub rate: f32,
}

/// What recoveries are expected to cost, for the progress that a user sees.
#[derive(Debug, Clone, PartialEq)]
pub struct RecoveriesAhead {
    /// How many at most.
    pub count: usize,
    /// Each takes an equal part of what is left, of as many as are to come but no more than these.
    pub parts: usize,
    /// Least share of the initial training that one costs.
    pub least_share: f64,
    /// Most steps of one.
    pub most_steps: f64,
    /// Share in the stops' metric of each network; the last for those beyond.
    pub sizes: Vec<f64>,
    /// Do later networks have about the size of the first?
    pub same_size: bool,
    /// May the run end at its `max_cost`, whatever is missing?
    pub bounded: bool,
}

/// A network that was chosen as a result.
#[derive(Debug, Clone)]
pub struct Choice {
    /// `params=0.14`, or the mode's name.
    pub label: String,
    /// What it was asked to meet, if anything.
    pub target: Option<Target>,
    /// Which candidate it is; `None` for the given network.
    pub candidate: Option<usize>,
    /// How good it is on the confirmation part.
    pub confirm: Evaluation,
}

/// Which networks are the result.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// What was promised.
    pub outputs: Vec<Choice>,
    /// Further networks, none of which another one beats in both size and quality.
    pub front: Vec<Choice>,
    /// What the user must know.
    pub warnings: Vec<String>,
}

/// Evaluates a candidate on the confirmation part.
pub type Confirm<'a> = dyn FnMut(&Candidate) -> Result<Evaluation, SearchError> + 'a;

/// See the module.
pub trait Promise {
    /// Name of the mode.
    fn name(&self) -> &'static str;

    /// Sizes at which networks are kept.
    fn stops(&self) -> &Stops;

    /// What quality is held against while searching.
    fn floor(&self) -> &Floor;

    /// True if quality is what is promised, and size what is sought.
    fn keeps_floor(&self) -> bool;

    /// Share of the parameters of the next network that is judged with solved weights alone, where no
    /// recovery led to a result; `None` where no more are wanted.
    ///
    /// # Errors
    /// Those of `confirm`.
    fn solved_size(
        &self,
        _ledger: &Ledger<'_>,
        _confirm: &mut Confirm<'_>,
    ) -> Result<Option<f64>, SearchError> {
        Ok(None)
    }

    /// What recovery `number`, from 0, begins with; `None` if there is nothing to recover.
    fn start(&self, number: usize, ledger: &Ledger<'_>) -> Option<Start>;

    /// How recovery `number` goes, once it has begun.
    fn recovery(&self, number: usize, ledger: &Ledger<'_>) -> Recovery;

    /// Is the user's own measure asked of this candidate before the run goes on?
    fn measures(&self, _candidate: &Candidate, _ledger: &Ledger<'_>) -> bool {
        false
    }

    /// Does another recovery come after recovery `number`?
    ///
    /// # Errors
    /// Those of `confirm`.
    fn goes_on(
        &self,
        number: usize,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<bool, SearchError>;

    /// What recoveries will cost, as far as that is known beforehand.
    fn recoveries_ahead(&self) -> RecoveriesAhead;

    /// The networks that keep the promise.
    ///
    /// # Errors
    /// Those of `confirm`.
    fn verdict(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<Verdict, SearchError>;
}

/// The promise that a config asks for; `measured` is the given network's number by the user's own
/// measure, if there is one.
///
/// # Errors
/// [`SpaceError`] for budgets that cannot be counted or reached.
pub fn of_config(
    config: &PruneConfig,
    space: &Space,
    baseline: &Baseline,
    quality_name: &str,
    measured: Option<&Reading>,
) -> Result<Box<dyn Promise>, SpaceError> {
    Ok(match &config.mode {
        Mode::Aec { max_drop } => {
            let floor = measured.map(|given| {
                MeasureFloor::new(given.number, *max_drop, config.measure.lower_is_better)
            });
            // Then the drop is in the measure's unit: by quality the search is guided as if
            // nothing might be lost.
            let points = if floor.is_some() { 0.0 } else { *max_drop };
            let aec = Aec::new(points, &config.search, space, baseline, quality_name);
            Box::new(aec.measured_by(floor))
        }
        Mode::Ceca { budgets, max_drop } => Box::new(Ceca::new(
            budgets,
            *max_drop,
            &config.search,
            space,
            baseline,
            quality_name,
        )?),
    })
}

/// Share of the parameters of the smallest network.
fn least_remaining(space: &Space, round_to: usize) -> f64 {
    space.remaining(Metric::Params, &space.smallest(round_to))
}
