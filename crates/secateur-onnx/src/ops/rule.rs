//! What an operator's rule answers: everything that this program asks of an operator, except
//! how it is computed, which `secateur-net` knows.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::extents::{IntValue, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::LabelContext;

/// Shapes of a node's outputs; `None` where unknown.
pub type OutputShapes = Vec<Option<Vec<Dim>>>;

/// Multiply-adds of a sample: the product of these extents, times `scale`, over `samples`.
#[derive(Debug, Clone)]
pub struct MacTerm {
    /// Axes of values.
    pub axes: Vec<(String, usize)>,
    /// Positions that no removal changes (pixels).
    pub scale: u64,
    /// Samples that the extents hold together.
    pub samples: u64,
}

/// Multiply-adds of a node.
#[derive(Debug, Clone)]
pub enum Macs {
    /// None worth counting: it is neither a convolution nor a matrix product.
    Zero,
    /// Some, but the extents that tell how many are not known.
    Unknown,
    /// The sum of these.
    Terms(Vec<MacTerm>),
}

impl Macs {
    /// The term, or [`Macs::Unknown`] where an extent is missing.
    pub(super) fn of(term: Option<MacTerm>) -> Self {
        term.map_or(Self::Unknown, |term| Self::Terms(vec![term]))
    }

    /// So many times as often.
    pub(super) fn times(self, count: u64) -> Self {
        match self {
            Self::Terms(mut terms) => {
                for term in &mut terms {
                    term.scale = term.scale.saturating_mul(count);
                }
                Self::Terms(terms)
            }
            other => other,
        }
    }

    /// The sum; not known where a part is not.
    pub(super) fn sum(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Self::Zero => {}
                Self::Unknown => return Self::Unknown,
                Self::Terms(terms) => all.extend(terms),
            }
        }
        if all.is_empty() {
            Self::Zero
        } else {
            Self::Terms(all)
        }
    }
}

/// What a parameter is, which decides how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WeightRole {
    /// Weights of a convolution or linear layer: trained, with weight decay.
    Weight,
    /// Biases and batch-norm scale and shift: trained, without weight decay.
    Vector,
    /// Running mean or variance of a batch norm: follows the data, not a gradient.
    Running,
}

/// What the numbers are that a file stores for an input slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// A parameter of a layer.
    Parameter(WeightRole),
    /// An operand of a sum or product: a bias or a scale ([`WeightRole::Vector`]) if the other
    /// operand comes after a layer and it has more than one element.
    Operand,
    /// Weights or a bias in few bits: a parameter of whatever type, unless it is a single
    /// number, and not trained.
    Quantised,
    /// Numbers of a formula whatever their shape, such as the scales of a `Resize`.
    Formula,
    /// The operator does not tell: counted as parameters unless it is a single number, and
    /// not trained.
    Other,
}

impl Stored {
    /// A layer with weights in slot 1 and a bias in slot 2.
    pub(super) fn of_layer(slot: usize) -> Self {
        match slot {
            1 => Self::Parameter(WeightRole::Weight),
            2 => Self::Parameter(WeightRole::Vector),
            _ => Self::Other,
        }
    }

    /// A normalisation with a scale in slot 1 and a shift in slot 2.
    pub(super) fn of_normalisation(slot: usize) -> Self {
        match slot {
            1 | 2 => Self::Parameter(WeightRole::Vector),
            _ => Self::Other,
        }
    }
}

/// The rules of one operator.
pub trait OpRule: Sync {
    /// Shapes of the outputs.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] for inputs that do not fit together.
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes>;

    /// Integers of the first output, where it is a computation on shapes.
    fn fold(&self, _node: &Node, _context: &ShapeContext<'_>) -> Option<IntValue> {
        None
    }

    /// As [`OpRule::fold`], for all outputs; those behind the last that folds are left out.
    fn fold_all(&self, node: &Node, context: &ShapeContext<'_>) -> Vec<IntValue> {
        self.fold(node, context).into_iter().collect()
    }

    /// Channel rule: gives the outputs their labels and merges what must go together.
    /// Inputs that it does not ask for are pinned.
    ///
    /// # Errors
    /// The reason why the node's values must stay as they are; they are pinned then.
    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String>;

    /// What a tensor stored for input `slot` is.
    fn stored(&self, _slot: usize) -> Stored {
        Stored::Other
    }

    /// The input that holds a layer's weights.
    fn weights_slot(&self) -> usize {
        1
    }

    /// Axis of the weights, which have `rank` axes, whose positions each make an output
    /// channel; `None` for operators without such weights.
    fn producing_axis(&self, _node: &Node, _rank: usize) -> Option<usize> {
        None
    }

    /// Multiply-adds of a sample.
    fn macs(&self, _node: &Node, _context: &ShapeContext<'_>) -> Macs {
        Macs::Zero
    }

    /// True for convolutions: their output channels are what this program calls kernels.
    fn is_conv(&self) -> bool {
        false
    }

    /// True if the output does not depend on the scale of the input, which allows larger
    /// learning rates.
    fn normalises(&self) -> bool {
        false
    }

    /// True if the first output holds the elements of the first input, at most in another type or
    /// with its axes in another order: stored weights behind it are still those of the layer that
    /// reads them.
    fn is_view(&self) -> bool {
        false
    }
}
