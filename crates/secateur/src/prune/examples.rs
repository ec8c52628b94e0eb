//! The examples of a finished run.

use std::sync::Arc;

use secateur_net::task::{Judged, Pair};
use secateur_net::train::Original;
use secateur_search::environment::training::Problem;

use super::measure::{Measures, ready};
use super::{PruneError, PrunedNetwork, file_name};
use crate::examples::{self, Examples, HeldOut, take};
use crate::runtime::panics::caught;

/// Samples on which the given network and the result differ most; `None` where the result is the
/// given network. Without test data they are those that confirmed the result.
///
/// A run is not lost for want of pictures: what goes wrong becomes a note.
pub(super) fn examples(
    problem: &Problem,
    networks: &[PrunedNetwork],
    measures: &Measures,
    notes: &mut Vec<String>,
) -> Option<Examples> {
    // The page speaks of the last result first.
    let mut results = networks.iter().zip(&measures.results);
    let (network, measured) = results.rfind(|(network, _)| !network.is_of_front)?;
    network.record?;
    let test = measures.test.as_ref().map(|part| {
        let samples = Pair {
            original: measures.given.samples.as_slice(),
            result: measured.samples.as_slice(),
        };
        (part, samples)
    });
    let shown = caught(|| match test {
        Some((part, judged)) => {
            let numbered_in = match problem.data.source.set_apart() {
                Some(_) => "the data",
                None => "the test data",
            };
            let of_test = Held {
                part,
                held_out: HeldOut::Test,
                numbered_in,
                judged,
            };
            of_test.examples(problem, network)
        }
        None => {
            let judged = confirming(problem, network).map_err(|error| error.to_string())?;
            let of_confirming = Held {
                part: &problem.confirm.part,
                held_out: HeldOut::Confirm,
                numbered_in: "the data",
                judged: judged.map(Vec::as_slice),
            };
            of_confirming.examples(problem, network)
        }
    });
    shown
        .map_err(|reason| notes.push(examples::not_shown(&reason)))
        .ok()
}

/// A part on which both networks were judged.
struct Held<'a> {
    part: &'a secateur_net::data::Part,
    held_out: HeldOut,
    numbered_in: &'static str,
    judged: Pair<&'a [Judged]>,
}

impl Held<'_> {
    fn examples(&self, problem: &Problem, network: &PrunedNetwork) -> Result<Examples, String> {
        let text = |error: PruneError| error.to_string();
        let (ready, weights) = ready(problem, &network.model).map_err(text)?;
        let result = Original::new(Arc::new(ready), &weights);
        let result = result.map_err(|error| error.to_string())?;
        take(&examples::Found {
            model: &problem.model,
            task: problem.task.as_ref(),
            networks: Pair {
                original: &problem.original,
                result: &result,
            },
            network: file_name(&network.file()),
            part: self.part,
            held_out: self.held_out,
            numbered_in: self.numbered_in.to_string(),
            class_names: problem.data.source.train.class_names(),
            judged: self.judged,
        })
    }
}

/// Both networks on the samples that confirmed the result.
fn confirming(problem: &Problem, network: &PrunedNetwork) -> Result<Pair<Vec<Judged>>, PruneError> {
    let task = problem.task.as_ref();
    let original = problem
        .confirm
        .judge(&problem.network, task, &problem.weights)?;
    let (ready, weights) = ready(problem, &network.model)?;
    let result = problem.confirm.judge(&ready, task, &weights)?;
    Ok(Pair {
        original: original.samples,
        result: result.samples,
    })
}
