//! The report of a finished run.

use std::path::Path;

use secateur_net::task::Against;
use secateur_net::train::Evaluation;
use secateur_search::config::{Budget, Mode, PruneConfig};
use secateur_search::environment::training::Problem;
use secateur_search::record::{EpochRecord, RunHeader};

use super::measure::{Measured, Measures};
use super::{PruneError, PrunedNetwork, Searched, effectiveness, file_name, machine_text};
use crate::report::data::DataFigures;
use crate::report::stats::{Disagreement, paired_difference};
use crate::report::{LayerFigures, NetworkFigures, RunReport};
use crate::train::training_mode_note;

/// What a run was asked for and what it kept.
pub(super) struct Run<'a> {
    pub problem: &'a Problem,
    pub config: &'a PruneConfig,
    /// Where the given network lies; only its name in memory.
    pub file: &'a Path,
    /// As typed.
    pub command: &'a str,
    pub header: &'a RunHeader,
    pub history: &'a [EpochRecord],
}

/// Puts the report together.
pub(super) fn report(
    run: &Run<'_>,
    searched: &Searched,
    measures: Measures,
) -> Result<RunReport, PruneError> {
    let (problem, config) = (run.problem, run.config);
    let results = searched.networks.iter().zip(&measures.results);
    let figures = |(network, measured)| {
        let figures = result_figures(problem, network, measured, &measures.given);
        (network.is_of_front, figures)
    };
    let (mut after, mut front) = (Vec::new(), Vec::new());
    for (is_of_front, figures) in results.map(figures) {
        if is_of_front { &mut front } else { &mut after }.push(figures);
    }
    let data = data_figures(problem, config, measures.n_test);
    let mut warnings = searched.warnings.clone();
    warnings.extend_from_slice(&measures.notes);
    warnings.extend(notes(problem, &data));
    for network in after.iter().chain(&front) {
        warnings.extend(
            network
                .mixed
                .iter()
                .map(|mixed| format!("{}: {mixed}", network.file)),
        );
    }
    Ok(RunReport {
        version: env!("CARGO_PKG_VERSION").to_string(),
        mode: mode_text(&config.mode, problem.task.quality_name()),
        command: run.command.to_string(),
        config: config_text(config),
        seed: config.seed,
        quality_name: problem.task.quality_name().to_string(),
        is_against_original: problem.task.against() == Against::Original,
        machine: machine_text(),
        before: given_figures(run, &measures.given),
        after,
        front,
        layers: layer_figures(problem, &searched.networks),
        search_sample_macs: searched.cost_sample_macs,
        training_sample_macs: problem.reference.sample_macs,
        training_is_measured: problem.reference.is_measured,
        search_seconds: run.history.iter().map(|r| r.seconds).sum(),
        training_seconds: problem.reference.seconds,
        floor: match config.mode {
            Mode::Aec { max_drop } => Some(problem.baseline.search.quality - max_drop / 100.0),
            Mode::Ceca { .. } => None,
        },
        data: Some(data),
        effectiveness: effectiveness::measure(problem, run.header, run.history, config)?,
        warnings,
    })
}

/// The settings as a file.
pub(super) fn config_text(config: &PruneConfig) -> String {
    toml::to_string(config).unwrap_or_default()
}

fn given_figures(run: &Run<'_>, measured: &Measured) -> NetworkFigures {
    let problem = run.problem;
    NetworkFigures {
        label: "before".to_string(),
        file: file_name(run.file),
        size: problem.space.size,
        bytes: problem.model.stored_bytes(run.file),
        test_quality: measured.test.as_ref().map(|e| e.quality),
        test_per_class: per_class(measured),
        search_quality: problem.baseline.search.quality,
        confirm_quality: problem.baseline.confirm.quality,
        latency: measured.latency.clone(),
        test_difference: None,
        confirm_difference: None,
        confirm_disagreement: None,
        test_disagreement: None,
        record: None,
        mixed: Vec::new(),
    }
}

