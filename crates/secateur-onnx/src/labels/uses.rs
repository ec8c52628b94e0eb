//! What the axes of stored tensors are to the layers that read them.

use std::collections::BTreeSet;

/// What an axis of a stored tensor is to a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Rows of the weights (or the bias) that produce the kernel.
    Output,
    /// A value per channel: batch norm, PRelu slope, scale.
    Norm,
    /// Columns of a consumer's weights.
    Input,
}

/// How an axis of a stored tensor is used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Use {
    pub roles: BTreeSet<Role>,
    pub producers: BTreeSet<String>,
    pub by_conv: bool,
}

/// A value that is a stored tensor seen through transposes and the like: the
/// tensor, and per axis of the value the axis of the tensor.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub tensor: String,
    pub axes: Vec<usize>,
}
