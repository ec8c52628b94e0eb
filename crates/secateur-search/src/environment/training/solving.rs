//! Recoveries begin with solved weights where those do better.

use secateur_net::heal::{self, SolveOptions, Solver, WidthErrors};
use secateur_net::mask::Selection;
use secateur_net::{Interpreter, NetError};

use super::{Held, Problem, State};

/// Training samples that weights are solved on.
const SOLVED_ON: usize = 512;
/// Samples of the search part that tell whether solved weights do better. Of training samples
/// nothing follows: slices have fitted those.
const JUDGED_BY: usize = 512;

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
    heal::errors_by_width(
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

impl<'a> Solving<'a> {
    /// Runs the given network on samples from all over the training part.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn new(problem: &'a Problem, seed: u64) -> Result<Self, NetError> {
        let options = SolveOptions {
            inputs: SOLVED_ON,
            seed,
            ..SolveOptions::default()
        };
        let solver = Solver::new(
            &problem.network,
            &problem.graph,
            &problem.space.groups,
            &problem.weights,
            &problem.train.spread(SOLVED_ON),
            &options,
        )?;
        let judged_by = problem.search.part.spread(JUDGED_BY);
        Ok(Self {
            problem,
            solver,
            judged_by: Held::new(judged_by, problem.task.as_ref(), &problem.original)?,
        })
    }

    /// Solves the weights of a state's network and keeps them if its loss on the search part
    /// falls: after training they may fit better than what reproduces the given network layer by
    /// layer. Returns what that took, in sample-MACs.
    ///
    /// # Errors
    /// As an inference pass.
    pub fn solve(&self, network: &Interpreter, state: &mut State) -> Result<f64, NetError> {
        let space = &self.problem.space;
        let masks = &state.standing.masks;
        let selection = Selection::new(&space.groups, masks);
        let mut compact = selection.gather(&state.weights);
        let task = self.problem.task.as_ref();
        let before = self.judged_by.evaluate(network, task, &compact)?.loss;
        let solved = self.solver.solve(network, masks, &mut compact)?;
        let after = self.judged_by.evaluate(network, task, &compact)?.loss;
        if after < before && compact.find_non_finite().is_none() {
            selection.scatter(&compact, &mut state.weights);
        }
        let judging = 2.0 * self.judged_by.part.len() as f64 * space.count(masks).macs as f64;
        Ok(solved.multiply_adds + judging)
    }

    /// What preparing took, in sample-MACs.
    pub fn setup(&self) -> f64 {
        let judging = self.judged_by.part.len() as f64 * self.problem.space.size.macs as f64;
        self.solver.multiply_adds() + judging
    }
}
