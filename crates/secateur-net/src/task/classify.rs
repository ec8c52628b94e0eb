//! One class of several for each sample.
//!
//! With labels quality is the share of right answers. Without, it is the share of samples to
//! which the original gives the same class (agreement): since a network can only be wrong more
//! often where it answers differently, its accuracy lies at most the share of disagreement
//! below the original's, on these samples.

use burn::tensor::Tensor;
use secateur_onnx::graph::{Dim, Graph, ValueInfo};

use super::contrast::{Contrast, Pair};
use super::cross_entropy::CrossEntropy;
use super::ends::Ends;
use super::shares::{divergence, likeliest};
use super::{Against, Judged, Targets, Task, Wanted};
use crate::engine::Engine;
use crate::error::{NetError, Result, listed};
use crate::interpreter::ImageInput;
use crate::value::{Dense, Output};

/// Samples of one class each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classify {
    output: String,
    n_classes: usize,
    against: Against,
}

impl Classify {
    /// Of a graph that gives one row of class scores a sample; with labels, of one that takes images.
    ///
    /// A softmax at the very end (also its logarithm) is left out: the loss works on the scores
    /// before it.
    ///
    /// # Errors
    /// [`NetError::Task`] says what the file has instead.
    pub fn find(graph: &Graph, against: Against) -> Result<Self> {
        // Labels come with images alone.
        let input = match against {
            Against::Labels => Some(ImageInput::only(&graph.name, &graph.inputs)?),
            Against::Original => None,
        };
        let [output] = graph.outputs.as_slice() else {
            return Err(NetError::Task {
                place: format!("graph `{}`", graph.name),
                reason: format!(
                    "training takes one output of class scores, the file has {}: {}",
                    graph.outputs.len(),
                    listed(&graph.outputs)
                ),
            });
        };
        if let Some(input) = input {
            ImageInput::of(input)?;
        }
        let n_classes = class_count(graph, output)?;
        let rank = output.shape.len();
        let scores = Ends::new(graph)?.before_softmax(&output.name, 1, rank);
        Ok(Self {
            output: scores.unwrap_or(&output.name).to_string(),
            n_classes,
            against,
        })
    }

    fn lacking(&self, outputs: usize) -> NetError {
        self.misfit(0, format!("{outputs} outputs"))
    }

    fn misfit(&self, n: usize, got: String) -> NetError {
        NetError::Shape {
            node: self.output.clone(),
            expected: format!("class scores [{n}, {}]", self.n_classes),
            got,
        }
    }

    /// Fails unless an output of these extents is a row of scores for each of `n` samples.
    fn check_rows(&self, dims: &[usize], n: usize) -> Result<()> {
        if dims.first() != Some(&n) || dims.iter().product::<usize>() != n * self.n_classes {
            return Err(self.misfit(n, format!("{dims:?}")));
        }
        Ok(())
    }

    /// Fails for a label beyond the classes.
    fn check_labels(&self, labels: &[u32]) -> Result<()> {
        match labels.iter().find(|&&l| l as usize >= self.n_classes) {
            Some(label) => Err(NetError::Shape {
                node: self.output.clone(),
                expected: format!("labels below {}", self.n_classes),
                got: label.to_string(),
            }),
            None => Ok(()),
        }
    }
}

