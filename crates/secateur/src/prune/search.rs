//! The search of a run, from the given network to what it brought.

use std::path::Path;

use secateur_onnx::model::Model;
use secateur_search::config::{Metric, PruneConfig};
use secateur_search::environment::Environment;
use secateur_search::environment::training::{OutsideTrainer, Problem, State, TrainingEnvironment};
use secateur_search::gauge::Gauge;
use secateur_search::measure::{Measuring, UserMeasure};
use secateur_search::policy::{Policy, PolicyError};
use secateur_search::scores::{self, Score};
use secateur_search::search::{Observer, Outcome, Readings, Search};
use secateur_search::store::{Store, StoreError};
use secateur_search::widths::{self, Frame};

use super::measure::Measures;
use super::{PruneError, PrunedNetwork, examples, files, learnt, same_data};
use crate::examples::Examples;
use crate::latency::LatencyGauge;
use crate::measure::{FileMeasure, Measure};
use crate::pruner::Pruner;
use crate::report::Shape;
use crate::runtime::Engines;

/// What a search brought.
pub(super) struct Searched {
    pub networks: Vec<PrunedNetwork>,
    /// What the user's own measure said, if there is one.
    pub readings: Option<Readings>,
    pub warnings: Vec<String>,
    pub cost_sample_macs: f64,
    pub work: f64,
    /// The last result held against rules.
    pub shape: Option<Shape>,
}

impl Searched {
    /// Verifies the networks against the given one; what could not be compared is a warning.
    pub fn verify(&mut self, given: (&Path, &Model), engines: &Engines) -> Result<(), PruneError> {
        let not_compared = files::verify(given, &self.networks, engines)?;
        self.warnings.extend(not_compared);
        Ok(())
    }

    /// Samples on which the given network and the result differ most.
    pub fn examples(&mut self, problem: &Problem, measures: &Measures) -> Option<Examples> {
        examples::examples(problem, &self.networks, measures, &mut self.warnings)
    }

    /// The same, written into the folder of the run.
    pub fn kept_examples(
        &mut self,
        problem: &Problem,
        measures: &Measures,
        run_dir: &Path,
    ) -> Option<Examples> {
        let shown = self.examples(problem, measures)?;
        if let Err(reason) = shown.write(run_dir) {
            let note = format!("examples are in the page alone: {reason}");
            self.warnings.push(note);
        }
        Some(shown)
    }
}

/// A search that is ready to go.
pub(super) struct SearchRun<'a> {
    pub problem: &'a Problem,
    pub policy: Box<dyn Policy + 'a>,
    pub measure: Option<Measure<'a>>,
    /// Measures networks against budgets of latency.
    pub gauge: Option<&'a LatencyGauge<'a>>,
    /// The folder of the run that it goes on with.
    pub begun: Option<&'a Path>,
    /// Of the given network.
    pub name: &'a str,
}

impl<'a> SearchRun<'a> {
    /// Searches, from the start or from where the folder stands.
    pub fn search(
        self,
        pruner: Pruner<'a>,
        store: &mut dyn Store,
        observer: &mut dyn Observer,
    ) -> Result<Searched, PruneError> {
        let (problem, config) = (self.problem, &pruner.config);
        let run_dir = store.folder().map(Path::to_path_buf);
        let measure = self.measure.map(|measure| {
            FileMeasure::new(problem, measure, run_dir.as_deref()).map_err(StoreError::Io)
        });
        let mut measure = measure.transpose()?;
        // Before anything that takes long: a command that does not work is told at once.
        let given = match &mut measure {
            Some(measure) if self.begun.is_none() => Some(measure.given(observer)?),
            _ => None,
        };
        let environment = environment(problem, config, pruner.scores, pruner.trainer)?;
        let changes_note = changes_note(&environment, config);
        let measure = measure.map(|measure| Box::new(measure) as Box<dyn UserMeasure<State>>);
        let search = if let Some(folder) = self.begun {
            let search = Search::resume(environment, self.policy, config, store, measure)?;
            // After the network and the settings: another network may set other samples apart.
            same_data::check(folder, problem)?;
            search
        } else {
            let measuring = measure.zip(given);
            let measuring = measuring.map(|(measure, given)| Measuring { measure, given });
            Search::begin(
                environment,
                self.policy,
                config,
                store,
                self.name,
                measuring,
            )?
        };
        let gauge = self.gauge.map(|gauge| gauge as &dyn Gauge);
        let outcome = search.gauged_by(gauge).run(observer)?;
        let into = pruner.learn_into.as_deref();
        let not_kept = into.and_then(|path| learnt::keep(store, path).err());
        let outputs = outcome.outputs.iter().map(|found| (found, false));
        let front = outcome.front.iter().map(|found| (found, true));
        let networks = outputs
            .chain(front)
            .map(|(found, is_of_front)| PrunedNetwork::new(problem, found, is_of_front))
            .collect::<Result<_, _>>()?;
        let shape = shape(&outcome, config);
        let mut warnings = outcome.warnings;
        warnings.extend(changes_note);
        warnings.extend(
            not_kept.map(|error| {
                format!("what the agent has learnt is not kept for other runs: {error}")
            }),
        );
        Ok(Searched {
            networks,
            readings: outcome.readings,
            warnings,
            cost_sample_macs: outcome.cost_sample_macs,
            work: outcome.work,
            shape,
        })
    }
}

/// The widths that rules give at the size of the last result.
fn shape(outcome: &Outcome<TrainingEnvironment<'_>>, config: &PruneConfig) -> Option<Shape> {
    let output = outcome.outputs.len().checked_sub(1)?;
    let found = &outcome.outputs[output];
    found.record?;
    let space = outcome.environment.space();
    let count = match &found.target {
        Some(target) => target.count,
        None => Metric::Params.into(),
    };
    let frame = Frame {
        space,
        count,
        at_most: count.of(&space.count(&found.state.standing.masks)),
        round_to: config.search.round_to,
        effort: outcome.environment.costs().effort,
    };
    Some(Shape {
        output,
        label: found.label.clone(),
        even: widths::even(&frame),
        by_errors: widths::knapsack(&frame, outcome.environment.errors()),
    })
}

/// What recoveries changed of images beyond what the settings say.
fn changes_note(environment: &TrainingEnvironment<'_>, config: &PruneConfig) -> Option<String> {
    let changes = environment.recover_augment();
    let is_usual = changes == config.training.recover_augment(changes.max_shift.min(1));
    (!is_usual).then(|| {
        format!("recoveries changed images by what the given network withstands: {changes}")
    })
}

/// What the search acts in, with the user's own scores and trainer.
fn environment<'a>(
    problem: &'a Problem,
    config: &'a PruneConfig,
    scores: Vec<&'a dyn Score>,
    trainer: Option<Box<dyn OutsideTrainer + 'a>>,
) -> Result<TrainingEnvironment<'a>, PruneError> {
    let mut environment = TrainingEnvironment::trained_by(problem, config, trainer)?;
    for score in scores {
        if scores::own().iter().any(|own| own.name() == score.name()) {
            let name = score.name().to_string();
            return Err(PolicyError::ScoreTaken { name }.into());
        }
        environment = environment.with_score(score);
    }
    Ok(environment)
}
