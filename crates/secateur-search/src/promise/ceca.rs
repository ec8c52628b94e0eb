//! Auto-CECA, compression-ensured considering accuracy: the budgets are met, and quality is
//! kept as far as that allows.

use super::confirmation::Confirmation;
use super::{
    Candidate, Choice, Confirm, Finish, Floor, Ledger, Promise, RecoveriesAhead, Recovery, Start,
    Stops, Verdict, least_remaining,
};
use crate::baseline::Baseline;
use crate::config::{Budget, LEAST_RECOVERY, Metric, SearchConfig, Target};
use crate::error::SearchError;
use crate::space::{Space, SpaceError};

/// See the module.
pub struct Ceca {
    search: SearchConfig,
    /// What was asked for.
    targets: Vec<Target>,
    stops: Stops,
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
        let targets = Target::of(budgets, &space.size);
        Ok(Self {
            stops: Stops::of_targets(&targets).unwrap_or_else(|| front(search, space)),
            targets,
            floor: Floor::new(baseline, 0.0, search.hold_loss),
            confirmation,
            search: search.clone(),
        })
    }

    /// The best network of each stop.
    fn of_stops(
        &self,
        ledger: &Ledger<'_>,
        confirm: &mut Confirm<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Choice>, SearchError> {
        let mut chosen = Vec::new();
        for stop in 0..self.stops.shares.len() {
            let label = self.label(stop);
            let mut recovered = ledger
                .kept_for(stop)
                .filter(|(_, kept)| kept.finish == Finish::Recovered);
            let best = recovered.next_back();
            match best {
                Some((index, candidate)) => chosen.push(Choice {
                    label,
                    target: self.target(stop).cloned(),
                    candidate: Some(index),
                    confirm: confirm(candidate)?,
                }),
                None => warnings.push(format!("no network for {label} was found")),
            }
        }
        Ok(chosen)
    }

    /// What the network of a stop was asked to meet.
    fn target(&self, stop: usize) -> Option<&Target> {
        let share = self.stops.shares[stop];
        self.targets.iter().find(|target| target.share == share)
    }

    /// What it is called: a share of the parameters where nothing was asked for.
    fn label(&self, stop: usize) -> String {
        let share = self.stops.shares[stop];
        self.target(stop).map_or_else(
            || format!("{}={share}", Metric::Params),
            |target| target.label.clone(),
        )
    }

    fn overrun(&self, ledger: &Ledger<'_>) -> Option<String> {
        let who = match self.stops.shares.len() {
            1 => "the network gets".to_string(),
            several => format!("each of {several} networks gets"),
        };
        let why = format!("{who} at least {:.0} % of recovery", 100.0 * LEAST_RECOVERY);
        ledger.overrun(self.search.max_cost, &why)
    }
}

/// The sizes at which a network is kept where no budget was given.
fn front(search: &SearchConfig, space: &Space) -> Stops {
    let least = least_remaining(space, search.round_to);
    let reachable = search.front.iter().copied().filter(|&stop| stop >= least);
    let mut shares: Vec<f64> = reachable.collect();
    if shares.is_empty() {
        shares.push(least.min(Stops::LARGEST));
    }
    Stops::new(Metric::Params, shares)
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

    fn stops(&self) -> &Stops {
        &self.stops
    }

    fn floor(&self) -> &Floor {
        &self.floor
    }

    fn keeps_floor(&self) -> bool {
        false
    }

    /// The network kept for the stop of that number; of several the last is the best.
    fn start(&self, number: usize, ledger: &Ledger<'_>) -> Option<Start> {
        let (index, _) = ledger.kept_for(number).next_back()?;
        Some(Start::Candidate(index))
    }

    /// An equal share of what the cost still allows, and [`LEAST_RECOVERY`] where the search
    /// has spent that.
    fn recovery(&self, number: usize, ledger: &Ledger<'_>) -> Recovery {
        let search = &self.search;
        let [least, most] = search.recovery_steps();
        let left = self.stops.shares.len() - number;
        let needed = ledger
            .costs
            .steps_for(LEAST_RECOVERY, ledger.macs(), least, most);
        Recovery {
            steps: ledger
                .share_of_steps(search, search.max_cost, left)
                .max(needed),
            stop: Some(number),
            rate: 1.0,
        }
    }

    fn goes_on(
        &self,
        number: usize,
        _ledger: &Ledger<'_>,
        _confirm: &mut Confirm<'_>,
    ) -> Result<bool, SearchError> {
        Ok(number < self.stops.last())
    }

    fn recoveries_ahead(&self) -> RecoveriesAhead {
        RecoveriesAhead {
            count: self.stops.shares.len(),
            parts: self.stops.shares.len(),
            least_share: LEAST_RECOVERY,
            most_steps: self.search.recovery_steps()[1] as f64,
            sizes: self.stops.shares.clone(),
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
