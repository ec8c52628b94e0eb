//! A run from the given network to the written results.
//!
//! ```text
//! episodes: explore … explore, then the last one: descend, exchange
//! finish:   recover every output (CECA), or recover and regrow until the floor holds (AEC)
//! confirm:  the chosen networks on validation data that the search never saw
//! ```
//!
//! Every pruning epoch ends with a checkpoint, so a killed run goes on with the
//! decisions that an undisturbed one takes.

mod epoch;
mod error;
mod finish;
mod keep;
mod observer;
mod output;
#[cfg(test)]
mod reactivation_tests;
mod run_state;

use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use secateur_net::NetError;
use secateur_net::data::BatchSampler;
use secateur_onnx::coupling::Masks;

pub use error::PruneError;
pub use observer::{Progress, RunObserver};
pub use output::{Output, RunOutcome};
use run_state::RunState;
pub use run_state::{Candidate, Phase};

use crate::agent::{DqnAgent, load_agent, save_agent};
use crate::config::{Mode, PruneConfig};
use crate::env::{Environment, Problem};
use crate::mode::Corridor;
use crate::policy::Policy;
use crate::run_dir::RunDir;
use crate::run_dir::record::{GroupHeader, RunHeader};

/// Seeds of the run's streams are the run's seed with one of these mixed in, so that
/// batches, agent and policy do not share randomness.
const SAMPLER_STREAM: u64 = 0x5a4d_504c;
const POLICY_STREAM: u64 = 0x504f_4c49;
const AGENT_STREAM: u64 = 0x4147_4e54;

/// Share of the parameters that `descent_epochs` lead to in AEC; to larger ones fewer lead.
const PACE_TARGET: f64 = 0.06;

/// A run of pruning.
pub struct Pruner<'a> {
    problem: &'a Problem,
    config: &'a PruneConfig,
    environment: Environment<'a>,
    policy: Policy,
    corridor: Corridor,
    run_dir: RunDir,
    state: RunState,
    agent: DqnAgent,
}

impl<'a> Pruner<'a> {
    /// Starts a run in a folder, or goes on with the one that is there if `resume` is set.
    ///
    /// # Errors
    /// [`PruneError`] for budgets out of range or out of reach, an unknown policy, an agent
    /// that cannot be read, and run folders that are busy, damaged or begun already.
    pub fn new(
        problem: &'a Problem,
        config: &'a PruneConfig,
        model_name: &str,
        run_dir: &Path,
        agent: Option<&Path>,
        resume: bool,
    ) -> Result<Self, PruneError> {
        config.check()?;
        let policy: Policy = config.search.policy.parse()?;
        if let Mode::Ceca { budgets, .. } = &config.mode {
            for budget in budgets {
                problem.check_budget(budget, config.search.round_to)?;
            }
        }
        let corridor = corridor(problem, config);
        let run_dir = RunDir::open(run_dir)?;
        if run_dir.has_checkpoint() != resume {
            return Err(if resume {
                PruneError::NothingToResume {
                    path: run_dir.path().to_path_buf(),
                }
            } else {
                PruneError::AlreadyBegun {
                    path: run_dir.path().to_path_buf(),
                }
            });
        }
        let (environment, teacher_cost) = Environment::new(problem, &config.training)?;
        let (state, agent) = if resume {
            let state: RunState = run_dir.load()?;
            state
                .check(problem)
                .map_err(|reason| PruneError::OtherRun {
                    path: run_dir.path().to_path_buf(),
                    reason,
                })?;
            run_dir.rewind(state.records)?;
            let agent = DqnAgent::from_state(config.agent.clone(), state.agent.clone());
            (state, agent)
        } else {
            let agent_seed = config.seed ^ AGENT_STREAM;
            let agent = match agent {
                Some(path) => load_agent(config.agent.clone(), agent_seed, path)?,
                None => DqnAgent::new(config.agent.clone(), agent_seed),
            };
            let sampler = BatchSampler::new(
                problem.train.len(),
                config.training.batch_size,
                config.seed ^ SAMPLER_STREAM,
            );
            let rng = ChaCha8Rng::seed_from_u64(config.seed ^ POLICY_STREAM);
            let initial = environment.initial_state();
            let state = RunState::new(problem, initial, sampler, rng, &agent, teacher_cost);
            run_dir.write_header(&header(problem, model_name))?;
            run_dir.rewind(0)?;
            (state, agent)
        };
        Ok(Self {
            problem,
            config,
            environment,
            policy,
            corridor,
            run_dir,
            state,
            agent,
        })
    }

