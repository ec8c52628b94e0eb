//! The kinds of tasks that a user can ask for.

use crate::choices;

choices! {
    /// What the outputs of a network mean.
    pub enum TaskKind {
        /// One class of several for each sample.
        Classify = "classify",
        /// Maps of classes, or masks.
        Dense = "dense",
        /// Rows of class scores over time, such as texts.
        Sequence = "sequence",
        /// Boxes with classes.
        Detect = "detect",
        /// Any values: they are matched with the original's.
        Match = "match",
    }
}
