//! The way out of an error, in the words of the program: its commands and options.
//!
//! The library's own hints know neither; where one of them is all there is to say, it is taken
//! as it is. Errors that pass on another (`#[error(transparent)]`) are looked into here, since
//! they do not show it among their causes.

mod measure;

use std::error::Error;

use crate::compare::CompareError;
use crate::data::DataError;
use crate::demo::DemoError;
use crate::eval::EvalError;
use crate::guessing::{Change, Guessing};
use crate::layered::{LayeredError, UnknownSetting};
use crate::new_network::NewNetworkError;
use crate::quantise::QuantiseError;
use crate::report::ReportError;
use crate::runtime::RuntimeError;
use crate::train::TrainError;
use crate::verify::VerifyError;
use crate::{NetworkError, PruneError};
use secateur_net::NetError;
use secateur_net::settings::SettingError;
use secateur_onnx::OnnxError;
use secateur_search::config::RuntimeName;
use secateur_search::environment::EnvironmentError;
use secateur_search::environment::training::ProblemError;
use secateur_search::error::SearchError;
use secateur_search::policy::PolicyError;
use secateur_search::space::SpaceError;
use secateur_search::store::StoreError;

type Hint = Option<String>;

/// What the user can do about an error of any of the library's types.
pub fn hint(error: &(dyn Error + 'static)) -> Hint {
    fn of<E: Error + 'static>(error: &(dyn Error + 'static), hint: fn(&E) -> Hint) -> Hint {
        error.downcast_ref::<E>().and_then(hint)
    }
    of(error, prune)
        .or_else(|| of(error, search))
        .or_else(|| of(error, problem))
        .or_else(|| of(error, space))
        .or_else(|| of(error, policy))
        .or_else(|| of(error, SettingError::hint))
        .or_else(|| of(error, train))
        .or_else(|| of(error, network))
        .or_else(|| of(error, eval))
        .or_else(|| of(error, verify))
        .or_else(|| of(error, runtime))
        .or_else(|| of(error, report))
        .or_else(|| of(error, net))
        .or_else(|| of(error, data))
        .or_else(|| of(error, onnx))
        .or_else(|| of(error, store))
        .or_else(|| of(error, compare))
        .or_else(|| of(error, demo))
        .or_else(|| of(error, quantise))
        .or_else(|| of(error, layered))
        .or_else(|| of(error, new_network))
        .or_else(|| of(error, |error: &UnknownSetting| error.hint.clone()))
}

fn say(text: &str) -> Hint {
    Some(text.to_string())
}

fn prune(error: &PruneError) -> Hint {
    match error {
        PruneError::Setting(error) => error.hint(),
        PruneError::Problem(error) => problem(error),
        PruneError::NoFiniteValue { .. } => say(
            "its weights or running statistics are damaged or of another scale, or its inputs are \
             (`--normalise`)",
        ),
        PruneError::Guessing(found) => Some(guessing(found)),
        PruneError::Command(error) => measure::command(error),
        PruneError::Search(error) => search(error),
        PruneError::Runtime(error) => runtime(error),
        PruneError::Verify(error) => verify(error),
        PruneError::Report(error) => report(error),
        PruneError::OverInput { .. } => say("give another file with `-o`"),
        PruneError::LearnInto { .. } => say(
            "give another file with `--learn-into`, or leave it out: `agent.safetensors` in the run's folder \
             is the agent when the run is over",
        ),
        _ => None,
    }
}

fn guessing(found: &Guessing) -> String {
    let way_out = match found.best() {
        Some(trial) => prepare(&trial.change),
        None => "nothing that was tried helps: see that network and data belong together, and \
                 docs/data.md for how images are prepared"
            .to_string(),
    };
    format!("{way_out}; `--force` prunes all the same")
}

