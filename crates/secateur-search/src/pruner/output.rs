//! The chosen networks.

use std::fmt::Write;

use secateur_net::mask::Selection;
use secateur_net::train::Evaluation;
use secateur_net::weights::Weights;
use secateur_onnx::cost::Size;
use secateur_onnx::coupling::Masks;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use super::{Candidate, PruneError, Pruner};
use crate::config::{Budget, Mode};
use crate::env::State;
use crate::mode::Floor;
use crate::run_dir::read_checkpoint;

/// One resulting network.
pub struct Output {
    /// `params=0.14`, or the mode's name.
    pub label: String,
    /// The budget that it meets, in CECA.
    pub budget: Option<Budget>,
    /// The pruned model, ready to be written.
    pub model: Model,
    /// Its kernels.
    pub masks: Masks,
    /// Full-width parameters, as trained last.
    pub weights: Weights,
    /// Its size.
    pub size: Size,
    /// Accuracy on the search part.
    pub search_accuracy: f64,
    /// Evaluation on the confirmation part.
    pub confirm: Evaluation,
    /// The record in the history that made it; `None` for the given network itself.
    pub record: Option<usize>,
}

/// What a run brought.
pub struct RunOutcome {
    /// The resulting networks: one in AEC, one a budget in CECA.
    pub outputs: Vec<Output>,
    /// Undominated networks of a CECA run without budgets.
    pub front: Vec<Output>,
    /// What the user must know: candidates that were not confirmed, a floor out of reach.
    pub warnings: Vec<String>,
    /// Training cost of the run in sample-MACs.
    pub cost_sample_macs: f64,
}

