//! Extents that multiply-adds are counted with.

use crate::error::Result;
use crate::graph::{Dim, Graph};
use crate::shape::{Inferred, infer};

/// Pixels that a dynamic height or width counts as, the usual size of ImageNet images:
/// ratios of multiply-adds hardly depend on it.
pub const ASSUMED_EXTENT: usize = 224;

/// Shapes with dynamic heights and widths of the first input filled in.
pub(super) fn infer_with_extents(graph: &Graph) -> Result<Inferred> {
    let fill = |(axis, dim): (usize, &Dim)| match dim.fixed() {
        None if axis > 0 => Dim::Fixed(ASSUMED_EXTENT),
        _ => dim.clone(),
    };
    let input = graph.inputs.first().filter(|input| input.has_shape);
    let filled = input.and_then(|input| {
        let dims: Vec<Dim> = input.shape.iter().enumerate().map(fill).collect();
        (dims != input.shape).then_some(dims)
    });
    match filled {
        // Some networks fit no image of that size: they are counted as far as extents are known.
        Some(dims) => infer(graph, Some(&dims)).or_else(|_| infer(graph, None)),
        None => infer(graph, None),
    }
}