/// How to make a change of the input.
fn prepare(change: &Change) -> String {
    match change {
        Change::Input { normalise, colour } => {
            let colour = colour.map(|colour| format!(" --colour {}", colour.name()));
            let colour = colour.unwrap_or_default();
            format!("give `--normalise {normalise}{colour}`")
        }
        Change::Classes(input) => {
            let classes = "name the classes in the order of the network's outputs in a file \
                           `classes.txt` beside the data";
            match **input {
                Change::Nothing => classes.to_string(),
                _ => format!("{}, and {classes}", prepare(input)),
            }
        }
        change => format!("prepare the images so: {change}"),
    }
}

fn search(error: &SearchError) -> Hint {
    match error {
        SearchError::NothingToResume { .. } => say("leave out `--resume` to start one"),
        SearchError::AlreadyBegun { .. } => {
            say("add `--resume` to go on with it, or name another folder with `--run-dir`")
        }
        SearchError::OtherRun { .. } => {
            say("resume with the model, the data and the settings that the run began with")
        }
        SearchError::Interrupted { epochs: 0, .. } => {
            say("nothing had begun yet: run the same command again")
        }
        SearchError::Interrupted { .. } => say(
            "run the same command with `--resume` to go on; without `--budget` if that was in \
             milliseconds, which are measured anew",
        ),
        SearchError::Diverged { .. } => say(
            "lower `recover_lr` in the `[training]` part of a config, or the rate of your own training; with \
             it and `--resume` the run goes on from the last good state",
        ),
        SearchError::Measure { path, source, .. } => {
            Some(measure::failed(path.is_some(), source.as_ref()))
        }
        SearchError::Space(error) => space(error),
        SearchError::Store(error) => store(error),
        SearchError::Policy(error) => policy(error),
        SearchError::Environment(EnvironmentError::Other(error)) => hint(error.as_ref()),
        _ => None,
    }
}

fn policy(error: &PolicyError) -> Hint {
    match error {
        PolicyError::DoesNotLearn { .. } => {
            say("leave `--agent` and `--learn-into` out, or the policy")
        }
        _ => None,
    }
}

fn problem(error: &ProblemError) -> Hint {
    match error {
        ProblemError::NonFinite { .. } => {
            say("the training of this model diverged; take an earlier state")
        }
        ProblemError::LossNotFinite { .. } => say(
            "its weights or running statistics are damaged or of another scale, or its inputs are \
             (`--normalise`); `secateur eval` shows what it answers",
        ),
        ProblemError::NoValidation { .. } => {
            say("give more inputs, or set more of them apart with `--validation`")
        }
        ProblemError::Space(error) => space(error),
        ProblemError::Onnx(error) => onnx(error),
        ProblemError::Net(error) => net(error),
        ProblemError::Data(error) => data(error),
        _ => None,
    }
}

fn space(error: &SpaceError) -> Hint {
    match error {
        SpaceError::NothingToPrune { is_quantised: true } => say(
            "prune the float file, then quantise; `secateur inspect` shows why each layer must stay",
        ),
        SpaceError::NothingToPrune { .. } => {
            say("`secateur inspect` shows why each layer must stay")
        }
        SpaceError::UnknownLayer { .. } | SpaceError::Pattern { .. } => {
            say("layers are named as in `secateur inspect`; `*` stands for any text")
        }
        SpaceError::UnknownMacs { .. } => say(
            "say the sizes of the inputs with `--input-shape`, such as x=1x3x48x320, or give the \
             budget in `params` or `kernels`",
        ),
        SpaceError::UnknownLatency => say("give the budget in `params`, `macs` or `kernels`"),
        SpaceError::Unreachable { least, .. } if *least > 0.999 => say(
            "`secateur inspect` shows what holds each layer; a smaller `--round-to` or a shorter \
             `--ignore` frees more",
        ),
        SpaceError::Unreachable { metric, least, .. } => Some(format!(
            "ask for {}={:.3} or more, or shorten `--ignore`",
            metric.name(),
            (least * 1000.0).ceil() / 1000.0
        )),
        SpaceError::Onnx(error) => onnx(error),
        _ => None,
    }
}

