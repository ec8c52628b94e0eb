//! Recoveries that another program's training makes: in another framework, on another device.
//!
//! The trainer gets a compact network as a model, and gives its parameters back. What looks, scores and
//! evaluations are made of stays ours, so that promises and decisions are the same whoever trains.

use std::collections::BTreeMap;
use std::error::Error;

use secateur_net::mask::Selection;
use secateur_net::train::StepObserver;
use secateur_net::weights::Weights;
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;

use super::TrainingEnvironment;
use crate::environment::EnvironmentError;

/// What an outside trainer trains on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutsideData {
    /// Samples to train on.
    pub samples: usize,
    /// Samples of a step.
    pub batch_size: usize,
}

/// Values of parameters, row-major, by the names of a model's tensors.
pub type Values = BTreeMap<String, Vec<f32>>;

/// Trains networks outside of this program.
pub trait OutsideTrainer {
    /// What it trains on: prices of recoveries follow from it.
    fn data(&self) -> OutsideData;

    /// Trains a network for so many steps; returns the values of all of `parameters`, which are tensors
    /// of the model, in its layouts. `watch` is told of each step.
    ///
    /// # Errors
    /// Whatever fails there; it ends the run.
    fn train(
        &mut self,
        network: &Model,
        parameters: &[&str],
        steps: usize,
        watch: &mut dyn StepObserver,
    ) -> Result<Values, Box<dyn Error + Send + Sync>>;
}

/// What a trainer gave back cannot be used.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum OutsideError {
    /// A parameter is missing.
    #[error("cannot take trained parameters over: `{name}` is not among them")]
    Missing {
        /// Its name.
        name: String,
    },
    /// A parameter is of another size.
    #[error(
        "cannot take trained parameters over: `{name}` has {}, expected {expected}",
        counted(*got, "value")
    )]
    Length {
        /// Its name.
        name: String,
        /// Values that it has in the network.
        expected: usize,
        /// Values that came.
        got: usize,
    },
    /// A parameter holds NaN or infinity.
    #[error("training diverged: `{name}` is not finite after it")]
    NotFinite {
        /// Its name.
        name: String,
    },
}

impl TrainingEnvironment<'_> {
    /// Has the present network trained outside, if there is a trainer.
    pub(super) fn train_outside(
        &mut self,
        steps: usize,
        watch: &mut dyn StepObserver,
    ) -> Result<(), EnvironmentError> {
        if let Some(trainer) = &mut self.trainer {
            let problem = self.problem;
            let state = &mut self.state;
            let selection = Selection::new(&problem.space.groups, &state.standing.masks);
            let mut compact = selection.gather(&state.weights);
            let model = problem.pruned(state).map_err(other)?;
            let names: Vec<&str> = compact.iter().map(|(name, _)| name.as_str()).collect();
            let values = trainer
                .train(&model, &names, steps, &mut ToTheEnd(watch))
                .map_err(EnvironmentError::Other)?;
            take_over(&mut compact, values)?;
            selection.scatter(&compact, &mut state.weights);
        }
        Ok(())
    }
}

/// Passes steps on, and lets none be the last: what is trained outside cannot be left halfway.
struct ToTheEnd<'a>(&'a mut dyn StepObserver);

impl StepObserver for ToTheEnd<'_> {
    fn step(&mut self, step: usize, steps: usize, loss: f32) -> bool {
        self.0.step(step, steps, loss);
        true
    }
}

/// Puts trained values in the place of those before.
fn take_over(weights: &mut Weights, mut values: Values) -> Result<(), EnvironmentError> {
    for (name, weight) in weights.iter_mut() {
        let name = || name.clone();
        let Some(new) = values.remove(&name()) else {
            return Err(other(OutsideError::Missing { name: name() }));
        };
        if new.len() != weight.data.len() {
            return Err(other(OutsideError::Length {
                name: name(),
                expected: weight.data.len(),
                got: new.len(),
            }));
        }
        if !new.iter().all(|value| value.is_finite()) {
            let error = OutsideError::NotFinite { name: name() };
            return Err(EnvironmentError::Diverged(Box::new(error)));
        }
        weight.data = new;
    }
    Ok(())
}

fn other(error: impl Error + Send + Sync + 'static) -> EnvironmentError {
    EnvironmentError::Other(Box::new(error))
}

#[cfg(test)]
mod tests {
    use secateur_net::weights::{Weight, WeightRole};
    use secateur_onnx::coupling::Masks;
    use secateur_onnx::graph::Graph;

    use super::*;
    use crate::config::{Mode, PruneConfig};
    use crate::environment::training::{Problem, State};
    use crate::environment::{Action, Environment, Goal, Healing};
    use crate::search::reactivation_tests::{config, problem, trained};

