//! Boxes with classes.
//!
//! The quality of a sample is the F1 score of its boxes against the original's, of the same
//! class and overlapping by half, after a threshold of the score and suppression. The loss is
//! the error of the raw heads (the last layers with weights) as a share of how they vary:
//! decoded boxes have steep and flat places, a classification loss destroys what is no class
//! score. Where boxes cannot be told surely, [`super::Match`] takes the outputs.

mod boxes;
mod decode;
mod fit;
mod layout;
mod ranked;

use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_onnx::graph::Graph;

use self::boxes::{Found, certain, f1, matched};
use self::decode::{Form, decode, form_of};
use self::layout::Layout;
use self::ranked::Ranked;
use super::contrast::{Contrast, Pair, ShownBox};
use super::deviation;
use super::ends::Ends;
use super::figures::Gather;
use super::originals::{check_count, judged_by, mean_loss, misfit, originals};
use super::{Against, Judged, Targets, Task, Wanted};
use crate::engine::Engine;
use crate::error::Result;
use crate::value::{Dense, Output};

/// Detectors of known layouts.
#[derive(Debug, Clone, PartialEq)]
pub struct Detect {
    /// The file's outputs, then the raw heads.
    values: Vec<String>,
    n_outputs: usize,
    layout: Layout,
    form: Form,
    /// Of the heads, over the samples that the task was fitted to.
    variances: Option<Vec<f64>>,
}

impl Detect {
    /// # Errors
    /// [`crate::NetError::Task`] if it is not sure that the outputs are boxes.
    pub fn find(graph: &Graph) -> Result<Self> {
        let ends = Ends::new(graph)?;
        let names: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
        let layout = layout::find(&ends, &names).ok_or_else(|| {
            ends.misfit(
                "boxes are told by their shapes: rows of centre, size, objectness and classes for \
                 the cells of a grid [n, a, 5 + c], the same without objectness in columns [n, \
                 4 + c, a], boxes [n, a, 4] beside scores [n, a, c], or distances by level",
            )
        })?;
        let mut heads: Vec<&str> = Vec::new();
        for head in names.iter().flat_map(|name| ends.heads(name)) {
            if !heads.contains(&head) {
                heads.push(head);
            }
        }
        if heads.is_empty() {
            heads.clone_from(&names);
        }
        let n_outputs = names.len();
        let values = names.into_iter().chain(heads).map(str::to_string);
        Ok(Self {
            values: values.collect(),
            n_outputs,
            layout,
            form: Form::Corners,
            variances: None,
        })
    }

    /// The boxes of each sample.
    fn boxes(&self, outputs: &[Output]) -> Result<Vec<Vec<Found>>> {
        self.check(outputs)?;
        let n = outputs.first().map_or(0, Output::n);
        Ok((0..n)
            .map(|i| decode(&self.layout, self.form, outputs, i))
            .collect())
    }

    /// Fails unless outputs have as many values as the layout reads.
    fn check(&self, outputs: &[Output]) -> Result<()> {
        check_count(self.values.len(), outputs.len(), self.values.len())?;
        let n = outputs[0].n();
        for (name, output) in self.values.iter().zip(outputs) {
            if output.n() != n {
                let got = format!("{:?}", output.shape);
                return Err(misfit(name, &format!("values for {n} samples"), &got));
            }
        }
        if self.layout.fits(&outputs[..self.n_outputs]) {
            return Ok(());
        }
        let got: Vec<String> = outputs[..self.n_outputs]
            .iter()
            .map(|o| format!("{:?}", o.shape))
            .collect();
        Err(misfit(
            &self.values[0],
            &self.layout.text(),
            &got.join(", "),
        ))
    }

    fn variance(&self, head: usize, wanted: &Output) -> f64 {
        let own = self
            .variances
            .as_ref()
            .and_then(|all| all.get(head).copied());
        own.unwrap_or_else(|| deviation::variance(wanted))
    }

