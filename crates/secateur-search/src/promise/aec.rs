//! Auto-AEC, accuracy-ensured compression: quality never ends below the floor.

use super::confirmation::Confirmation;
use super::next_size::{NextSize, Recovered, next_size};
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

/// Share of `max_cost` that a recovery takes which tries again: a network whose loss holds while its quality
/// misses the floor by no more than chance decides for other samples then.
const RETRY: f64 = 0.06;

/// Such recoveries that the one before leaves something for.
const RETRIES: f64 = 2.0;

/// They take this share of the peak learning rate, so that the network stays what it has become.
const RETRY_RATE: f32 = 0.4;

/// None is shorter than this many passes.
const LEAST_RETRY: f64 = 0.5;

/// Share of `max_cost` that recoveries leave for larger networks with solved weights alone: whether a
/// recovered one is confirmed shows in the end.
const FOR_SOLVING: f64 = 0.08;

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
        if self.is_retry(number, ledger) {
            return NextSize::Same;
        }
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
    fn most_cost(&self) -> f64 {
        match self.measured {
            Some(_) => self.search.max_cost,
            None => (1.0 - FOR_SOLVING) * self.search.max_cost,
        }
    }

    /// Passes that fit into what may still be spent on the present network.
    fn passes_allowed(&self, ledger: &Ledger<'_>) -> f64 {
        ledger.steps_allowed(self.most_cost()) / ledger.costs.steps_of_a_pass()
    }

    /// Steps of the present network in one recovery that tries again; none where they would be too few to
    /// change it, or where every network is measured by the user's own command.
    fn steps_of_a_retry(&self, ledger: &Ledger<'_>) -> Option<f64> {
        let costs = ledger.costs;
        let macs = ledger.macs();
        let step = costs.slowdown(macs) * costs.step(macs);
        let steps = costs.of_share(RETRY * self.search.max_cost) / step.max(1.0);
        let is_enough = steps >= LEAST_RETRY * costs.steps_of_a_pass();
        (is_enough && self.measured.is_none()).then_some(steps)
    }

    /// Is recovery `number` one that tries again? It is if the long ones have left no more than such ones
    /// take.
    fn is_retry(&self, number: usize, ledger: &Ledger<'_>) -> bool {
        let left = ledger.steps_allowed(self.most_cost());
        let retry = self.steps_of_a_retry(ledger);
        number > 0 && retry.is_some_and(|retry| left < (RETRIES + 0.5) * retry)
    }

    /// Is there money for a recovery that tries again, and does one pay: the last network's loss holds, its
    /// quality misses the floor by no more than chance, and no network was confirmed?
    fn retries(&self, ledger: &Ledger<'_>, confirm: &mut Confirm<'_>) -> Result<bool, SearchError> {
        let floor = self.floor();
        let is_paid = self.passes_allowed(ledger) >= LEAST_RETRY;
        let last = ledger.candidates.last();
        let Some(last) = last.filter(|last| is_paid && floor.loss_holds(last.loss)) else {
            return Ok(false);
        };
        if !floor.may_be_confirmed(last.quality, confirm(last)?.quality) {
            return Ok(false);
        }
        let unheard = &mut Vec::new();
        let best = self
            .confirmation
            .most_compressed(ledger.candidates, confirm, unheard)?;
        Ok(best.candidate.is_none())
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
    /// recoveries before.
    fn start(&self, number: usize, ledger: &Ledger<'_>) -> Option<Start> {
        if let (0, Some((index, _))) = (number, ledger.kept_for(self.stops.last()).next_back()) {
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
        let retry = self.steps_of_a_retry(ledger);
        if let Some(retry) = retry.filter(|_| self.is_retry(number, ledger)) {
            return Recovery {
                steps: ledger.within_bounds(search, retry.min(allowed)),
                stop: None,
                rate: RETRY_RATE,
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
        let kept_back = match parts {
            1 => RETRIES * retry.unwrap_or(0.0),
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
        if self.is_retry(number + 1, ledger) {
            return self.retries(ledger, confirm);
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
            most_steps: self.search.recover_steps as f64,
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

#[cfg(test)]
mod tests {
    use secateur_net::task::Against;
    use secateur_net::train::Evaluation;
    use secateur_onnx::arch::{VggConfig, vgg_like};
    use secateur_onnx::graph::Graph;

    use super::*;
    use crate::costs::{Costs, Reference, TRAINING_PASS};
    use crate::environment::Standing;

    fn evaluation(quality: f64, loss: f64) -> Evaluation {
        let right = (1000.0 * quality).round() as usize;
        Evaluation {
            quality,
            loss,
            samples: (0..1000)
                .map(|i| if i < right { 1.0 } else { 0.0 })
                .collect(),
            per_class: Vec::new(),
            figures: Vec::new(),
        }
    }

    fn space() -> Space {
        let mut config = VggConfig::new([1, 8, 8], 3);
        config.stages = VggConfig::parse_stages("16,M,32,M").unwrap();
        let graph = Graph::from_model(&vgg_like(&config, 0).unwrap()).unwrap();
        Space::new(&graph, &[]).unwrap()
    }

    /// Prices of a network that was trained for 40 passes over 1,000 samples.
    fn costs(space: &Space) -> Costs {
        Costs {
            reference: Reference {
                sample_macs: 40_000.0 * TRAINING_PASS * space.size.macs as f64,
                seconds: None,
                is_measured: true,
            },
            full_macs: space.size.macs as f64,
            traffic: 0.0,
            batch_size: 10,
            n_train: 1000,
            n_search: 10,
            n_probe: 1,
            training_pass: TRAINING_PASS,
            teacher_macs: 0.0,
            setup: 0.0,
            effort: 0.0,
        }
    }

    fn recovered(quality: f64, loss: f64) -> Candidate {
        Candidate {
            snapshot: 0,
            record: 0,
            stop: None,
            remaining: 1.0,
            quality,
            loss,
            finish: Finish::Recovered,
            reading: None,
        }
    }

    /// What the promise says when a share of the money is spent, all kernels being on.
    fn after(
        space: &Space,
        candidates: &[Candidate],
        spent: f64,
        check: impl Fn(&Aec, &Ledger<'_>),
    ) {
        let given = evaluation(0.98, 0.1);
        let baseline = Baseline {
            against: Against::Labels,
            search: given.clone(),
            confirm: given,
        };
        let aec = Aec::new(0.0, &SearchConfig::default(), space, &baseline, "accuracy");
        let costs = costs(space);
        let spent = spent * costs.of_share(aec.most_cost());
        let standing = Standing {
            masks: space.all_active(),
            quality: 0.98,
            loss: 0.1,
            convergence: 0.0,
        };
        let ledger = Ledger {
            space,
            costs: &costs,
            standing: &standing,
            candidates,
            spent,
            worked: spent,
        };
        check(&aec, &ledger);
    }

    #[test]
    fn a_quarter_then_the_rest_but_for_what_tries_again() {
        let space = space();
        after(&space, &[], 0.0, |aec, ledger| {
            let all = ledger.steps_allowed(aec.most_cost());
            let first = aec.recovery(0, ledger);
            assert_eq!((first.steps, first.rate), ((all / 4.0) as usize, 1.0));
        });
        let one = [recovered(0.979, 0.09)];
        after(&space, &one, 0.25, |aec, ledger| {
            let left = ledger.steps_allowed(aec.most_cost());
            let retry = aec.steps_of_a_retry(ledger).unwrap();
            let second = aec.recovery(1, ledger);
            let expected = (left - RETRIES * retry) as usize;
            assert_eq!((second.steps, second.rate), (expected, 1.0));
        });
        after(&space, &one, 0.9, |aec, ledger| {
            let retry = aec.steps_of_a_retry(ledger).unwrap();
            let third = aec.recovery(2, ledger);
            assert_eq!((third.steps, third.rate), (retry as usize, RETRY_RATE));
        });
    }

    #[test]
    fn it_tries_again_where_the_loss_holds_and_chance_decides() {
        let space = space();
        let goes_on = |quality: f64, loss: f64, spent: f64, confirmed: f64| {
            let candidates = [recovered(quality, loss)];
            let said = std::cell::Cell::new(false);
            after(&space, &candidates, spent, |aec, ledger| {
                let confirm = &mut |_: &Candidate| Ok(evaluation(confirmed, 0.09));
                said.set(aec.goes_on(1, ledger, confirm).unwrap());
            });
            said.get()
        };
        assert!(goes_on(0.979, 0.09, 0.9, 0.979));
        assert!(
            goes_on(0.985, 0.09, 0.9, 0.97),
            "lucky on the search part alone"
        );
        assert!(!goes_on(0.979, 0.09, 0.9, 0.982), "confirmed");
        assert!(!goes_on(0.979, 0.11, 0.9, 0.979), "the loss does not hold");
        assert!(!goes_on(0.95, 0.09, 0.9, 0.95), "clearly below");
        assert!(!goes_on(0.979, 0.09, 0.999, 0.979), "nothing left");
    }
}
