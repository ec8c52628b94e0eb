//! Auto-AEC, accuracy-ensured compression: quality never ends below the floor.

use super::confirmation::Confirmation;
use super::next_size::{NextSize, Recovered, next_size};
use super::retries::Retries;
use super::solved_size::solved_size;
use super::{
    Candidate, Confirm, Finish, Floor, Ledger, MeasureFloor, Promise, RecoveriesAhead, Recovery,
    Start, Stops, Verdict, least_remaining,
};
use crate::baseline::Baseline;
use crate::config::{Metric, SearchConfig};
use crate::error::SearchError;
use crate::space::Space;

/// No recovery begins that the cost allows fewer passes over the training data than this: so
/// short a one hardly ever holds the floor, and of a large network few long recoveries are worth
/// more than many short ones.
const LEAST_PASSES: f64 = 4.0;

/// The same where no network may have held yet: a recovery goes back to its start where training does
/// not help, and a large network begins near to the given one.
const LAST_PASSES: f64 = 1.0;

/// The first recovery takes a quarter of what the cost allows: it tells how far the floor is.
const FIRST: usize = 4;

/// A recovery of another size takes half of what is left. What is trained on as it is takes all: within one
/// recovery the learning rate falls once, and two in a row end at a higher loss than a long one.
const PARTS: usize = 2;

/// Share of `max_cost` that recoveries leave for larger networks with solved weights alone: whether a
/// recovered one is confirmed shows in the end.
const FOR_SOLVING: f64 = 0.12;

/// See the module.
pub struct Aec {
    search: SearchConfig,
    stops: Stops,
    confirmation: Confirmation,
    /// Decides in place of quality, where the user has a measure of their own.
    measured: Option<MeasureFloor>,
}

impl Aec {
    /// Name of the mode.
    pub const NAME: &'static str = "aec";

    /// A floor `max_drop` points (hundredths) below the given network.
    pub fn new(
        max_drop: f64,
        search: &SearchConfig,
        space: &Space,
        baseline: &Baseline,
        quality_name: &str,
    ) -> Self {
        // As far down as the settings look, but no further than the network allows.
        let target = search
            .aec_target
            .max(least_remaining(space, search.round_to));
        Self {
            stops: Stops::new(Metric::Params, vec![target.min(Stops::LARGEST)]),
            confirmation: Confirmation {
                floor: Floor::new(baseline, max_drop, search.hold_loss),
                label: Self::NAME,
                quality_name: quality_name.to_string(),
            },
            search: search.clone(),
            measured: None,
        }
    }

    /// The same with a floor on the user's own measure: quality guides the search, and the
    /// measure says what holds.
    #[must_use]
    pub fn measured_by(self, floor: Option<MeasureFloor>) -> Self {
        Self {
            measured: floor,
            ..self
        }
    }

    /// The size of recovery `number`.
    fn size_of(&self, number: usize, ledger: &Ledger<'_>) -> NextSize {
        let left = self.search.recover_tries.saturating_sub(number);
        let results = results(ledger);
        match &self.measured {
            Some(floor) => {
                let tried: Vec<_> = results.filter_map(|c| floor.recovered(c)).collect();
                next_size(&tried, floor, left)
            }
            None => {
                let tried: Vec<_> = results.map(Recovered::from).collect();
                next_size(&tried, self.floor(), left)
            }
        }
    }

    /// Could the run end with one of the networks so far?
    fn any_may_hold(&self, ledger: &Ledger<'_>) -> bool {
        results(ledger).any(|candidate| match &self.measured {
            Some(floor) => candidate.reading.is_some_and(|r| floor.holds(r.number)),
            None => self.floor().may_hold(candidate.quality),
        })
    }

    /// What the run may cost until the last recovery ends, as share of the initial training.
    pub(super) fn most_cost(&self) -> f64 {
        match self.measured {
            Some(_) => self.search.max_cost,
            None => (1.0 - FOR_SOLVING) * self.search.max_cost,
        }
    }

    /// Passes that fit into what may still be spent on the present network.
    fn passes_allowed(&self, ledger: &Ledger<'_>) -> f64 {
        ledger.steps_allowed(self.most_cost()) / ledger.costs.steps_of_a_pass()
    }

    /// The recoveries that try again; none where every network is measured by the user's own command.
    pub(super) fn retries(&self, ledger: &Ledger<'_>) -> Option<Retries> {
        let retries = Retries::of(ledger, self.search.max_cost, self.most_cost());
        retries.filter(|_| self.measured.is_none())
    }

    /// The same where recovery `number` is one of them.
    fn retries_at(&self, number: usize, ledger: &Ledger<'_>) -> Option<Retries> {
        let retries = self.retries(ledger);
        retries.filter(|retries| number > 0 && retries.are_due())
    }

    /// The network that is tried again: of those of the last recovered size the one of the lowest loss.
    fn tried_again<'a>(&self, ledger: &Ledger<'a>) -> Option<(usize, &'a Candidate)> {
        let all = ledger.candidates.iter().enumerate();
        let recovered = all.filter(|(_, candidate)| candidate.finish == Finish::Recovered);
        let (_, last) = recovered.clone().next_back()?;
        let same = recovered.filter(|(_, candidate)| candidate.remaining == last.remaining);
        same.min_by(|(_, a), (_, b)| a.loss.total_cmp(&b.loss))
    }

    /// Does it pay to try again: the network's quality misses the floor on both parts together by no more than
    /// chance, and none was confirmed?
    fn tries_again(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<bool, SearchError> {
        let floor = self.floor();
        let Some((_, network)) = self.tried_again(ledger) else {
            return Ok(false);
        };
        let may_be = floor.may_be_confirmed(network.quality, confirm(network)?.quality);
        Ok(may_be && !self.confirmation.confirms_any(ledger.candidates, confirm)?)
    }
}

