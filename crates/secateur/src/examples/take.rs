//! From two networks and a part of the data to what is shown.

use secateur_net::data::{DataError, Part};
use secateur_net::task::{Judged, Pair, Task};
use secateur_net::train::Original;
use secateur_net::{Interpreter, NetError};
use secateur_onnx::model::Model;

use super::differing::differing;
use super::input::Taken;
use super::names::Names;
use super::pictures::within_limits;
use super::said::said;
use super::{Example, Examples, HeldOut};

/// What is known of two networks on a part.
pub(crate) struct Found<'a> {
    /// The given model, for the names that it carries.
    pub model: &'a Model,
    /// What outputs mean.
    pub task: &'a dyn Task,
    /// The given network and the other one, ready to run.
    pub networks: Pair<&'a Original>,
    /// File name of the other one.
    pub network: String,
    /// The samples.
    pub part: &'a Part,
    /// Which they are.
    pub held_out: HeldOut,
    /// What numbers of samples count in, for people.
    pub numbered_in: String,
    /// Names of the classes by the data; empty without labels.
    pub class_names: &'a [String],
    /// How both were judged, sample by sample.
    pub judged: Pair<&'a [Judged]>,
}

/// Picks the samples, runs both networks on them once more, one at a time, and draws them.
///
/// # Errors
/// Why they cannot be shown.
pub(crate) fn take(found: &Found<'_>) -> Result<Examples, String> {
    let differing = differing(found.judged);
    let names = Names::of(found.model, found.class_names);
    let shown = differing.indices.iter().enumerate();
    let shown = shown.map(|(place, &index)| example(found, &names, place, index));
    Ok(Examples {
        network: found.network.clone(),
        part: found.held_out,
        numbered_in: found.numbered_in.clone(),
        samples: found.part.len(),
        alike: differing.alike,
        shown: shown.collect::<Result<_, _>>()?,
    })
}

/// The sample at `index` of the part, which is shown at `place`.
fn example(
    found: &Found<'_>,
    names: &Names,
    place: usize,
    index: usize,
) -> Result<Example, String> {
    let sample = found.part.pick([index]);
    let of_net = |error: NetError| error.to_string();
    let original = found.networks.original.predict(&sample).map_err(of_net)?;
    let result = found.networks.result.predict(&sample).map_err(of_net)?;
    let outputs = Pair {
        original: original.as_slice(),
        result: result.as_slice(),
    };
    let contrast = found.task.contrast(outputs).map_err(of_net)?;
    let network: &Interpreter = found.networks.original.network();
    let inputs: Vec<&str> = network.inputs().iter().map(|i| i.name.as_str()).collect();
    let taken = Taken::of(&sample, &inputs).map_err(|error: DataError| error.to_string())?;
    let (inputs, said) = within_limits(place, |pictures| {
        let shown = taken.shown(&inputs, pictures)?;
        let said = said(&contrast, names, taken.size(), pictures)?;
        Ok((shown, said))
    })?;
    let origin = sample.origin(0);
    Ok(Example {
        number: origin.number,
        file: origin.file,
        label: sample.is_labelled().then(|| names.class(sample.label(0))),
        original_quality: found.judged.original[index].quality,
        result_quality: found.judged.result[index].quality,
        inputs,
        said,
    })
}
