//! The report of a finished run.

use std::path::Path;

use secateur_net::data::Part;
use secateur_net::task::{Against, Figure};
use secateur_net::train::Evaluation;
use secateur_onnx::text::counted;
use secateur_search::config::{Budget, Mode, PruneConfig, Target};
use secateur_search::environment::training::Problem;
use secateur_search::record::{EpochRecord, RunHeader};

use super::measure::{Measured, Measures};
use super::{PruneError, PrunedNetwork, Searched, effectiveness, file_name, machine_text};
use crate::report::data::DataFigures;
use crate::report::measure::MeasureFigures;
use crate::report::stats::{Disagreement, PairedDifference, paired_difference};
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
    /// Does the command of the settings measure, and not a function?
    pub measured_by_command: bool,
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
    let data = data_figures(problem, config, measures.test.as_ref().map(Part::len));
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
    let measure = searched.readings.as_ref().map(|readings| {
        MeasureFigures::new(
            readings,
            &config.measure,
            &config.mode,
            run.measured_by_command,
        )
    });
    Ok(RunReport {
        version: env!("CARGO_PKG_VERSION").to_string(),
        mode: mode_text(&config.mode, problem.task.quality_name(), measure.as_ref()),
        command: run.command.to_string(),
        config: config_text(config),
        seed: config.seed,
        quality_name: problem.task.quality_name().to_string(),
        is_against_original: problem.task.against() == Against::Original,
        machine: machine_text(),
        places: None,
        before: NetworkFigures {
            measure: searched.readings.as_ref().map(|r| r.given.number),
            ..given_figures(run, &measures.given)
        },
        after,
        front,
        measure,
        layers: layer_figures(problem, &searched.networks),
        shape: searched.shape.clone(),
        search_sample_macs: searched.cost_sample_macs,
        search_work: searched.work,
        training_sample_macs: problem.reference.sample_macs,
        training_is_measured: problem.reference.is_measured,
        search_seconds: run.history.iter().map(|r| r.seconds).sum(),
        training_seconds: problem.reference.seconds,
        floor: match config.mode {
            Mode::Aec { .. } if searched.readings.is_some() => None,
            Mode::Aec { max_drop } => Some(problem.baseline.search.quality - max_drop / 100.0),
            Mode::Ceca { .. } => None,
        },
        data: Some(data),
        quantised: Vec::new(),
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
        test_figures: test_figures(measured),
        search_quality: problem.baseline.search.quality,
        confirm_quality: problem.baseline.confirm.quality,
        measure: None,
        latency: measured.latency.clone(),
        timed: measured.timed.clone(),
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
        test_figures: test_figures(measured),
        search_quality: network.search_quality,
        confirm_quality: after.quality,
        measure: network.measure,
        latency: measured.latency.clone(),
        timed: measured.timed.clone(),
        test_difference: tests
            .filter(|_| changed)
            .map(|(a, b)| difference(problem, a, b)),
        confirm_difference: changed.then(|| difference(problem, before, after)),
        confirm_disagreement: disagreement(problem, Some(after).filter(|_| changed)),
        test_disagreement: disagreement(problem, measured.test.as_ref().filter(|_| changed)),
        record: network.record,
        mixed: problem.space.groups.mixed(&network.masks),
    }
}

/// How much better the second is; nothing agrees with the original more often than itself.
fn difference(problem: &Problem, first: &Evaluation, second: &Evaluation) -> PairedDifference {
    let mut difference = paired_difference(&first.samples, &second.samples);
    if problem.task.against() == Against::Original {
        difference.high = difference.high.min(0.0);
    }
    difference
}

/// Decisions that differ from the original's, where those are what counts: of other tasks a sample
/// may have a quality of 0 or 1 by chance.
fn disagreement(problem: &Problem, found: Option<&Evaluation>) -> Option<Disagreement> {
    let task = &problem.task;
    let decides = task.against() == Against::Original && task.n_classes().is_some();
    Disagreement::of(&found.filter(|_| decides)?.samples)
}

fn per_class(measured: &Measured) -> Vec<(u64, u64)> {
    let test = measured.test.as_ref();
    test.map(|e| e.per_class.clone()).unwrap_or_default()
}

fn test_figures(measured: &Measured) -> Vec<Figure> {
    let test = measured.test.as_ref();
    test.map(|e| e.figures.clone()).unwrap_or_default()
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
        notes.push(seen_before_note(problem));
    }
    if problem.task.against() == Against::Original {
        let baseline = &problem.baseline;
        let validation = format!("validation {}", problem.data.source.noun());
        let inputs = counted(baseline.n_samples(), &validation);
        notes.extend(sameness_note(
            &[&baseline.search, &baseline.confirm],
            &inputs,
        ));
    }
    notes
}