fn train(error: &TrainError) -> Hint {
    match error {
        TrainError::Net(error @ NetError::Diverged { .. }) => {
            net(error).map(|hint| format!("{hint}; nothing was written, earlier files stay"))
        }
        TrainError::Net(error) => net(error),
        TrainError::Onnx(error) => onnx(error),
        TrainError::Data(error) => data(error),
        TrainError::Weights(error) => problem(error),
        _ => None,
    }
}

fn network(error: &NetworkError) -> Hint {
    match error {
        NetworkError::Onnx(error) => onnx(error),
        NetworkError::Net(error) => net(error),
        NetworkError::Data(error) => data(error),
        NetworkError::Weights(error) => problem(error),
        NetworkError::Space(error) => space(error),
        NetworkError::Runtime(error) => runtime(error),
    }
}

fn eval(error: &EvalError) -> Hint {
    match error {
        EvalError::Network(error) => network(error),
        EvalError::NeedsOriginal { .. } => say("name that network by `--original FILE`"),
        EvalError::NoTest { .. } => None,
    }
}

fn verify(error: &VerifyError) -> Hint {
    match error {
        VerifyError::Onnx(error) => onnx(error),
        VerifyError::Runtime(error) => runtime(error),
        other => other.hint(),
    }
}

fn runtime(error: &RuntimeError) -> Hint {
    match error {
        RuntimeError::NotBuilt { .. } => say("build the program with its default features"),
        RuntimeError::NotFound { engine, .. } if *engine == RuntimeName::OnnxRuntime.name() => say(
            "`pip install onnxruntime`, or name its library with `--ort-lib`; without `--engine` the \
             next one is taken",
        ),
        RuntimeError::NotFound { .. } => say("build the program with its default features"),
        RuntimeError::OtherEngine { .. } => say(
            "choose the engine that the run began with by `--engine` and `--ort-lib`, or begin anew in \
             another `--run-dir`",
        ),
        RuntimeError::Onnx(error) => onnx(error),
        RuntimeError::Unfit { .. } => {
            say("say the sizes of the inputs with `--input-shape`, such as x=1x3x48x320")
        }
        RuntimeError::Refused { .. } => say(
            "this says nothing against the file: an engine that knows its operators can run it; \
             `ORT_DYLIB_PATH` names the library of an ONNX Runtime",
        ),
    }
}

fn report(error: &ReportError) -> Hint {
    match error {
        ReportError::NoRun { .. } => {
            say("name the folder that `prune` wrote beside its output, such as `small.onnx.run`")
        }
        ReportError::NotFinished { .. } => {
            say("run the `prune` that began it again with `--resume`: it ends with the report")
        }
        ReportError::Store(error) => store(error),
        _ => None,
    }
}

/// What the user can do about a network that cannot be built, run or trained.
pub fn net(error: &NetError) -> Hint {
    match error {
        NetError::Unsupported { .. } | NetError::Task { .. } => say(
            "`prune --no-train` needs neither gradients nor data, and `inspect` still \
             works",
        ),
        NetError::Wish { .. } => say(
            "leave `--task` out, or give `--task match`, which takes any outputs (docs/tasks.md)",
        ),
        NetError::Diverged { .. } => say("lower the learning rate (`--lr`, or `lr` in a config)"),
        NetError::Data(error) => data(error),
        NetError::Onnx(error) => onnx(error),
        other => other.hint(),
    }
}

fn data(error: &DataError) -> Hint {
    match error {
        DataError::NotRecognised { .. } => {
            say("name the folder with `--data`; docs/data.md lists the layouts that are read")
        }
        DataError::TooManySkipped { .. } => {
            say("copy the images again; `--max-skipped` sets how many may be left out")
        }
        DataError::Empty { .. } => say(
            "sub-folders are taken for classes, each of which needs images; with `--labels none` \
             they are not",
        ),
        DataError::UnclearLayout { .. } => say("say it with `--layout nhwc` or `--layout nchw`"),
        DataError::SizesDiffer { .. } => say("say which size they are to have with `--image-size`"),
        DataError::SplitTooLarge { available, .. } if *available < 2 => {
            say("give more inputs: some hundred do well")
        }
        DataError::SplitTooLarge { .. } => say("take fewer with `--validation`"),
        DataError::NoLabels { what, .. } if *what == "evaluate" => say(
            "`--original FILE` names a network to hold it against; labels are folders of classes, \
             label files or arrays of labels (docs/data.md)",
        ),
        other => other.hint(),
    }
}

