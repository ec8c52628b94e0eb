//! Rows of class scores over time: texts (CTC), frames of sound.
//!
//! A text network says nothing (its blank) at most steps, and agrees there whatever it is
//! worth. So the quality of a sample is the share of steps with the same class among those where
//! the network or the original says something. What nothing is, is seen from the original's
//! outputs: the first or the last class, if it is the most frequent one.

mod texts;

use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_onnx::graph::{Dim, Graph};

use self::texts::Texts;
use super::contrast::{Contrast, Pair};
use super::cross_entropy::CrossEntropy;
use super::ends::Ends;
use super::figures::Gather;
use super::originals::{check_count, check_shape, judged_by, misfit, originals};
use super::shares::divergence;
use super::{Against, Judged, Targets, Task, Wanted, Wish};
use crate::engine::Engine;
use crate::error::Result;
use crate::value::{Dense, Output};

/// Words in names of outputs that hold scores of steps.
const NAMES: [&str; 4] = ["logit", "ctc", "char", "log_prob"];

/// Class scores of each step, `[n, t, c]`, or with the samples on the second axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Scores before softmax.
    scores: String,
    classes: usize,
    /// The class that stands for nothing.
    blank: Option<u32>,
}

impl Sequence {
    /// # Errors
    /// [`crate::NetError::Task`] if the output is none.
    pub(super) fn find(graph: &Graph, wish: Wish) -> Result<Self> {
        let ends = Ends::new(graph)?;
        Self::told(&ends, wish).ok_or_else(|| {
            ends.misfit(
                "sequences have one output of class scores for each step [n, steps, classes]",
            )
        })
    }

    fn told(ends: &Ends<'_>, wish: Wish) -> Option<Self> {
        let [output] = ends.graph.outputs.as_slice() else {
            return None;
        };
        let [_, steps, classes] = ends.dims(&output.name) else {
            return None;
        };
        let classes = classes.fixed().filter(|&classes| classes > 1)?;
        let before = ends.before_softmax(&output.name, 2, 3);
        let name = output.name.to_lowercase();
        let is_named = NAMES.iter().any(|word| name.contains(word));
        let is_sure = classes > 2
            && *steps != Dim::Fixed(1)
            && !ends.is_whole(&output.name)
            && (before.is_some() || is_named);
        (wish == Wish::Stated || is_sure).then(|| Self {
            scores: before.unwrap_or(&output.name).to_string(),
            classes,
            blank: None,
        })
    }

    /// Steps of each sample; fails unless an output has rows of the classes.
    fn check(&self, shape: &[usize]) -> Result<usize> {
        let values: usize = shape.iter().skip(1).product();
        match shape {
            [_, _, .., classes] if *classes == self.classes => Ok(values / self.classes),
            _ => {
                let expected = format!("class scores [n, steps, {}]", self.classes);
                Err(misfit(&self.scores, &expected, &format!("{shape:?}")))
            }
        }
    }

