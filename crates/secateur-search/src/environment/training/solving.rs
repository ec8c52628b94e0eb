//! Weights solved for some masks, and what the given network's layers lose by width.

use secateur_net::heal::{SolveOptions, Solver, WidthErrors};
use secateur_net::mask::Selection;
use secateur_net::train::Evaluation;
use secateur_net::weights::Weights;
use secateur_net::{Interpreter, NetError};
use secateur_onnx::coupling::Masks;

use super::{Effort, Held, Problem};

/// Training samples that weights are solved on at least and at most, and the share of the initial
/// training that a pass of the given network over them may cost: more samples tell more, and as many
/// rows of a layer take as long to solve for, whatever the number of samples they come from.
const SOLVED_ON: [usize; 2] = [512, 2048];
const SOLVED_COST: f64 = 0.002;
/// Samples of the search part that tell whether solved weights do better. Of training samples
/// nothing follows: training has fitted those.
const JUDGED_BY: usize = 1024;

/// Training samples that errors by width follow from.
const MEASURED_ON: usize = 256;
/// Positions of each layer that they follow from, at least.
const ROWS: usize = 4096;

/// What the given network's layers lose with kernels, by group; and what that took, in
/// sample-MACs.
///
/// # Errors
/// As an inference pass.
pub(super) fn errors_by_width(
    problem: &Problem,
    seed: u64,
) -> Result<(Vec<WidthErrors>, f64), NetError> {
    let options = SolveOptions {
        inputs: MEASURED_ON,
        rows: ROWS,
        seed,
        ..SolveOptions::default()
    };
    secateur_net::heal::errors_by_width(
        &problem.network,
        &problem.graph,
        &problem.space.groups,
        &problem.weights,
        &problem.train.spread(MEASURED_ON),
        &options,
    )
}

/// The given network with what its layers give, which cut networks are solved for.
pub(super) struct Solving<'a> {
    problem: &'a Problem,
    solver: Solver<'a>,
    judged_by: Held,
}

/// What solving weights came to.
pub(super) struct Healed {
    /// Loss of the cut network.
    pub before: f64,
    /// The network with the weights that are kept, on [`JUDGED_BY`] samples of the search part.
    pub after: Evaluation,
    /// Sample-MACs of solving.
    pub solving: f64,
    /// Of judging the network.
    pub judging: f64,
}

impl Healed {
    /// What it took.
    pub fn effort(&self) -> Effort {
        Effort {
            of_present: self.judging,
            of_solving: self.solving,
            ..Effort::default()
        }
    }

    /// By how much the loss fell, as share of what it was.
    pub fn fall(&self) -> f64 {
        fall(self.before, self.after.loss)
    }
}

/// By how much a loss fell, as share of what it was, -1..=1; 0 where that cannot be told.
pub(super) fn fall(before: f64, after: f64) -> f64 {
    let share = (before - after) / before.abs();
    match share.is_finite() {
        true => share.clamp(-1.0, 1.0),
        false => 0.0,
    }
}

/// Training samples that weights are solved on.
fn solved_on(problem: &Problem) -> usize {
    let [least, most] = SOLVED_ON;
    let of_one = problem.space.size.macs.max(1) as f64;
    let affordable = SOLVED_COST * problem.reference.sample_macs / of_one;
    (affordable as usize).clamp(least, most)
}

impl<'a> Solving<'a> {
    /// Runs the given network on samples from all over the training part.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn new(problem: &'a Problem, seed: u64) -> Result<Self, NetError> {
        let inputs = solved_on(problem);
        let options = SolveOptions {
            inputs,
            seed,
            ..SolveOptions::default()
        };
        let solver = Solver::new(
            &problem.network,
            &problem.graph,
            &problem.space.groups,
            &problem.weights,
            &problem.train.spread(inputs),
            &options,
        )?;
        let judged_by = problem.search.part.spread(JUDGED_BY);
        Ok(Self {
            problem,
            solver,
            judged_by: Held::new(judged_by, problem.task.as_ref(), &problem.original)?,
        })
    }

    /// Solves `weights`, those of full width, for the network of some masks and keeps what was found
    /// if the loss on the search part falls: after training they may fit better than what reproduces
    /// the given network layer by layer.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn solve(
        &self,
        network: &Interpreter,
        masks: &Masks,
        weights: &mut Weights,
    ) -> Result<Healed, NetError> {
        let space = &self.problem.space;
        let selection = Selection::new(&space.groups, masks);
        let mut compact = selection.gather(weights);
        let task = self.problem.task.as_ref();
        let cut = self.judged_by.evaluate(network, task, &compact)?;
        let before = cut.loss;
        let solved = self.solver.solve(network, masks, &mut compact)?;
        let mut after = self.judged_by.evaluate(network, task, &compact)?;
        let is_better = after.loss < before || !before.is_finite() && after.loss.is_finite();
        if is_better && compact.find_non_finite().is_none() {
            selection.scatter(&compact, weights);
        } else {
            after = cut;
        }
        let judging = 2.0 * self.judged_by.part.len() as f64 * space.count(masks).macs as f64;
        Ok(Healed {
            before,
            after,
            solving: solved.multiply_adds,
            judging,
        })
    }

    /// What preparing took, in sample-MACs.
    pub fn setup(&self) -> f64 {
        let judging = self.judged_by.part.len() as f64 * self.problem.space.size.macs as f64;
        self.solver.multiply_adds() + judging
    }
}