fn onnx(error: &OnnxError) -> Hint {
    match error {
        OnnxError::Architecture { .. } => {
            say("see `secateur train --help` for the form of `--widths`")
        }
        other => other.hint(),
    }
}

fn compare(error: &CompareError) -> Hint {
    match error {
        CompareError::OtherRun { .. } => {
            say("name another folder with `-o`, or remove this one to make its run anew")
        }
        CompareError::NoTest { .. } => say("leave `--test` out"),
        CompareError::Report(error) => report(error),
        CompareError::Store(error) => store(error),
        other => other.hint(),
    }
}

fn quantise(error: &QuantiseError) -> Hint {
    match error {
        QuantiseError::Eval(error) => eval(error),
        QuantiseError::Data(error) => data(error),
        QuantiseError::Net(error) => net(error),
        QuantiseError::Onnx(error) => onnx(error),
        QuantiseError::Runtime(error) => runtime(error),
        QuantiseError::Report(error) => report(error),
        QuantiseError::Over(error) => prune(error),
        other => other.hint(),
    }
}

fn demo(error: &DemoError) -> Hint {
    match error {
        DemoError::Data(error) => data(error),
        DemoError::Onnx(error) => onnx(error),
        DemoError::Train(error) => train(error),
        // One that names options of `prune` does not help: the demo has none of them.
        DemoError::Prune(inner) => match prune(inner) {
            Some(hint) if hint.contains("`--") => error.hint(),
            other => other,
        },
        DemoError::Store(error) => store(error),
        other => other.hint(),
    }
}

fn layered(error: &LayeredError) -> Hint {
    match error {
        LayeredError::DropWithBudgets => say("leave the drop out, or set `budgets = []`"),
        LayeredError::Setting(error) => error.hint(),
        LayeredError::Config { hint, .. } => hint.clone(),
        LayeredError::Policy(error) => policy(error),
        LayeredError::Onnx(error) => onnx(error),
        LayeredError::Runtime(error) => runtime(error),
        LayeredError::BudgetWithAec
        | LayeredError::Budget { .. }
        | LayeredError::NotTimed { .. }
        | LayeredError::Read(_)
        | LayeredError::Together(_) => None,
    }
}

fn new_network(error: &NewNetworkError) -> Hint {
    match error {
        NewNetworkError::WidthsAreGiven { .. } => say("leave it out, or build a `vgg-like`"),
        NewNetworkError::Onnx(error) => onnx(error),
        NewNetworkError::Data(error) => data(error),
    }
}

fn store(error: &StoreError) -> Hint {
    match error {
        StoreError::Busy { .. } => {
            say("wait for it to end, or name another folder with `--run-dir`")
        }
        StoreError::Damaged { .. } => {
            say("start again with a new `--run-dir`; the old folder is left as it is")
        }
        full if full.is_full() => say(
            "make room on the disk, then go on with `--resume`: what was written before is whole",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_within_others_is_answered_by_its_option() {
        let inner = || DataError::SplitTooLarge {
            validation: 9,
            available: 3,
        };
        let of = |error: &(dyn Error + 'static)| hint(error).unwrap_or_default();
        assert_eq!(of(&inner()), "take fewer with `--validation`");
        let problem = || ProblemError::Data(inner());
        assert_eq!(of(&PruneError::Problem(problem())), of(&inner()));
        assert_eq!(of(&TrainError::Weights(problem())), of(&inner()));
        assert_eq!(of(&NetError::Data(inner())), of(&inner()));
        assert_eq!(hint(&std::fmt::Error), None);
    }
}
