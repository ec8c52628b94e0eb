//! What outputs should be, and how good they are.

use crate::value::Output;

/// What the outputs of a batch should be.
#[derive(Debug, Clone, Default)]
pub struct Targets<'a> {
    /// `[n]`; empty where the task needs none.
    pub labels: &'a [u32],
    /// Label smoothing, 0..1.
    pub smoothing: f32,
    /// What a teacher gives for the samples of the batch.
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
}

/// Learning from a teacher's outputs.
#[derive(Debug, Clone)]
pub struct Distillation {
    /// What the task reads of the teacher, for every sample.
    pub outputs: Vec<Output>,
    /// Share of the loss that follows the teacher, 0..=1.
    pub weight: f32,
    /// Softens what both say; above 0.
    pub temperature: f32,
}

impl Distillation {
    /// For the samples at `indices`.
    pub fn pick(&self, indices: &[usize]) -> Self {
        Self {
            outputs: self.outputs.iter().map(|o| o.pick(indices)).collect(),
            ..*self
        }
    }
}

/// How good the outputs of one sample are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// 0..=1, larger is better; never NaN.
    pub quality: f32,
    /// Loss without smoothing.
    pub loss: f64,
}
