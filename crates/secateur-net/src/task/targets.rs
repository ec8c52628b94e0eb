//! What outputs should be, and how good they are.

use serde::{Deserialize, Serialize};

use crate::value::Output;

/// What quality is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// The labels of the data.
    Labels,
    /// What the original gives for the same samples.
    Original,
}

/// What the outputs of some samples are held against.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// A label for each sample.
    Labels(&'a [u32]),
    /// The original's outputs for the same samples, in the order of [`super::Task::outputs`].
    Original(&'a [Output]),
}

impl<'a> Wanted<'a> {
    /// The original's outputs where there are some, else the labels.
    pub fn of(outputs: Option<&'a [Output]>, labels: &'a [u32]) -> Self {
        outputs.map_or(Self::Labels(labels), Self::Original)
    }
}

/// What the outputs of a batch should be, to learn from.
#[derive(Debug, Clone, Default)]
pub struct Targets<'a> {
    /// `[n]`; empty where the task needs none.
    pub labels: &'a [u32],
    /// Label smoothing, 0..1.
    pub smoothing: f32,
    /// What the original gives for the samples of the batch.
    pub teacher: Option<Distillation>,
}

impl<'a> Targets<'a> {
    /// Labels alone.
    pub fn labels(labels: &'a [u32]) -> Self {
        Self {
            labels,
            ..Self::default()
        }
    }

    /// What softens class scores; 1 without a teacher.
    pub fn temperature(&self) -> f32 {
        let teacher = self.teacher.as_ref();
        teacher.map_or(1.0, |teacher| teacher.weight.temperature)
    }
}

/// Learning from the original's outputs.
#[derive(Debug, Clone)]
pub struct Distillation {
    /// What the task reads of the original, for the samples of the batch.
    pub outputs: Vec<Output>,
    /// How much they count.
    pub weight: TeacherWeight,
}

/// How much of the loss follows the original.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TeacherWeight {
    /// Share of the loss, 0..=1; tasks that are held against the original take all of it.
    pub share: f32,
    /// Softens the class scores of both; above 0.
    pub temperature: f32,
}

/// How good the outputs of one sample are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// 0..=1, larger is better; never NaN.
    pub quality: f32,
    /// Loss without smoothing; against the original, 0 for the original itself.
    pub loss: f64,
    /// The class that the sample counts as, where there are classes.
    pub class: Option<u32>,
}