/// What the run could end with.
fn results<'a>(ledger: &Ledger<'a>) -> impl Iterator<Item = &'a Candidate> + use<'a> {
    let all = ledger.candidates.iter();
    all.filter(|candidate| candidate.finish != Finish::Looked)
}

impl From<&Candidate> for Recovered {
    fn from(candidate: &Candidate) -> Self {
        Self {
            remaining: candidate.remaining,
            value: candidate.quality,
            loss: candidate.loss,
            is_trained: candidate.finish == Finish::Recovered,
        }
    }
}

impl Promise for Aec {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn stops(&self) -> &Stops {
        &self.stops
    }

    fn floor(&self) -> &Floor {
        &self.confirmation.floor
    }

    fn keeps_floor(&self) -> bool {
        true
    }

    /// Sizes between the largest that was recovered and the given network; none by a measure of the user's own, which
    /// may take long.
    fn solved_size(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<Option<f64>, SearchError> {
        let is_spent = ledger.worked >= ledger.costs.of_share(self.search.max_cost);
        if self.measured.is_some() || is_spent {
            return Ok(None);
        }
        let of = |finish| {
            let all = ledger.candidates.iter();
            all.filter(move |candidate| candidate.finish == finish)
        };
        let floor = self.floor();
        let mut tried = Vec::new();
        for c in of(Finish::Solved) {
            let holds =
                c.quality >= floor.search() && floor.is_confirmed(c.quality, confirm(c)?.quality);
            tried.push((c.remaining, holds));
        }
        let recovered = of(Finish::Recovered).map(|c| c.remaining);
        let failed = recovered.fold(0.0, f64::max);
        Ok(solved_size(&tried, failed))
    }

    /// The best network of the search, then the present one at the size that follows from the
    /// recoveries before; where it is tried again, the best of its size.
    fn start(&self, number: usize, ledger: &Ledger<'_>) -> Option<Start> {
        if let (0, Some((index, _))) = (number, ledger.kept_for(self.stops.last()).next_back()) {
            return Some(Start::Candidate(index));
        }
        if self.retries_at(number, ledger).is_some() {
            let (index, _) = self.tried_again(ledger)?;
            return Some(Start::Candidate(index));
        }
        Some(match self.size_of(number, ledger) {
            NextSize::Other(share) => Start::Resized(share),
            NextSize::Same | NextSize::Settled => Start::Present,
        })
    }

    /// A part of what the cost still allows, or all where parts would be too short, but for what is left to
    /// try again.
    fn recovery(&self, number: usize, ledger: &Ledger<'_>) -> Recovery {
        let search = &self.search;
        let pass = ledger.costs.steps_of_a_pass();
        let most_cost = self.most_cost();
        let allowed = ledger.steps_allowed(most_cost);
        if let Some(retries) = self.retries_at(number, ledger) {
            return Recovery {
                steps: ledger.within_bounds(search, retries.steps()),
                stop: None,
                rate: Retries::RATE,
            };
        }
        let long = (allowed / (LEAST_PASSES * pass)) as usize;
        let tries = search.recover_tries.saturating_sub(number);
        let parts = match self.size_of(number, ledger) {
            _ if number == 0 => FIRST,
            NextSize::Same => 1,
            _ => PARTS,
        };
        let parts = parts.min(tries).min(long).max(1);
        let kept_back = match (parts, self.retries(ledger)) {
            (1, Some(retries)) => retries.kept_back(),
            _ => 0.0,
        };
        Recovery {
            steps: ledger.within_bounds(search, allowed / parts as f64 - kept_back),
            stop: None,
            rate: 1.0,
        }
    }

    fn measures(&self, candidate: &Candidate, ledger: &Ledger<'_>) -> bool {
        let floor = self.measured.as_ref();
        floor.is_some_and(|floor| floor.may_hold(candidate, ledger.candidates))
    }

    fn goes_on(
        &self,
        number: usize,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<bool, SearchError> {
        if number + 1 >= self.search.recover_tries {
            return Ok(false);
        }
        if let Some(retries) = self.retries_at(number + 1, ledger) {
            return Ok(retries.are_paid() && self.tries_again(ledger, confirm)?);
        }
        let is_settled = self.size_of(number + 1, ledger) == NextSize::Settled;
        let least = if self.any_may_hold(ledger) {
            LEAST_PASSES
        } else {
            LAST_PASSES
        };
        Ok(!is_settled && self.passes_allowed(ledger) >= least)
    }

    fn recoveries_ahead(&self) -> RecoveriesAhead {
        RecoveriesAhead {
            count: self.search.recover_tries,
            parts: PARTS,
            least_share: 0.0,
            most_steps: self.search.recovery_steps()[1] as f64,
            sizes: self.stops.shares.clone(),
            same_size: true,
            bounded: true,
        }
    }

    /// The smallest network that held the floor, or the given one.
    fn verdict(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<Verdict, SearchError> {
        let mut verdict = Verdict::default();
        let (candidates, warnings) = (ledger.candidates, &mut verdict.warnings);
        let chosen = match &self.measured {
            Some(floor) => floor
                .smallest(Self::NAME, candidates, confirm, warnings)?
                .unwrap_or_else(|| self.confirmation.given()),
            None => self
                .confirmation
                .most_compressed(candidates, confirm, warnings)?,
        };
        let why = "looks, setting up and what was begun at the bound come on top";
        warnings.extend(ledger.overrun(self.search.max_cost, why));
        verdict.outputs.push(chosen);
        Ok(verdict)
    }
}
