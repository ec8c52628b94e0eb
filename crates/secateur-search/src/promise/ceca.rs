//! Auto-CECA, compression-ensured considering accuracy: the budgets are met, and quality is
//! kept as far as that allows.

use super::confirmation::Confirmation;
use super::{
    Candidate, Choice, Confirm, Corridor, Floor, Kept, Ledger, Promise, RecoveriesAhead, Recovery,
    Start, Verdict, least_remaining,
};
use crate::baseline::Baseline;
use crate::config::{Budget, LEAST_RECOVERY, Metric, SearchConfig};
use crate::environment::Rescue;
use crate::error::SearchError;
use crate::space::{Space, SpaceError};
use secateur_onnx::text::counted;

/// How far over its bound a run may end before the user is told: a slice may end a little later
/// than planned.
const OVERRUN: f64 = 1.05;

/// See the module.
pub struct Ceca {
    search: SearchConfig,
    corridor: Corridor,
    floor: Floor,
    /// Chooses among the networks of all sizes, where no budget was given.
    confirmation: Option<Confirmation>,
}

impl Ceca {
    /// Name of the mode.
    pub const NAME: &'static str = "ceca";

    /// One output for each budget; without budgets as far down as it goes, and the smallest
    /// network within `max_drop` points (hundredths) of the given one is the output.
    ///
    /// # Errors
    /// [`SpaceError`] for budgets that cannot be counted or reached.
    pub fn new(
        budgets: &[Budget],
        max_drop: f64,
        search: &SearchConfig,
        space: &Space,
        baseline: &Baseline,
        quality_name: &str,
    ) -> Result<Self, SpaceError> {
        for budget in budgets {
            space.check_budget(budget, search.round_to)?;
        }
        let confirmation = budgets.is_empty().then(|| Confirmation {
            floor: Floor::new(baseline, max_drop, search.hold_loss),
            label: Self::NAME,
            quality_name: quality_name.to_string(),
        });
        let corridor = Corridor::through(budgets, search.descent_epochs)
            .unwrap_or_else(|| front(search, space));
        Ok(Self {
            corridor,
            floor: Floor::new(baseline, 0.0, search.hold_loss),
            confirmation,
            search: search.clone(),
        })
    }

    fn last_stop(&self) -> usize {
        self.corridor.stops.len() - 1
    }

    /// What was kept for a stop.
    fn kept_for(
        candidates: &[Candidate],
        stop: usize,
    ) -> impl DoubleEndedIterator<Item = (usize, &Candidate)> {
        let all = candidates.iter().enumerate();
        all.filter(move |(_, c)| c.stop == Some(stop))
    }

    /// The best network of each stop.
    fn of_stops(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Choice>, SearchError> {
        let mut chosen = Vec::new();
        for (stop, &remaining) in self.corridor.stops.iter().enumerate() {
            let budget = Budget {
                metric: self.corridor.metric,
                remaining,
            };
            let best = Self::kept_for(ledger.candidates, stop).max_by(|(_, a), (_, b)| {
                let by_quality = a.quality.total_cmp(&b.quality);
                by_quality.then(a.recovered.cmp(&b.recovered))
            });
            match best {
                Some((index, candidate)) => chosen.push(Choice {
                    label: budget.label(),
                    budget: Some(budget),
                    candidate: Some(index),
                    confirm: confirm(candidate)?,
                }),
                None => warnings.push(format!("no network for {} was found", budget.label())),
            }
        }
        Ok(chosen)
    }

    fn overrun(&self, ledger: &Ledger<'_>) -> Option<String> {
        let (cost, bound) = (ledger.spent_share(), self.search.max_cost);
        (cost > OVERRUN * bound).then(|| {
            format!(
                "the run cost {:.0} % of the initial training, more than `max_cost` ({:.0} %): each of {} gets \
                 at least {:.0} % of recovery",
                100.0 * cost,
                100.0 * bound,
                counted(self.corridor.stops.len(), "network"),
                100.0 * LEAST_RECOVERY
            )
        })
    }
}

/// The corridor through the sizes at which a network is kept where no budget was given.
fn front(search: &SearchConfig, space: &Space) -> Corridor {
    let least = least_remaining(space, search.round_to);
    let reachable = search.front.iter().copied().filter(|&stop| stop >= least);
    let mut stops: Vec<f64> = reachable.collect();
    if stops.is_empty() {
        stops.push(least.min(Corridor::LARGEST_TARGET));
    }
    Corridor::of_stops(Metric::Params, stops, search.descent_epochs)
}

/// Networks that no other beats in both size and quality.
fn undominated(choices: Vec<Choice>, candidates: &[Candidate]) -> Vec<Choice> {
    let points: Vec<(f64, f64)> = choices
        .iter()
        .filter_map(|choice| candidates.get(choice.candidate?))
        .map(|c| (c.remaining, c.quality))
        .collect();
    let is_beaten = |&(size, quality): &(f64, f64)| {
        let mut others = points.iter();
        others.any(|&(s, q)| s <= size && q >= quality && (s < size || q > quality))
    };
    let pairs = choices.into_iter().zip(&points);
    pairs
        .filter(|(_, point)| !is_beaten(point))
        .map(|(choice, _)| choice)
        .collect()
}

impl Promise for Ceca {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn corridor(&self) -> &Corridor {
        &self.corridor
    }

