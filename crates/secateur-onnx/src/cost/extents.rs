//! Extents that multiply-adds are counted with.

use crate::error::Result;
use crate::graph::{Dim, Graph, ValueInfo};
use crate::shape::{Inferred, infer};

/// Pixels that an open height or width counts as, the usual size of ImageNet images:
/// ratios of multiply-adds hardly depend on it.
pub const ASSUMED_EXTENT: usize = 224;

/// Other usual sizes, for networks that fit no image of the first.
const OTHER_EXTENTS: [usize; 12] = [256, 32, 28, 64, 112, 128, 299, 320, 384, 416, 512, 640];

/// The inputs at which the multiply-adds of a sample are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedInputs {
    /// Inputs with their open extents filled in; the batch, the first axis, stays as it is.
    pub inputs: Vec<ValueInfo>,
    /// What open extents were filled with, if there were some and a size fitted.
    pub assumed: Option<usize>,
}

/// The inputs at which the multiply-adds of `graph` are counted.
///
/// # Errors
/// [`crate::OnnxError::Graph`] if shapes contradict each other.
pub fn counted_inputs(graph: &Graph) -> Result<CountedInputs> {
    settle(graph).map(|(counted, _)| counted)
}

/// Shapes with open extents of the inputs filled in.
pub(super) fn infer_with_extents(graph: &Graph) -> Result<Inferred> {
    settle(graph).map(|(_, inferred)| inferred)
}

fn settle(graph: &Graph) -> Result<(CountedInputs, Inferred)> {
    let inputs = &graph.inputs;
    let extents: Vec<usize> = match filled(inputs, ASSUMED_EXTENT) != *inputs {
        true => std::iter::once(ASSUMED_EXTENT)
            .chain(OTHER_EXTENTS)
            .collect(),
        false => Vec::new(),
    };
    for extent in extents {
        // Some files hold a batch in their reshapes although they leave it open: with another
        // the size would seem not to fit.
        let inputs = filled(&graph.inputs, extent);
        let sizes = [one_sample(&inputs), inputs.clone()];
        // A size that the network does not fit contradicts its shapes.
        if let Some(inferred) = sizes
            .iter()
            .find_map(|sizes| infer(graph, Some(sizes)).ok())
        {
            let assumed = Some(extent);
            return Ok((CountedInputs { inputs, assumed }, inferred));
        }
    }
    // Some networks fit none of these: they are counted as far as extents are known.
    let counted = CountedInputs {
        inputs: graph.inputs.clone(),
        assumed: None,
    };
    let one = infer(graph, Some(&one_sample(&graph.inputs)));
    Ok((counted, one.or_else(|_| infer(graph, None))?))
}

/// The inputs with an open batch of one sample.
fn one_sample(inputs: &[ValueInfo]) -> Vec<ValueInfo> {
    let name = named_batch(inputs).cloned();
    let mut inputs = inputs.to_vec();
    for (i, input) in inputs.iter_mut().enumerate() {
        for (axis, dim) in input.shape.iter_mut().enumerate() {
            let is_first = i == 0 && axis == 0 && dim.fixed().is_none();
            if is_first || name.as_ref() == Some(&*dim) {
                *dim = Dim::Fixed(1);
            }
        }
    }
    inputs
}

/// The inputs with `extent` for what is open, without the batch: the first axis of each, and
/// axes that have the name of the first's.
fn filled(inputs: &[ValueInfo], extent: usize) -> Vec<ValueInfo> {
    let batch = named_batch(inputs).cloned();
    let mut inputs = inputs.to_vec();
    let dims = inputs
        .iter_mut()
        .flat_map(|input| input.shape.iter_mut().skip(1));
    for dim in dims.filter(|dim| dim.fixed().is_none() && Some(&**dim) != batch.as_ref()) {
        *dim = Dim::Fixed(extent);
    }
    inputs
}

/// The open batch of the first input, if it has a name, by which other inputs have it in other
/// places.
pub fn named_batch(inputs: &[ValueInfo]) -> Option<&Dim> {
    let batch = inputs.first()?.shape.first()?;
    matches!(batch, Dim::Named(_)).then_some(batch)
}