    /// The run folder.
    pub fn run_dir(&self) -> &RunDir {
        &self.run_dir
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// [`PruneError::Interrupted`] after the observer asked to stop (the run can be
    /// resumed), [`PruneError::Diverged`] if a loss is not finite, [`PruneError::RunDir`] if
    /// the folder cannot be written; all leave the state of the last finished pruning epoch.
    pub fn run(mut self, observer: &mut dyn RunObserver) -> Result<RunOutcome, PruneError> {
        loop {
            let epoch = match self.state.phase.clone() {
                Phase::Search { episode, t } => self.search_epoch(episode, t, observer),
                Phase::Finish { output, attempt } => self.finish_epoch(output, attempt, observer),
                Phase::Done => break,
            };
            epoch.map_err(|error| self.diverged(error))?;
            self.state.agent = self.agent.state().clone();
            self.run_dir.save(&self.state)?;
            if self.state.phase != Phase::Done && observer.stop_requested() {
                return Err(PruneError::Interrupted {
                    path: self.run_dir.path().to_path_buf(),
                    epochs: self.state.records,
                });
            }
        }
        save_agent(&self.agent, &self.run_dir.file("agent.safetensors"))?;
        self.outcome()
    }

    /// Says where the last good state is.
    fn diverged(&self, error: PruneError) -> PruneError {
        match error {
            PruneError::Net(source @ NetError::Diverged { .. }) => PruneError::Diverged {
                path: self.run_dir.path().to_path_buf(),
                epochs: self.state.records,
                source,
            },
            other => other,
        }
    }
}

/// The corridor of the last episode.
fn corridor(problem: &Problem, config: &PruneConfig) -> Corridor {
    let search = &config.search;
    let mut corridor = match &config.mode {
        Mode::Ceca { budgets, .. } => Corridor::through(budgets, search.descent_epochs),
        Mode::Aec { .. } => None,
    }
    .unwrap_or_else(|| {
        // As far down as the mode looks, but no further than the network allows.
        let least = crate::env::ratio(
            crate::config::Metric::Params,
            &problem.cost.count(&problem.smallest(search.round_to)),
            &problem.size,
        );
        let metric = crate::config::Metric::Params;
        match &config.mode {
            Mode::Aec { .. } => {
                let target = search.aec_target.max(least);
                Corridor::to_target(metric, target, epochs_to(target, search.descent_epochs))
            }
            Mode::Ceca { .. } => {
                let mut stops: Vec<f64> = search
                    .front
                    .iter()
                    .copied()
                    .filter(|&stop| stop >= least)
                    .collect();
                if stops.is_empty() {
                    stops.push(least.min(0.99));
                }
                let budgets: Vec<_> = stops
                    .iter()
                    .map(|&remaining| crate::config::Budget { metric, remaining })
                    .collect();
                Corridor::through(&budgets, search.descent_epochs)
                    .unwrap_or_else(|| Corridor::to_target(metric, least, search.descent_epochs))
            }
        }
    });
    corridor.max_switch_ratio = search.max_switch_ratio;
    corridor.max_imbalance = search.max_imbalance;
    corridor.round_to = search.round_to;
    corridor
}

/// Pruning epochs to a target in AEC, at the pace in which `descent_epochs` lead to
/// [`PACE_TARGET`]: what is not spent on the way is left for the recovery.
fn epochs_to(target: f64, descent_epochs: usize) -> usize {
    let share = target.min(0.99).ln() / PACE_TARGET.ln();
    ((share * descent_epochs as f64).ceil() as usize).clamp(1, descent_epochs.max(1))
}

fn header(problem: &Problem, model_name: &str) -> RunHeader {
    RunHeader {
        model: model_name.to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        groups: problem
            .groups
            .groups
            .iter()
            .zip(&problem.switchable)
            .map(|(group, &switchable)| GroupHeader {
                name: group.name.clone(),
                width: group.width,
                is_conv: group.is_conv,
                switchable,
            })
            .collect(),
        size: problem.cost.count(&Masks::all_active(&problem.groups)),
        baseline_search_accuracy: problem.baseline.search.accuracy,
        baseline_confirm_accuracy: problem.baseline.confirm.accuracy,
        initial_training_sample_macs: problem.reference.sample_macs,
        initial_training_seconds: problem.reference.seconds,
    }
}