    fn floor(&self) -> &Floor {
        &self.floor
    }

    fn keeps_floor(&self) -> bool {
        false
    }

    fn rescue(&self) -> Option<Rescue> {
        None
    }

    /// Networks of all stops but the last are kept as they are passed, of the last in every
    /// epoch that meets it with a lower loss: the best of the exchange is taken. By its loss, as
    /// qualities after short slices differ by chance.
    fn keep(&self, ledger: &Ledger<'_>) -> Option<Kept> {
        let last = self.last_stop();
        let stop = ledger.next_stop.min(last);
        if !self.corridor.is_met(
            stop,
            &ledger.space.count(&ledger.standing.masks),
            &ledger.space.size,
        ) {
            return None;
        }
        let losses = Self::kept_for(ledger.candidates, last).map(|(_, c)| c.loss);
        let best = losses.fold(f64::INFINITY, f64::min);
        let is_better = stop < last || ledger.standing.loss < best;
        is_better.then_some(Kept { stop: Some(stop) })
    }

    /// Once the cost is spent, but not before the budget is met.
    fn ends_early(&self, ledger: &Ledger<'_>) -> bool {
        let mut for_last = Self::kept_for(ledger.candidates, self.last_stop());
        ledger.spent_share() >= self.search.max_cost && for_last.next().is_some()
    }

    /// The network kept for the stop of that number; of several the last is the best.
    fn start(&self, number: usize, ledger: &Ledger<'_>) -> Option<Start> {
        let (index, _) = Self::kept_for(ledger.candidates, number).next_back()?;
        Some(Start::Candidate(index))
    }

    /// An equal share of what the cost still allows, and [`LEAST_RECOVERY`] where the search
    /// has spent that.
    fn recovery(&self, number: usize, ledger: &Ledger<'_>) -> Recovery {
        let search = &self.search;
        let [least, most] = [search.slice_steps()[0], search.recover_steps];
        let left = self.corridor.stops.len() - number;
        let needed = ledger
            .costs
            .steps_for(LEAST_RECOVERY, ledger.macs(), least, most);
        Recovery {
            steps: ledger.share_of_steps(search, left).max(needed),
            stop: Some(number),
        }
    }

    fn goes_on(&self, number: usize, _ledger: &Ledger<'_>) -> bool {
        number < self.last_stop()
    }

    fn recoveries_ahead(&self) -> RecoveriesAhead {
        RecoveriesAhead {
            count: self.corridor.stops.len(),
            least_share: LEAST_RECOVERY,
            most_steps: self.search.recover_steps as f64,
            sizes: self.corridor.stops.clone(),
            same_size: false,
            bounded: false,
        }
    }

    fn verdict(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
    ) -> Result<Verdict, SearchError> {
        let mut verdict = Verdict::default();
        let chosen = self.of_stops(ledger, confirm, &mut verdict.warnings)?;
        match &self.confirmation {
            None => verdict.outputs = chosen,
            Some(confirmation) => {
                let warnings = &mut verdict.warnings;
                let output = confirmation.most_compressed(ledger.candidates, confirm, warnings)?;
                verdict.outputs.push(output);
                verdict.front = undominated(chosen, ledger.candidates);
            }
        }
        verdict.warnings.extend(self.overrun(ledger));
        Ok(verdict)
    }
}