impl Task for Classify {
    fn name(&self) -> &'static str {
        "classify"
    }

    fn quality_name(&self) -> &'static str {
        match self.against {
            Against::Labels => "accuracy",
            Against::Original => "agreement",
        }
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.output]
    }

    fn against(&self) -> Against {
        self.against
    }

    fn n_classes(&self) -> Option<usize> {
        Some(self.n_classes)
    }

    fn moves_with_inputs(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        format!("one of {} classes, by `{}`", self.n_classes, self.output)
    }

    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>> {
        let scores = outputs.first().ok_or_else(|| self.lacking(outputs.len()))?;
        let n = scores.dims().first().copied().unwrap_or(0);
        self.check_rows(scores.dims(), n)?;
        let mut wanted = match self.against {
            Against::Labels => {
                self.check_rows(scores.dims(), targets.labels.len())?;
                self.check_labels(targets.labels)?;
                CrossEntropy::new(targets.labels, self.n_classes, targets.smoothing)
            }
            Against::Original => CrossEntropy::of_teacher(self.n_classes),
        };
        match (&targets.teacher, self.against) {
            (Some(teacher), against) => {
                let rows = teacher.outputs.first();
                let rows = rows.ok_or_else(|| self.lacking(teacher.outputs.len()))?;
                self.check_rows(&rows.shape, n)?;
                let share = match against {
                    Against::Labels => teacher.weight.share,
                    Against::Original => 1.0,
                };
                wanted = wanted.with_teacher(&rows.values, share, teacher.weight.temperature);
            }
            (None, Against::Original) => return Err(self.lacking(0)),
            (None, Against::Labels) => {}
        }
        let scores = scores.reshape(&[n, self.n_classes]).tensor();
        Ok(wanted.loss(scores, engine))
    }

    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let scores = outputs.first().ok_or_else(|| self.lacking(outputs.len()))?;
        let rows = scores.values.chunks_exact(self.n_classes);
        match (wanted, self.against) {
            (Wanted::Labels(labels), Against::Labels) => {
                self.check_rows(&scores.shape, labels.len())?;
                self.check_labels(labels)?;
                Ok(rows.zip(labels).map(|(row, &l)| judge(row, l)).collect())
            }
            (Wanted::Original(original), Against::Original) => {
                let given = original
                    .first()
                    .ok_or_else(|| self.lacking(original.len()))?;
                self.check_rows(&scores.shape, given.n())?;
                self.check_rows(&given.shape, given.n())?;
                let given = given.values.chunks_exact(self.n_classes);
                Ok(rows
                    .zip(given)
                    .map(|(row, given)| agree(row, given))
                    .collect())
            }
            (wanted, _) => Err(self.misfit(scores.n(), format!("no such targets: {wanted:?}"))),
        }
    }

    fn contrast(&self, outputs: Pair<&[Output]>) -> Result<Contrast> {
        for outputs in [outputs.original, outputs.result] {
            let scores = outputs.first().ok_or_else(|| self.lacking(outputs.len()))?;
            self.check_rows(&scores.shape, 1)?;
        }
        Ok(Contrast::Classes(
            outputs.map(|outputs| likeliest(&outputs[0].values)),
        ))
    }
}

/// The largest score, the first of equal ones.
fn best(scores: &[f32]) -> usize {
    let scores = scores.iter().enumerate();
    scores
        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
        .map_or(0, |(class, _)| class)
}

/// Right or wrong, and the cross-entropy.
fn judge(scores: &[f32], label: u32) -> Judged {
    let class = label as usize;
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|&z| f64::from(z - max).exp()).sum();
    // If scores are NaN there is still a best one; that is no right answer.
    let is_right = best(scores) == class && scores[class].is_finite();
    Judged {
        quality: f32::from(u8::from(is_right)),
        loss: sum.ln() - f64::from(scores[class] - max),
        class: Some(label),
    }
}

/// The same class or another, and the Kullback-Leibler divergence from the original's shares
/// to those of `scores`, Σ p · ln(p / q).
fn agree(scores: &[f32], original: &[f32]) -> Judged {
    let class = best(original);
    let is_same = best(scores) == class && scores[class].is_finite();
    Judged {
        quality: f32::from(u8::from(is_same)),
        loss: divergence(scores, original),
        class: u32::try_from(class).ok(),
    }
}

fn class_count(graph: &Graph, output: &ValueInfo) -> Result<usize> {
    let shapes = secateur_onnx::shape::infer_shapes(graph, None)?;
    let dims = shapes.get(&output.name).map_or(&[][..], Vec::as_slice);
    let batch = graph
        .inputs
        .first()
        .and_then(|input| input.shape.first()?.fixed());
    // A file for a batch of one sample may give many rows for it.
    let is_row = |rows: &Dim| match (batch, rows.fixed()) {
        (Some(batch), Some(rows)) => rows == batch,
        _ => true,
    };
    match dims {
        [rows, Dim::Fixed(classes), rest @ ..]
            if is_row(rows) && *classes > 1 && rest.iter().all(|dim| dim.fixed() == Some(1)) =>
        {
            Ok(*classes)
        }
        _ => {
            let shape: Vec<String> = dims.iter().map(ToString::to_string).collect();
            Err(NetError::Task {
                place: format!("output `{}` [{}]", output.name, shape.join(", ")),
                reason: "training takes one row of class scores an image, [n, classes], of two \
                         classes or more"
                    .to_string(),
            })
        }
    }
}

#[cfg(test)]
mod tests;
