//! Stored numbers in few bits: which scale and zero point they go with.
//!
//! A stored number `q` stands for `scale * (q - zero_point)`.

use super::context::LabelContext;
use crate::graph::Node;

/// Scale and zero point of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantised {
    /// Stored scale: one number, or one for each position along `axis`. `None` where it is not
    /// known: the stored numbers are then compared as they are.
    pub scale: Option<String>,
    /// Stored zero point, of the same form; `None` for zero.
    pub zero_point: Option<String>,
    /// Axis of the tensor along which scales and zero points lie.
    pub axis: usize,
}

impl LabelContext<'_> {
    /// Notes that the stored tensor behind input `slot` holds quantised numbers, with scales
    /// and zero points along `axis` of the input. The first note of a tensor stays.
    pub fn quantised(
        &mut self,
        node: &Node,
        slot: usize,
        axis: usize,
        (scale, zero_point): (Option<&str>, Option<&str>),
    ) {
        let Some(view) = self.parameter(node, slot) else {
            return;
        };
        let name = |name: &str| Some(self.stored_behind(name)?.tensor);
        let quantised = Quantised {
            scale: scale.and_then(name),
            zero_point: zero_point.and_then(name),
            axis: view.axes.get(axis).copied().unwrap_or(0),
        };
        self.quantised.entry(view.tensor).or_insert(quantised);
    }
}
