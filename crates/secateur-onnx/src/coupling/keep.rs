//! What must keep its channels for a reason that the graph does not tell.

use crate::labels::LabelContext;

/// A value or stored tensor that must keep its channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Its name.
    pub value: String,
    /// Why.
    pub reason: String,
}

impl Keep {
    /// Pins its channels. What merely counts them (a computed shape) may follow them.
    pub(super) fn pin(&self, context: &mut LabelContext<'_>) {
        let is_stored = context.graph().initializers.contains_key(&self.value);
        let what = if is_stored { "constant" } else { "value" };
        context.pin_channels(&self.value, what, &self.reason);
    }
}