impl Pruner<'_> {
    fn output(
        &self,
        candidate: &Candidate,
        label: String,
        budget: Option<Budget>,
    ) -> Result<Output, PruneError> {
        let state: State = read_checkpoint(&self.snapshot_path(candidate.snapshot))?;
        let confirm = self.environment.confirm(&state)?;
        self.build(&state, label, budget, confirm, Some(candidate.record))
    }

    fn build(
        &self,
        state: &State,
        label: String,
        budget: Option<Budget>,
        confirm: Evaluation,
        record: Option<usize>,
    ) -> Result<Output, PruneError> {
        let problem = self.problem;
        let removed = surgery::remove(&problem.model, &problem.groups, &state.masks)?;
        let compact = Selection::new(&problem.groups, &state.masks).gather(&state.weights);
        Ok(Output {
            label,
            budget,
            model: removed.with_weights(&compact.values())?,
            masks: state.masks.clone(),
            weights: state.weights.clone(),
            size: problem.cost.count(&state.masks),
            search_accuracy: state.accuracy,
            confirm,
            record,
        })
    }

    pub(super) fn outcome(&self) -> Result<RunOutcome, PruneError> {
        let mut warnings = Vec::new();
        let (mut outputs, mut front) = (Vec::new(), Vec::new());
        match &self.config.mode {
            Mode::Aec { max_drop } => {
                outputs.push(self.most_compressed_confirmed(*max_drop, None, &mut warnings)?);
            }
            Mode::Ceca { budgets, max_drop } => {
                for (index, &stop) in self.corridor.stops.iter().enumerate() {
                    let budget = Budget {
                        metric: self.corridor.metric,
                        remaining: stop,
                    };
                    let label = budget.label();
                    let best = self
                        .state
                        .candidates
                        .iter()
                        .filter(|c| c.stop == Some(index))
                        .max_by(|a, b| {
                            a.accuracy
                                .total_cmp(&b.accuracy)
                                .then(a.recovered.cmp(&b.recovered))
                        });
                    match best {
                        Some(candidate) => {
                            front.push(self.output(candidate, label, Some(budget))?);
                        }
                        None => warnings.push(format!("no network for {label} was found")),
                    }
                }
                if budgets.is_empty() {
                    let stops: Vec<usize> = (0..front.len()).collect();
                    outputs.push(self.most_compressed_confirmed(
                        *max_drop,
                        Some(&stops),
                        &mut warnings,
                    )?);
                    front = undominated(front);
                } else {
                    outputs = front;
                    front = Vec::new();
                }
            }
        }
        let (cost, bound) = (self.cost_share(), self.config.search.max_cost);
        // A slice may end a little later than planned.
        if matches!(self.config.mode, Mode::Ceca { .. }) && cost > 1.05 * bound {
            warnings.push(format!(
                "the run cost {:.0} % of the initial training, more than `max_cost` ({:.0} %): each \
                 of {} networks gets at least `recover_cost` ({:.0} %) of recovery",
                100.0 * cost,
                100.0 * bound,
                self.corridor.stops.len(),
                100.0 * self.config.search.recover_cost
            ));
        }
        Ok(RunOutcome {
            outputs,
            front,
            warnings,
            cost_sample_macs: self.state.shared.cost,
        })
    }

    /// The most compressed candidate that holds the floor on all validation data, and within
    /// chance on the confirmation part, which the search never saw; first among those whose
    /// loss holds too, then by accuracy alone; in the worst case the given network.
    fn most_compressed_confirmed(
        &self,
        max_drop: f64,
        stops: Option<&[usize]>,
        warnings: &mut Vec<String>,
    ) -> Result<Output, PruneError> {
        let floor = Floor::new(
            &self.problem.baseline,
            max_drop,
            self.config.search.hold_loss,
        );
        let mut candidates: Vec<&Candidate> = self
            .state
            .candidates
            .iter()
            .filter(|c| stops.is_none() || c.stop.is_some())
            .filter(|c| floor.may_hold(c.accuracy))
            .collect();
        // Of the same size, by loss: it moves far less by chance than accuracy does.
        candidates.sort_by(|a, b| {
            a.remaining
                .total_cmp(&b.remaining)
                .then(a.loss.total_cmp(&b.loss))
        });
        let label = if stops.is_some() { "ceca" } else { "aec" };
        let mut by_accuracy_alone = None;
        for candidate in candidates {
            let firm = floor.loss_holds(candidate.loss);
            if !firm && by_accuracy_alone.is_some() {
                continue;
            }
            let output = self.output(candidate, label.to_string(), None)?;
            let confirmed = output.confirm.accuracy;
            if !floor.is_confirmed(candidate.accuracy, confirmed) {
                let whole = self.problem.baseline.of_both(candidate.accuracy, confirmed);
                warnings.push(format!(
                    "the network with {:.2} % of the parameters was not taken: {:.2} % on the \
                     confirmation data (floor {:.2} %), {:.2} % on all validation data (floor \
                     {:.2} %)",
                    100.0 * candidate.remaining,
                    100.0 * confirmed,
                    100.0 * floor.confirm(),
                    100.0 * whole,
                    100.0 * floor.whole(),
                ));
            } else if firm && floor.loss_is_confirmed(output.confirm.loss) {
                return Ok(output);
            } else if by_accuracy_alone.is_none() {
                by_accuracy_alone = Some(output);
            }
        }
        if let Some(output) = by_accuracy_alone {
            warnings.push(
                "accuracy held the floor, but the loss of no smaller network did: it may lie \
                 below the floor on other data"
                    .to_string(),
            );
            return Ok(output);
        }
        let mut warning = format!(
            "no smaller network held the accuracy floor of {:.2} % on validation data: the given \
             network is returned unchanged",
            100.0 * floor.whole()
        );
        if let Some((candidate, drop)) = self.nearest_below(max_drop)? {
            let _ = write!(
                warning,
                "; with `--max-drop {drop:.2}` the one with {:.2} % of the parameters would have \
                 been taken",
                100.0 * candidate.remaining
            );
        }
        warnings.push(warning);
        let state = self.environment.initial_state();
        self.build(
            &state,
            label.to_string(),
            None,
            self.problem.baseline.confirm.clone(),
            None,
        )
    }

    /// The recovered network that the least drop, in points, would let pass, and that drop.
    fn nearest_below(&self, max_drop: f64) -> Result<Option<(&Candidate, f64)>, PruneError> {
        let (baseline, hold_loss) = (&self.problem.baseline, self.config.search.hold_loss);
        let mut nearest: Option<(&Candidate, f64)> = None;
        for candidate in self.state.candidates.iter().filter(|c| c.recovered) {
            let state: State = read_checkpoint(&self.snapshot_path(candidate.snapshot))?;
            let confirm = self.environment.confirm(&state)?;
            let passes = |drop: f64| {
                let floor = Floor::new(baseline, drop, hold_loss);
                floor.may_hold(candidate.accuracy)
                    && floor.is_confirmed(candidate.accuracy, confirm.accuracy)
            };
            let drop = (1..=LARGEST_HINT)
                .map(|hundredths| max_drop + f64::from(hundredths) / 100.0)
                .find(|&drop| passes(drop));
            if let Some(drop) = drop
                && nearest.is_none_or(|(_, least)| drop < least)
            {
                nearest = Some((candidate, drop));
            }
        }
        Ok(nearest)
    }
}

/// Hundredths of a point beyond which a drop is no hint any more.
const LARGEST_HINT: u32 = 500;

/// Networks that no other beats in both size and accuracy.
fn undominated(outputs: Vec<Output>) -> Vec<Output> {
    let points: Vec<(u64, f64)> = outputs
        .iter()
        .map(|o| (o.size.params, o.search_accuracy))
        .collect();
    outputs
        .into_iter()
        .enumerate()
        .filter(|(i, _)| {
            let (size, accuracy) = points[*i];
            !points
                .iter()
                .any(|&(s, a)| s <= size && a >= accuracy && (s < size || a > accuracy))
        })
        .map(|(_, output)| output)
        .collect()
}
