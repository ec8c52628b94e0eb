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
    let is_open = |input: &ValueInfo| input.shape.iter().skip(1).any(|dim| dim.fixed().is_none());
    let extents: Vec<usize> = match graph.inputs.iter().any(is_open) {
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

/// The inputs with an open batch, the first axis of the first, of one sample.
fn one_sample(inputs: &[ValueInfo]) -> Vec<ValueInfo> {
    let mut inputs = inputs.to_vec();
    let batch = inputs.first_mut().and_then(|input| input.shape.first_mut());
    if let Some(batch) = batch.filter(|batch| batch.fixed().is_none()) {
        *batch = Dim::Fixed(1);
    }
    inputs
}

fn filled(inputs: &[ValueInfo], extent: usize) -> Vec<ValueInfo> {
    let mut inputs = inputs.to_vec();
    for dim in inputs
        .iter_mut()
        .flat_map(|input| input.shape.iter_mut().skip(1))
    {
        if dim.fixed().is_none() {
            *dim = Dim::Fixed(extent);
        }
    }
    inputs
}
