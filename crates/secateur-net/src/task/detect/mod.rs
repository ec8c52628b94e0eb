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
mod tests {
    use super::*;
    use crate::task::testing::{check_gradient, output};

    fn task() -> Detect {
        Detect {
            values: ["boxes", "head"].map(str::to_string).to_vec(),
            n_outputs: 1,
            layout: Layout::Columns { classes: 2 },
            form: Form::Corners,
            variances: None,
        }
    }

    /// Three candidates far apart; class scores as given.
    fn outputs(scores: [[f32; 3]; 2], head: [f32; 2]) -> [Output; 2] {
        let mut values = vec![10.0, 50.0, 90.0, 10.0, 10.0, 10.0];
        values.extend([8.0; 6]);
        values.extend(scores.into_iter().flatten());
        [output(&[1, 6, 3], &values), output(&[1, 2], &head)]
    }

    #[test]
    fn boxes_are_held_against_the_originals() {
        let original = outputs([[0.9, 0.1, 0.0], [0.0, 0.8, 0.01]], [1.0, 3.0]);
        let task = task();
        let judge = |o: &[Output]| task.judge(o, Wanted::Original(&original)).unwrap()[0];
        let own = judge(&original);
        assert_eq!((own.quality, own.loss), (1.0, 0.0));
        // One box lost, one of another class, one new.
        let other = outputs([[0.9, 0.7, 0.0], [0.0, 0.3, 0.6]], [2.0, 3.0]);
        let judged = judge(&other);
        assert_eq!(judged.quality, 2.0 / 5.0);
        // The mean square of an error of 1 in one of two, over the variance 1.
        assert!((judged.loss - 0.5).abs() < 1e-9);
        let mut gathered = task.gather().unwrap();
        let added = gathered.add(&other, Wanted::Original(&original));
        assert_eq!(added.unwrap(), [judged]);
        let figures = gathered.figures();
        // Class 0: its one box first of two, precision 1; class 1: its one box is not found.
        assert_eq!(
            (figures[0].name.as_str(), figures[0].value),
            ("mAP at IoU 0.5", 0.5)
        );
        assert_eq!(figures[2].value, 2.0);
        let nan = [
            output(&[1, 6, 3], &[f32::NAN; 18]),
            output(&[1, 2], &[f32::NAN; 2]),
        ];
        let judged = judge(&nan);
        assert_eq!(judged.quality, 0.0);
        assert!(!judged.loss.is_finite());
    }

    #[test]
    fn boxes_that_both_find_are_told_from_those_of_one() {
        let original = outputs([[0.9, 0.1, 0.0], [0.0, 0.8, 0.01]], [1.0, 3.0]);
        let result = outputs([[0.9, 0.7, 0.0], [0.0, 0.3, 0.6]], [2.0, 3.0]);
        let contrast =
            |original: &[Output], result: &[Output]| task().contrast(Pair { original, result });
        let Contrast::Boxes(shown) = contrast(&original, &result).unwrap() else {
            panic!("no boxes");
        };
        let brief = |boxes: &[ShownBox]| -> Vec<(u32, f32, bool)> {
            boxes
                .iter()
                .map(|b| (b.class, b.score, b.is_matched))
                .collect()
        };
        assert_eq!(brief(&shown.original), [(0, 0.9, true), (1, 0.8, false)]);
        assert_eq!(
            brief(&shown.result),
            [(0, 0.9, true), (0, 0.7, false), (1, 0.6, false)]
        );
        assert!(contrast(&original, &result[..1]).is_err());
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_gradients_reach_the_heads() {
        let original = outputs([[0.9, 0.1, 0.0], [0.0, 0.8, 0.01]], [1.0, 3.0]);
        let task = task();
        let judge = |o: &[Output]| task.judge(o, Wanted::Original(&original));
        assert!(judge(&original[..1]).is_err());
        assert!(judge(&[output(&[1, 5, 3], &[0.0; 15]), original[1].clone()]).is_err());
        assert!(judge(&[output(&[2, 6, 3], &[0.0; 36]), original[1].clone()]).is_err());
        assert!(judge(&[original[0].clone(), output(&[1, 3], &[0.0; 3])]).is_err());
        assert!(task.judge(&original, Wanted::Labels(&[0])).is_err());
        let given = [original[0].clone(), output(&[1, 2], &[0.5, 2.0])];
        check_gradient(&task, &given, &original);
    }
}
