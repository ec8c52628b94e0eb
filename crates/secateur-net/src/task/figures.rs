//! What a task tells of a part of the data besides its quality.

use serde::{Deserialize, Serialize};

use super::{Judged, Wanted};
use crate::error::Result;
use crate::value::Output;

/// A figure about a part of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// For people: `mean IoU`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// What it counts.
    pub unit: Unit,
    /// The output that it is about; `None` if it is about all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share 0..=1; larger is better.
    Share,
    /// An error as a share of the output's deviation; smaller is better.
    Error,
    /// A number of things.
    Count,
}

impl Figure {
    pub(super) fn share(name: &str, value: f64) -> Self {
        Self {
            name: name.to_string(),
            value,
            unit: Unit::Share,
            output: None,
        }
    }

    pub(super) fn of_output(mut self, output: &str) -> Self {
        self.output = Some(output.to_string());
        self
    }

    pub(super) fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// True if it counts things and there are none, such as boxes that the original finds.
    pub fn counts_nothing(&self) -> bool {
        self.unit == Unit::Count && self.value == 0.0
    }

    /// Its value as people read it: `97.31 %`.
    pub fn text(&self) -> String {
        match self.unit {
            Unit::Share => format!("{:.2} %", 100.0 * self.value),
            Unit::Error => format!("{:.4}", self.value),
            Unit::Count => format!("{:.0}", self.value),
        }
    }

    /// Its name, with that of the output.
    pub fn title(&self) -> String {
        match &self.output {
            Some(output) => format!("{} of {output}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Gathers figures over a part, batch by batch.
pub trait Gather {
    /// Takes in a batch (what a network gives, and what it is held against), and judges it as
    /// [`super::Task::judge`] does: outputs are read once for both.
    ///
    /// # Errors
    /// As [`super::Task::judge`].
    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>>;

    /// The figures of all batches so far.
    fn figures(&self) -> Vec<Figure>;
}