    /// The output and the original's; fails unless they fit.
    fn paired<'a>(
        &self,
        outputs: &'a [Output],
        wanted: Wanted<'a>,
    ) -> Result<(&'a Output, &'a Output)> {
        let original = judged_by(&self.scores, wanted)?;
        check_count(1, outputs.len(), original.len())?;
        let (output, wanted) = (&outputs[0], &original[0]);
        check_shape(&self.scores, &output.shape, wanted)?;
        self.check(&output.shape)?;
        Ok((output, wanted))
    }

    /// The best class of each step; `None` where scores are no numbers.
    fn path(&self, scores: &[f32]) -> Vec<Option<u32>> {
        let rows = scores.chunks_exact(self.classes);
        rows.map(|row| {
            let mut best = (None, f32::NEG_INFINITY);
            for (class, &score) in (0..).zip(row) {
                if score.is_nan() {
                    return None;
                }
                if score > best.1 {
                    best = (Some(class), score);
                }
            }
            best.0
        })
        .collect()
    }

    /// What a path says: repetitions become one, blanks nothing.
    ///
    /// Source: Graves et al., ICML 2006, section 3.1.
    fn text(&self, path: &[Option<u32>]) -> Vec<Option<u32>> {
        let mut text = path.to_vec();
        text.dedup();
        text.retain(|&class| class.is_none() || class != self.blank);
        text
    }

    /// What a network and the original say of each sample; fails unless they fit.
    fn read<'a>(&self, outputs: &'a [Output], wanted: Wanted<'a>) -> Result<Vec<Read<'a>>> {
        let (output, wanted) = self.paired(outputs, wanted)?;
        let read = |i: usize| {
            let scores = Pair {
                original: wanted.sample(i),
                result: output.sample(i),
            };
            Read {
                paths: scores.map(|scores| self.path(scores)),
                scores,
            }
        };
        Ok((0..output.n()).map(read).collect())
    }

    fn judged(&self, read: &Read<'_>) -> Judged {
        let pairs = read.paths.result.iter().zip(&read.paths.original);
        let is_blank = |class: &Option<u32>| class.is_some() && *class == self.blank;
        let told = pairs.filter(|(a, b)| !(is_blank(a) && is_blank(b)));
        let (mut same, mut all) = (0, 0);
        for (a, b) in told {
            all += 1;
            same += usize::from(a == b && a.is_some());
        }
        let rows = read.scores.map(|scores| scores.chunks_exact(self.classes));
        let rows = rows.result.zip(rows.original);
        let losses: Vec<f64> = rows.map(|(a, b)| divergence(a, b)).collect();
        Judged {
            quality: if all == 0 {
                1.0
            } else {
                same as f32 / all as f32
            },
            loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
            class: None,
        }
    }
}

/// A sample's scores, and the best class of each step.
struct Read<'a> {
    scores: Pair<&'a [f32]>,
    paths: Pair<Vec<Option<u32>>>,
}

impl Task for Sequence {
    fn name(&self) -> &'static str {
        "sequence"
    }

    fn quality_name(&self) -> &'static str {
        "agreement by step"
    }

    fn outputs(&self) -> Vec<&str> {
        vec![&self.scores]
    }

    fn against(&self) -> Against {
        Against::Original
    }

    fn n_classes(&self) -> Option<usize> {
        None
    }

    fn describe(&self) -> String {
        format!(
            "one of {} classes for each step, by `{}`",
            self.classes, self.scores
        )
    }

    fn needs_fitting(&self) -> bool {
        true
    }

    fn fitted(&self, sample: &[Output]) -> Option<Arc<dyn Task>> {
        let mut counts = vec![0usize; self.classes];
        for class in self.path(&sample.first()?.values).into_iter().flatten() {
            counts[class as usize] += 1;
        }
        let most = counts.iter().copied().max().filter(|&most| most > 0)?;
        let last = self.classes - 1;
        let blank = [0, last].into_iter().find(|&class| counts[class] == most)?;
        Some(Arc::new(Self {
            blank: u32::try_from(blank).ok(),
            ..self.clone()
        }))
    }

    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>> {
        check_count(1, outputs.len(), 1)?;
        let wanted = &originals(targets, 1)?[0];
        check_shape(&self.scores, outputs[0].dims(), wanted)?;
        let rows = self.check(&wanted.shape)? * wanted.n();
        let temperature = targets.temperature();
        let scores = outputs[0].reshape(&[rows, self.classes]).tensor();
        let teacher = CrossEntropy::of_teacher(self.classes);
        let teacher = teacher.with_teacher(&wanted.values, 1.0, temperature);
        Ok(teacher.loss(scores, engine))
    }

    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let read = self.read(outputs, wanted)?;
        Ok(read.iter().map(|read| self.judged(read)).collect())
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Texts::new(self.clone())))
    }

    fn contrast(&self, outputs: Pair<&[Output]>) -> Result<Contrast> {
        let (result, original) = self.paired(outputs.result, Wanted::Original(outputs.original))?;
        let both = Pair { original, result };
        Ok(Contrast::Texts {
            texts: both.map(|output| self.text(&self.path(&output.values))),
            classes: self.classes,
            blank: self.blank,
        })
    }
}

#[cfg(test)]
mod tests;
