//! Which blocks leave their batch norm to the next.

use super::ConvBlock;

impl ConvBlock {
    /// True if it may leave its batch norm (with pooling: the sums of its backward pass) to
    /// `reader`, the only reader of its output.
    pub(crate) fn leaves_norm_to(&self, reader: &Self) -> bool {
        let leaves = self.norm.is_some() && self.residual.is_none();
        leaves && reader.norm.is_some() && reader.input == self.output
    }

    /// What it leaves, for people.
    pub(crate) fn describe_left(&self) -> &'static str {
        if self.pool {
            "; training: the next sums up for its batch norm"
        } else {
            "; training: the next applies its batch norm"
        }
    }
}