fn result_figures(
    problem: &Problem,
    network: &PrunedNetwork,
    measured: &Measured,
    given: &Measured,
) -> NetworkFigures {
    // The given network does not differ from itself, not even within an interval.
    let changed = network.record.is_some();
    let tests = given.test.as_ref().zip(measured.test.as_ref());
    let (before, after) = (&problem.baseline.confirm, &network.confirm);
    NetworkFigures {
        label: network.label.clone(),
        file: file_name(&network.file()),
        size: network.size,
        bytes: network.stored_bytes(),
        test_quality: measured.test.as_ref().map(|e| e.quality),
        test_per_class: per_class(measured),
        search_quality: network.search_quality,
        confirm_quality: after.quality,
        latency: measured.latency.clone(),
        test_difference: tests
            .filter(|_| changed)
            .map(|(a, b)| paired_difference(&a.samples, &b.samples)),
        confirm_difference: changed.then(|| paired_difference(&before.samples, &after.samples)),
        confirm_disagreement: disagreement(problem, Some(after)),
        test_disagreement: disagreement(problem, measured.test.as_ref()),
        record: network.record,
        mixed: problem.space.groups.mixed(&network.masks),
    }
}

/// Decisions that differ from the original's, where those are what counts.
fn disagreement(problem: &Problem, found: Option<&Evaluation>) -> Option<Disagreement> {
    let found = found.filter(|_| problem.task.against() == Against::Original)?;
    Disagreement::of(&found.samples)
}

fn per_class(measured: &Measured) -> Vec<(u64, u64)> {
    let test = measured.test.as_ref();
    test.map(|e| e.per_class.clone()).unwrap_or_default()
}

fn layer_figures(problem: &Problem, networks: &[PrunedNetwork]) -> Vec<LayerFigures> {
    let groups = problem.space.groups.groups.iter().enumerate();
    groups
        .map(|(g, group)| LayerFigures {
            name: group.name.clone(),
            width: group.width,
            kept: networks.iter().map(|n| n.masks.active(g)).collect(),
        })
        .collect()
}

fn data_figures(problem: &Problem, config: &PruneConfig, n_test: Option<usize>) -> DataFigures {
    let data = &problem.data;
    DataFigures {
        kind: data.source.kind.to_string(),
        n_train: problem.train.len(),
        n_search: problem.search.part.len(),
        n_confirm: problem.confirm.part.len(),
        n_test,
        class_names: data.source.train.class_names().to_vec(),
        normalisation: data.normalisation.clone(),
        resize: data.preprocessing.resize.to_string(),
        colour: data.preprocessing.colour.to_string(),
        skipped: data.source.skipped(),
        max_skipped: config.data.max_skipped,
    }
}

/// What the user should know of network and data.
fn notes(problem: &Problem, data: &DataFigures) -> Vec<String> {
    let mut notes = problem.notes.clone();
    notes.extend(data.skipped_note());
    notes.extend(training_mode_note(&problem.graph));
    if !problem.reference.is_measured {
        notes.push(
            "the model does not carry the cost of its training: costs are shares of the \
             reference in the config"
                .to_string(),
        );
        notes.push(format!(
            "the model may have been trained on the images that are validation data here: its \
             own {} on them may be flattering, which makes the floor stricter",
            problem.task.quality_name()
        ));
    }
    notes
}

fn mode_text(mode: &Mode, quality_name: &str) -> String {
    match mode {
        Mode::Aec { max_drop } => {
            format!("Auto-AEC: {quality_name} may fall by at most {max_drop} points")
        }
        Mode::Ceca { budgets, .. } if budgets.is_empty() => {
            "Auto-CECA: as far down as it goes".to_string()
        }
        Mode::Ceca { budgets, .. } => {
            let list: Vec<String> = budgets.iter().map(budget_text).collect();
            format!("Auto-CECA: at most {} remain", list.join(", "))
        }
    }
}

/// `6 % of the parameters`.
fn budget_text(budget: &Budget) -> String {
    let percent = format!("{:.2}", budget.remaining * 100.0);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    format!("{percent} % of the {}", budget.metric.words())
}