/// What it means if the given network was trained on what is held out here.
fn seen_before_note(problem: &Problem) -> String {
    let noun = problem.data.source.noun();
    let quality = problem.task.quality_name();
    match problem.task.against() {
        Against::Labels => format!(
            "the model may have been trained on the {noun}s that are validation data here: its \
             own {quality} on them may be flattering, which makes the floor stricter"
        ),
        Against::Original => format!(
            "the model may have been trained on the {noun}s that are held out here: it is surer of \
             those than of new ones, for which {quality} may be lower"
        ),
    }
}

/// That the given network says the same of all `inputs`, of which `parts` tell: it decides for one
/// class alone, or finds nothing. Any network agrees that does so.
pub(crate) fn sameness_note(parts: &[&Evaluation], inputs: &str) -> Option<String> {
    let what = match (only_class(parts), nothing_found(parts)) {
        (Some(class), _) => format!("the given network decides for class {class} on all {inputs}"),
        (None, Some(things)) => format!("there are no {things} on {inputs}"),
        (None, None) => return None,
    };
    Some(format!(
        "{what}: what agrees with that shows little; the data should be as various as what the \
         network will meet, and prepared as it was trained with"
    ))
}

/// The class that the given network decides for on all samples.
fn only_class(parts: &[&Evaluation]) -> Option<usize> {
    let per_class = parts
        .iter()
        .flat_map(|part| part.per_class.iter().enumerate());
    let mut found = per_class
        .filter(|(_, (_, n))| *n > 0)
        .map(|(class, _)| class);
    let class = found.next()?;
    found.all(|other| other == class).then_some(class)
}

/// What the given network finds nowhere, though it is there to find it.
fn nothing_found<'e>(parts: &[&'e Evaluation]) -> Option<&'e str> {
    let mut figures = parts.iter().map(|part| part.figures.iter());
    let figure = figures.next()?.find(|figure| figure.counts_nothing())?;
    let nowhere = figures.all(|mut figures| figures.any(Figure::counts_nothing));
    nowhere.then_some(figure.name.as_str())
}

fn mode_text(mode: &Mode, quality_name: &str, measure: Option<&MeasureFigures>) -> String {
    match mode {
        Mode::Aec { max_drop } if let Some(measure) = measure => {
            let way = if measure.lower_is_better {
                "rise"
            } else {
                "fall"
            };
            let name = measure.name();
            format!("Auto-AEC: the number of {name} may {way} by at most {max_drop}")
        }
        Mode::Aec { max_drop } => {
            format!("Auto-AEC: {quality_name} may fall by at most {max_drop} points")
        }
        Mode::Ceca { budgets, .. } if budgets.is_empty() => {
            "Auto-CECA: as far down as it goes".to_string()
        }
        Mode::Ceca { budgets, .. } => {
            let list: Vec<String> = budgets.iter().map(budget_text).collect();
            let between = match Target::labels(budgets).len() == budgets.len() {
                true => ", ",
                false => " and ",
            };
            format!("Auto-CECA: at most {} remain", list.join(between))
        }
    }
}

/// `6 % of the parameters`.
fn budget_text(budget: &Budget) -> String {
    let percent = format!("{:.2}", budget.remaining * 100.0);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    format!("{percent} % of the {}", budget.metric.words())
}

#[cfg(test)]
mod tests {
    use secateur_net::task::Unit;

    use super::*;

    fn part(per_class: &[(u64, u64)], boxes: Option<f64>) -> Evaluation {
        let figure = |value| Figure {
            name: "boxes of the original".to_string(),
            value,
            unit: Unit::Count,
            output: None,
        };
        Evaluation {
            quality: 1.0,
            loss: 0.0,
            samples: Vec::new(),
            per_class: per_class.to_vec(),
            figures: boxes.map(figure).into_iter().collect(),
        }
    }

    fn check(parts: [Evaluation; 2], begin: Option<&str>) {
        let note = sameness_note(&parts.each_ref(), "2 images");
        match (&note, begin) {
            (Some(note), Some(begin)) => assert!(note.starts_with(begin), "{note}"),
            (note, begin) => assert_eq!(note.as_deref(), begin),
        }
    }

    #[test]
    fn answers_that_are_all_the_same_are_noted() {
        let boxes = |a, b| [part(&[], Some(a)), part(&[], Some(b))];
        let nothing = "there are no boxes of the original on 2 images";
        check(boxes(0.0, 0.0), Some(nothing));
        check(boxes(0.0, 3.0), None);
        check(boxes(3.0, 0.0), None);
        let classes = |a, b| [part(a, None), part(b, None)];
        let one = "the given network decides for class 1 on all 2 images";
        check(classes(&[(0, 0), (1, 1)], &[(0, 0), (0, 1)]), Some(one));
        check(classes(&[(0, 0), (1, 1)], &[(1, 1), (0, 0)]), None);
        check(classes(&[], &[]), None);
    }
}
