//! The chosen networks.

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
                    let label = format!("{}={stop}", budget.metric.name());
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
        Ok(RunOutcome {
            outputs,
            front,
            warnings,
            cost_sample_macs: self.state.shared.cost,
        })
    }

    /// The most compressed candidate that holds the floor on the search part and on the
    /// confirmation part, which the search never saw; first among those whose loss holds too,
    /// then by accuracy alone; in the worst case the given network.
    fn most_compressed_confirmed(
        &self,
        max_drop: f64,
        stops: Option<&[usize]>,
        warnings: &mut Vec<String>,
    ) -> Result<Output, PruneError> {
        let problem = self.problem;
        let drop = max_drop / 100.0;
        let floor = problem.baseline.search.accuracy - drop;
        let ceiling = loss_ceiling(&problem.baseline.search, floor);
        let confirm_floor = problem.baseline.confirm.accuracy - drop;
        let confirm_ceiling = loss_ceiling(&problem.baseline.confirm, confirm_floor);
        let mut candidates: Vec<&Candidate> = self
            .state
            .candidates
            .iter()
            .filter(|c| c.accuracy >= floor && (stops.is_none() || c.stop.is_some()))
            .collect();
        candidates.sort_by(|a, b| {
            a.remaining
                .total_cmp(&b.remaining)
                .then(b.accuracy.total_cmp(&a.accuracy))
        });
        let label = if stops.is_some() { "ceca" } else { "aec" };
        let holds = |loss: f64, ceiling: f64| loss <= ceiling || !self.config.search.hold_loss;
        let mut by_accuracy_alone = None;
        for candidate in candidates {
            let firm = holds(candidate.loss, ceiling);
            if !firm && by_accuracy_alone.is_some() {
                continue;
            }
            let output = self.output(candidate, label.to_string(), None)?;
            if output.confirm.accuracy < confirm_floor {
                warnings.push(format!(
                    "the network with {:.2} % of the parameters held the floor in the search \
                     ({:.2} %), but not on the confirmation data ({:.2} %, floor {:.2} %): the \
                     next one was taken",
                    100.0 * candidate.remaining,
                    100.0 * candidate.accuracy,
                    100.0 * output.confirm.accuracy,
                    100.0 * confirm_floor,
                ));
            } else if firm && holds(output.confirm.loss, confirm_ceiling) {
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
        warnings.push(format!(
            "no smaller network held the accuracy floor of {:.2} %: the given network is \
             returned unchanged",
            100.0 * floor
        ));
        let state = self.environment.initial_state();
        self.build(
            &state,
            label.to_string(),
            None,
            problem.baseline.confirm.clone(),
            None,
        )
    }
}

/// Loss at a floor: that of the given network, grown as its errors may grow. A few lucky
/// images lift accuracy over the floor, but hardly the loss with it. No errors at all count as
/// half of one.
pub(super) fn loss_ceiling(baseline: &Evaluation, floor: f64) -> f64 {
    let least = 0.5 / baseline.correct.len().max(1) as f64;
    baseline.loss * (1.0 - floor).max(least) / (1.0 - baseline.accuracy).max(least)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(right: usize, images: usize, loss: f64) -> Evaluation {
        Evaluation {
            accuracy: right as f64 / images as f64,
            loss,
            correct: (0..images).map(|i| i < right).collect(),
            per_class: Vec::new(),
        }
    }

    #[test]
    fn the_loss_may_grow_as_the_errors_may() {
        let given = evaluation(990, 1000, 0.03);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a}, not {b}");
        close(loss_ceiling(&given, 0.99), 0.03);
        close(loss_ceiling(&given, 0.98), 0.06);
        // Without errors it can still grow, and stays finite.
        let perfect = evaluation(1000, 1000, 0.001);
        close(loss_ceiling(&perfect, 1.0), 0.001);
        close(loss_ceiling(&perfect, 0.999), 0.002);
    }
}
