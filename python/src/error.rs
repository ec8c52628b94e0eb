//! Errors as exceptions of the package, each with its hint.

use std::error::Error;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use secateur::PruneError;
use secateur::cli::{hint, text};
use secateur::compare::CompareError;
use secateur::data::DataError;
use secateur::demo::DemoError;
use secateur::eval::EvalError;
use secateur::layered::{LayeredError, UnknownSetting};
use secateur::measure::CommandError;
use secateur::new_network::NewNetworkError;
use secateur::quantise::QuantiseError;
use secateur::report::ReportError;
use secateur::runtime::RuntimeError;
use secateur::train::TrainError;
use secateur::verify::VerifyError;
use secateur::{NetworkError, ThreadsError};
use secateur_net::NetError;
use secateur_net::settings::SettingError;
use secateur_onnx::OnnxError;
use secateur_search::config::BudgetError;
use secateur_search::environment::EnvironmentError;
use secateur_search::environment::training::ProblemError;
use secateur_search::error::SearchError;
use secateur_search::policy::PolicyError;
use secateur_search::space::SpaceError;
use secateur_search::store::StoreError;

use crate::trainer::TrainerError;

/// The class of an exception, in `secateur.errors`.
type Class = &'static str;

const MODEL: Class = "ModelError";
const DATA: Class = "DataError";
const SETTING: Class = "SettingError";
const MEASURE: Class = "MetricError";
const TRAINER: Class = "TrainerError";
const VERIFY: Class = "VerifyError";
const RUN: Class = "RunError";
const INTERRUPTED: Class = "Interrupted";
const ANY: Class = "SecateurError";

/// Is an error of a type?
type IsIt = fn(&(dyn Error + 'static)) -> bool;

/// An error as an exception.
pub fn raise(py: Python<'_>, error: &anyhow::Error) -> PyErr {
    let class = class(error);
    let made = py
        .import("secateur.errors")
        .and_then(|errors| errors.getattr(class)?.call1((text(error), hint(error))));
    let exception = match made {
        Ok(exception) => PyErr::from_value(exception),
        // The package around this module is missing: the text is all there is.
        Err(_) => PyRuntimeError::new_err(text(error)),
    };
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<PyErr>());
    if let Some(cause) = cause {
        exception.set_cause(py, Some(cause.clone_ref(py)));
    }
    exception
}

fn class(error: &anyhow::Error) -> Class {
    error.chain().find_map(class_of).unwrap_or(ANY)
}

/// By type; errors that pass on another do not show it among their causes, so they are looked into.
fn class_of(error: &(dyn Error + 'static)) -> Option<Class> {
    fn is<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
        error.is::<E>()
    }
    if let Some(error) = error.downcast_ref::<PruneError>() {
        return Some(of_prune(error));
    }
    if let Some(error) = error.downcast_ref::<TrainError>() {
        return Some(of_train(error));
    }
    if let Some(error) = error.downcast_ref::<CompareError>() {
        return Some(match error {
            CompareError::Experiment { .. } | CompareError::SeveralData { .. } => SETTING,
            CompareError::NoData { .. } | CompareError::NoTest { .. } => DATA,
            _ => RUN,
        });
    }
    if let Some(error) = error.downcast_ref::<DemoError>() {
        return Some(match error {
            DemoError::Data(_) => DATA,
            DemoError::Train(error) => of_train(error),
            DemoError::Prune(error) => of_prune(error),
            DemoError::Onnx(_) => MODEL,
            _ => RUN,
        });
    }
    if let Some(error) = error.downcast_ref::<QuantiseError>() {
        return Some(match error {
            QuantiseError::Eval(error) => of_eval(error),
            QuantiseError::Data(_) | QuantiseError::NothingHeldOut => DATA,
            QuantiseError::DoesNotHold { .. } | QuantiseError::Runtime(_) => VERIFY,
            QuantiseError::Report(_) => RUN,
            QuantiseError::Over(error) => of_prune(error),
            QuantiseError::NoQuantiser | QuantiseError::Io(_) => ANY,
            _ => MODEL,
        });
    }
    if let Some(error) = error.downcast_ref::<EvalError>() {
        return Some(of_eval(error));
    }
    if let Some(error) = error.downcast_ref::<NewNetworkError>() {
        return Some(match error {
            NewNetworkError::Data(_) => DATA,
            _ => SETTING,
        });
    }
    if let Some(error) = error.downcast_ref::<NetworkError>() {
        return Some(of_network(error));
    }
    let known: [(IsIt, Class); 11] = [
        (is::<DataError>, DATA),
        (is::<SettingError>, SETTING),
        (is::<LayeredError>, SETTING),
        (is::<UnknownSetting>, SETTING),
        (is::<BudgetError>, SETTING),
        (is::<PolicyError>, SETTING),
        (is::<ThreadsError>, SETTING),
        (is::<VerifyError>, VERIFY),
        (is::<RuntimeError>, VERIFY),
        (is::<OnnxError>, MODEL),
        (is::<NetError>, MODEL),
    ];
    let found = known.iter().find(|(is_it, _)| is_it(error));
    found
        .map(|&(_, class)| class)
        .or_else(|| (error.is::<StoreError>() || error.is::<ReportError>()).then_some(RUN))
}

fn of_train(error: &TrainError) -> Class {
    match error {
        TrainError::Setting(_) => SETTING,
        TrainError::Data(_) => DATA,
        _ => MODEL,
    }
}

fn of_eval(error: &EvalError) -> Class {
    match error {
        EvalError::Network(error) => of_network(error),
        EvalError::NoTest { .. } => DATA,
        _ => MODEL,
    }
}

fn of_prune(error: &PruneError) -> Class {
    match error {
        PruneError::Setting(_) => SETTING,
        PruneError::Problem(error) => of_problem(error),
        PruneError::NoFiniteValue { .. } => MODEL,
        PruneError::Guessing(_) => DATA,
        PruneError::Command(CommandError::OpenQuote { .. } | CommandError::NoModel { .. }) => {
            SETTING
        }
        PruneError::Command(_) => MEASURE,
        PruneError::Search(error) => match error {
            SearchError::Interrupted { .. } => INTERRUPTED,
            SearchError::Measure { .. } => MEASURE,
            SearchError::Environment(EnvironmentError::Other(error))
                if error.is::<TrainerError>() =>
            {
                TRAINER
            }
            SearchError::Policy(_) => SETTING,
            SearchError::Space(error) => of_space(error),
            _ => RUN,
        },
        PruneError::NotVerified { .. } | PruneError::Verify(_) => VERIFY,
        PruneError::OverInput { .. } | PruneError::Report(_) => RUN,
        _ => ANY,
    }
}

fn of_problem(error: &ProblemError) -> Class {
    match error {
        ProblemError::Data(_) | ProblemError::NoValidation { .. } => DATA,
        ProblemError::Space(error) => of_space(error),
        _ => MODEL,
    }
}

fn of_space(error: &SpaceError) -> Class {
    match error {
        SpaceError::Onnx(_) | SpaceError::NothingToPrune { .. } => MODEL,
        _ => SETTING,
    }
}

fn of_network(error: &NetworkError) -> Class {
    match error {
        NetworkError::Data(_) => DATA,
        NetworkError::Space(error) => of_space(error),
        NetworkError::Runtime(_) => VERIFY,
        _ => MODEL,
    }
}
