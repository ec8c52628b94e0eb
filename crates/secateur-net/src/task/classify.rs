//! One class of several for each image.

use burn::tensor::Tensor;
use secateur_onnx::graph::{Dim, Graph, ValueInfo};

use super::cross_entropy::CrossEntropy;
use super::{Judged, Targets, Task};
use crate::engine::Engine;
use crate::error::{NetError, Result, listed};
use crate::interpreter::ImageInput;
use crate::value::{Dense, Output};

/// Images with one label each; quality is the share of right answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classify {
    output: String,
    n_classes: usize,
}

impl Classify {
    /// Of a graph that takes one image and gives one row of class scores.
    ///
    /// A softmax at the very end (also its logarithm) is left out: the loss works on the scores
    /// before it.
    ///
    /// # Errors
    /// [`NetError::Task`] says what the file has instead.
    pub fn find(graph: &Graph) -> Result<Self> {
        let input = ImageInput::only(&graph.name, &graph.inputs)?;
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
        ImageInput::of(input)?;
        let n_classes = class_count(graph, output)?;
        let last = graph
            .nodes
            .iter()
            .find(|node| node.outputs.first() == Some(&output.name))
            .filter(|node| {
                matches!(node.op_type.as_str(), "Softmax" | "LogSoftmax")
                    && matches!(node.attr_i("axis", 1), 1 | -1)
            });
        let scores = last.and_then(|node| node.input(0));
        Ok(Self {
            output: scores.unwrap_or(&output.name).to_string(),
            n_classes,
        })
    }

    fn misfit(&self, n: usize, got: String) -> NetError {
        NetError::Shape {
            node: self.output.clone(),
            expected: format!("class scores [{n}, {}]", self.n_classes),
            got,
        }
    }

    /// Fails unless an output of these extents is a row of scores for each label.
    fn check(&self, dims: &[usize], labels: &[u32]) -> Result<()> {
        let (n, len) = (labels.len(), dims.iter().product::<usize>());
        if dims.first() != Some(&n) || len != n * self.n_classes {
            return Err(self.misfit(n, format!("{dims:?}")));
        }
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
        "accuracy"
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.output]
    }

    fn n_classes(&self) -> Option<usize> {
        Some(self.n_classes)
    }

    fn describe(&self) -> String {
        format!("one of {} classes, by `{}`", self.n_classes, self.output)
    }

    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>> {
        let n = targets.labels.len();
        let Some(scores) = outputs.first() else {
            return Err(self.misfit(n, "no output".to_string()));
        };
        self.check(scores.dims(), targets.labels)?;
        let mut wanted = CrossEntropy::new(targets.labels, self.n_classes, targets.smoothing);
        if let Some(teacher) = &targets.teacher {
            let Some(rows) = teacher.outputs.first() else {
                return Err(self.misfit(n, "no output of the teacher".to_string()));
            };
            self.check(&rows.shape, targets.labels)?;
            wanted = wanted.with_teacher(&rows.values, teacher.weight, teacher.temperature);
        }
        let scores = scores.reshape(&[n, self.n_classes]).tensor();
        Ok(wanted.loss(scores, engine))
    }

    fn judge(&self, outputs: &[Output], labels: &[u32]) -> Result<Vec<Judged>> {
        let Some(scores) = outputs.first() else {
            return Err(self.misfit(labels.len(), "no output".to_string()));
        };
        self.check(&scores.shape, labels)?;
        let rows = scores.values.chunks_exact(self.n_classes);
        Ok(rows.zip(labels).map(|(row, &l)| judge(row, l)).collect())
    }
}

/// Right or wrong, and the cross-entropy.
fn judge(scores: &[f32], label: u32) -> Judged {
    let label = label as usize;
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = scores.iter().map(|&z| f64::from(z - max).exp()).sum();
    let best = scores
        .iter()
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
        .map_or(0, |(class, _)| class);
    // If scores are NaN, `max_by` still finds a best one; that is no right answer.
    let is_right = best == label && scores[label].is_finite();
    Judged {
        quality: f32::from(u8::from(is_right)),
        loss: sum.ln() - f64::from(scores[label] - max),
    }
}

fn class_count(graph: &Graph, output: &ValueInfo) -> Result<usize> {
    let shapes = secateur_onnx::shape::infer_shapes(graph, None)?;
    let dims = shapes.get(&output.name).map_or(&[][..], Vec::as_slice);
    match dims {
        [_, Dim::Fixed(classes), rest @ ..]
            if *classes > 0 && rest.iter().all(|dim| dim.fixed() == Some(1)) =>
        {
            Ok(*classes)
        }
        _ => {
            let shape: Vec<String> = dims.iter().map(ToString::to_string).collect();
            Err(NetError::Task {
                place: format!("output `{}` [{}]", output.name, shape.join(", ")),
                reason: "training takes one row of class scores an image, [n, classes]".to_string(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Distillation;

    const TASK: Classify = Classify {
        output: String::new(),
        n_classes: 3,
    };

    fn output(shape: &[usize], values: &[f32]) -> Output {
        Output {
            shape: shape.to_vec(),
            values: values.to_vec(),
        }
    }

    #[test]
    fn the_largest_score_is_the_answer_and_the_loss_is_cross_entropy() {
        let scores = [1.0, 2.0, 0.0, 5.0, 5.0, 0.0, f32::NAN, 0.0, 1.0];
        let judged = TASK.judge(&[output(&[3, 3], &scores)], &[1, 1, 0]);
        let judged = judged.unwrap();
        // The first of equal scores wins; NaN is no answer.
        let quality: Vec<f32> = judged.iter().map(|j| j.quality).collect();
        assert_eq!(quality, [1.0, 0.0, 0.0]);
        let expected = (1f64.exp() + 2f64.exp() + 1.0).ln() - 2.0;
        assert!((judged[0].loss - expected).abs() < 1e-12);
    }

    #[test]
    fn outputs_labels_and_teachers_that_do_not_fit_are_errors() {
        let judge = |shape: &[usize], values: &[f32], labels: &[u32]| {
            TASK.judge(&[output(shape, values)], labels)
        };
        assert!(judge(&[1, 3], &[0.0; 3], &[2]).is_ok());
        assert!(judge(&[1, 3, 1, 1], &[0.0; 3], &[2]).is_ok());
        assert!(judge(&[1, 3], &[0.0; 3], &[3]).is_err());
        assert!(judge(&[1, 2], &[0.0; 2], &[1]).is_err());
        assert!(judge(&[3, 1], &[0.0; 3], &[1]).is_err());
        assert!(TASK.judge(&[], &[1]).is_err());
        let engine = Engine::fused();
        let scores = Tensor::<2>::zeros([1, 3], engine.device());
        let loss = |labels: &[u32], teacher: Vec<Output>| {
            let targets = Targets {
                teacher: Some(Distillation {
                    outputs: teacher,
                    weight: 0.5,
                    temperature: 2.0,
                }),
                ..Targets::labels(labels)
            };
            TASK.loss(&engine, &[Dense::from_tensor(scores.clone())], &targets)
        };
        assert!(loss(&[0], vec![output(&[1, 3], &[0.0; 3])]).is_ok());
        assert!(loss(&[3], vec![output(&[1, 3], &[0.0; 3])]).is_err());
        assert!(loss(&[0], vec![output(&[2, 3], &[0.0; 6])]).is_err());
        assert!(loss(&[0], Vec::new()).is_err());
    }
}