    /// What a network and the original give.
    fn both<'a>(&self, outputs: &'a [Output], wanted: Wanted<'a>) -> Result<[Decoded<'a>; 2]> {
        let original = judged_by(&self.values[0], wanted)?;
        let (a, b) = (self.boxes(outputs)?, self.boxes(original)?);
        if outputs
            .iter()
            .zip(original)
            .any(|(a, b)| a.shape != b.shape)
        {
            let got = "outputs of other shapes";
            return Err(misfit(&self.values[0], "the shapes of the original's", got));
        }
        Ok([(outputs, a), (original, b)])
    }

    /// How good a network's boxes and heads are.
    fn judged(&self, [(outputs, given), (original, wanted)]: &[Decoded<'_>; 2]) -> Vec<Judged> {
        let heads: Vec<(&Output, &Output, f64)> = outputs[self.n_outputs..]
            .iter()
            .zip(&original[self.n_outputs..])
            .enumerate()
            .map(|(head, (a, b))| (a, b, self.variance(head, b)))
            .collect();
        let loss = |i: usize| {
            let errors = heads
                .iter()
                .map(|(a, b, variance)| deviation::error(a.sample(i), b.sample(i), *variance));
            errors.sum::<f64>() / heads.len().max(1) as f64
        };
        let pairs = given.iter().zip(wanted).enumerate();
        pairs
            .map(|(i, (given, wanted))| Judged {
                quality: f1(certain(given), certain(wanted)) as f32,
                loss: loss(i),
                class: None,
            })
            .collect()
    }
}

/// Outputs, and the boxes of each sample.
type Decoded<'a> = (&'a [Output], Vec<Vec<Found>>);

impl Task for Detect {
    fn name(&self) -> &'static str {
        "detect"
    }

    fn quality_name(&self) -> &'static str {
        "F1 of boxes"
    }

    fn outputs(&self) -> Vec<&str> {
        self.values.iter().map(String::as_str).collect()
    }

    fn against(&self) -> Against {
        Against::Original
    }

    fn n_classes(&self) -> Option<usize> {
        None
    }

    fn describe(&self) -> String {
        let outputs: Vec<String> = self.values[..self.n_outputs]
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        format!(
            "boxes with classes: {}, by {}",
            self.layout.text(),
            outputs.join(", ")
        )
    }

    fn needs_fitting(&self) -> bool {
        true
    }

    fn fitted(&self, sample: &[Output]) -> Option<Arc<dyn Task>> {
        let mut fitted = self.clone();
        if let Layout::Pair { boxes, .. } = self.layout {
            fitted.form = form_of(sample.get(boxes)?);
        }
        let heads = sample.get(self.n_outputs..)?;
        fitted.variances = Some(heads.iter().map(deviation::variance).collect());
        Some(Arc::new(fitted))
    }

    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>> {
        check_count(self.values.len(), outputs.len(), self.values.len())?;
        let originals = originals(targets, self.values.len())?;
        let pairs = outputs
            .iter()
            .zip(originals)
            .skip(self.n_outputs)
            .enumerate();
        let losses = pairs
            .map(|(head, (output, wanted))| {
                deviation::loss(output, wanted, self.variance(head, wanted))
            })
            .collect::<Result<_>>()?;
        Ok(mean_loss(losses, engine))
    }

    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        Ok(self.judged(&self.both(outputs, wanted)?))
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Ranked::new(self.clone())))
    }

    fn contrast(&self, outputs: Pair<&[Output]>) -> Result<Contrast> {
        let boxes = |outputs: &[Output]| -> Result<Vec<Found>> {
            let found = self.boxes(outputs)?.into_iter().next().unwrap_or_default();
            Ok(certain(&found).to_vec())
        };
        let (original, result) = (boxes(outputs.original)?, boxes(outputs.result)?);
        let pairs = matched(&result, &original);
        let is_found = |i: usize| pairs.contains(&Some(i));
        Ok(Contrast::Boxes(Pair {
            original: shown(&original, is_found),
            result: shown(&result, |i| pairs[i].is_some()),
        }))
    }
}

/// Boxes for people; `is_matched` says whether the other network finds one too.
fn shown(boxes: &[Found], is_matched: impl Fn(usize) -> bool) -> Vec<ShownBox> {
    let boxes = boxes.iter().enumerate();
    boxes
        .map(|(i, found)| ShownBox {
            class: found.class,
            score: found.score,
            corners: found.corners,
            is_matched: is_matched(i),
        })
        .collect()
}

#[cfg(test)]
mod tests;