    fn taken(values: &[(&str, &[f32])]) -> Result<Vec<f32>, EnvironmentError> {
        let mut weights = Weights::default();
        let weight = Weight {
            shape: vec![2],
            role: WeightRole::Vector,
            data: vec![1.0, 2.0],
            moment1: Vec::new(),
            moment2: Vec::new(),
        };
        weights.insert("a".to_string(), weight);
        let values = values
            .iter()
            .map(|(name, v)| (name.to_string(), v.to_vec()));
        take_over(&mut weights, values.collect())?;
        Ok(weights.get("a").unwrap().data.clone())
    }

    #[test]
    fn what_was_trained_takes_the_place_of_what_was_there() {
        let found = taken(&[("a", &[3.0, 4.0]), ("b", &[0.0])]);
        assert_eq!(found.unwrap(), [3.0, 4.0]);
    }

    #[test]
    fn what_is_missing_of_another_size_or_not_finite_is_named() {
        let text = |values| taken(values).unwrap_err().to_string();
        assert!(text(&[("b", &[3.0, 4.0])]).contains("`a` is not among them"));
        assert!(text(&[("a", &[3.0])]).contains("`a` has 1 value, expected 2"));
        let error = taken(&[("a", &[3.0, f32::NAN])]).unwrap_err();
        assert!(matches!(error, EnvironmentError::Diverged(_)), "{error}");
    }

    /// Changes every value by a function.
    struct Changes(fn(&str, f32) -> f32);

    impl OutsideTrainer for Changes {
        fn data(&self) -> OutsideData {
            OutsideData {
                samples: 1000,
                batch_size: 50,
            }
        }

        fn train(
            &mut self,
            network: &Model,
            parameters: &[&str],
            steps: usize,
            _: &mut dyn StepObserver,
        ) -> Result<Values, Box<dyn Error + Send + Sync>> {
            assert!((5..=10).contains(&steps), "{steps}");
            let weights = Weights::from_graph(&Graph::from_model(network)?)?;
            let named: Vec<&str> = weights.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(named, parameters);
            let changed = weights.iter().map(|(name, weight)| {
                let values = weight.data.iter().map(|&value| (self.0)(name, value));
                (name.clone(), values.collect())
            });
            Ok(changed.collect())
        }
    }

    /// The present network's weights before and after a recovery of ten steps with one kernel off.
    fn recovered(
        problem: &Problem,
        config: &PruneConfig,
        change: fn(&str, f32) -> f32,
    ) -> (Weights, State) {
        let trainer: Box<dyn OutsideTrainer> = Box::new(Changes(change));
        let mut environment =
            TrainingEnvironment::trained_by(problem, config, Some(trainer)).unwrap();
        assert_eq!(environment.identity().n_train, 1000);
        assert_eq!(environment.costs().batch_size, 50);
        let masks = one_off(problem);
        let goal = Goal {
            count: crate::config::Metric::Params.into(),
            target: 0.9,
            floor: 0.0,
            keeps_floor: false,
            progress: 1.0,
        };
        let mut step = |healing| {
            let action = Action {
                masks: masks.clone(),
                healing,
            };
            environment.step(&action, &goal, &mut ()).unwrap();
            environment.state().clone()
        };
        let start = step(Healing::Solved { fully_judged: true });
        let end = step(Healing::Recovery {
            steps: 10,
            rate: 1.0,
            probe: false,
        });
        (start.weights, end)
    }

    fn one_off(problem: &Problem) -> Masks {
        let mut masks = problem.space.all_active();
        masks.0[0][2] = false;
        masks
    }

    fn compact(problem: &Problem, weights: &Weights) -> Values {
        let selection = Selection::new(&problem.space.groups, &one_off(problem));
        selection.gather(weights).values()
    }

    #[test]
    fn what_is_trained_outside_is_taken_over_and_dormant_kernels_keep_theirs() {
        let config = config(Mode::Aec { max_drop: 3.0 });
        let problem = problem(trained(), &config);
        // A shift of all scores changes no decision.
        let shifted = |name: &str, value: f32| match name {
            "classifier.bias" => value + 1.0,
            _ => value,
        };
        let (before, state) = recovered(&problem, &config, shifted);
        let mut expected = compact(&problem, &before);
        for value in expected.get_mut("classifier.bias").unwrap() {
            *value += 1.0;
        }
        assert_eq!(compact(&problem, &state.weights), expected);
        let dormant =
            |weights: &Weights| weights.get("conv1.weight").unwrap().data[18..27].to_vec();
        assert_eq!(dormant(&state.weights), dormant(&problem.weights));
        // The kernels that are on are scored as the network is now.
        assert!(state.kernels[0][0].statistics.taylor > 0.0 && state.kernels[0][0].age == 0);
    }

    #[test]
    fn a_network_that_was_ruined_outside_goes_back_to_its_start() {
        let config = config(Mode::Aec { max_drop: 3.0 });
        let problem = problem(trained(), &config);
        let (before, state) = recovered(&problem, &config, |_, _| 0.0);
        assert_eq!(state.weights.values(), before.values());
        assert!(state.standing.quality > 0.5);
    }
}
