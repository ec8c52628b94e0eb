//! A class for each position of a map: segmentation, masks, probability maps of text.
//!
//! Most of a map is background, often nine tenths and more: a network that finds nothing at all
//! agrees with the original at nearly all positions. So the quality of a sample is the mean
//! intersection over union with the original's map: over the classes that occur in one of both
//! maps; of a mask, over the foreground alone. Agreement by position is a further figure.

mod counted;
mod loss;
mod overlaps;
mod shown;
mod told;

use burn::tensor::Tensor;
use secateur_onnx::graph::Graph;

use self::counted::Counts;
use self::overlaps::Overlaps;
use self::told::{Kind, Map};
use super::contrast::{Contrast, Pair};
use super::ends::Ends;
use super::figures::Gather;
use super::originals::{check_count, check_shape, judged_by, mean_loss, misfit, originals};
use super::{Against, Judged, Targets, Task, Wanted, Wish};
use crate::engine::Engine;
use crate::error::Result;
use crate::value::{Dense, Output};

/// Maps of classes or masks, `[n, c, ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    maps: Vec<Map>,
}

impl Maps {
    /// All outputs of a graph are maps.
    ///
    /// # Errors
    /// [`crate::NetError::Task`] if they are not.
    pub(super) fn find(graph: &Graph, wish: Wish) -> Result<Self> {
        let ends = Ends::new(graph)?;
        let outputs = graph.outputs.iter();
        let maps: Option<Vec<Map>> = outputs
            .map(|output| Map::find(&ends, &output.name, wish))
            .collect();
        maps.filter(|maps| !maps.is_empty())
            .map(|maps| Self { maps })
            .ok_or_else(|| ends.misfit("maps have outputs [n, classes, height, width]"))
    }

    /// Of each map, extents, scores and the original's scores; fails unless they fit.
    fn paired<'a>(&'a self, outputs: &'a [Output], wanted: Wanted<'a>) -> Result<Vec<Paired<'a>>> {
        let original = judged_by(&self.maps[0].scores, wanted)?;
        check_count(self.maps.len(), outputs.len(), original.len())?;
        let triples = self.maps.iter().zip(outputs).zip(original);
        triples
            .map(|((map, output), wanted)| {
                check_shape(&map.scores, &output.shape, wanted)?;
                if output.n() != outputs[0].n() {
                    let expected = format!("values for {} samples", outputs[0].n());
                    let got = format!("{:?}", output.shape);
                    return Err(misfit(&map.scores, &expected, &got));
                }
                Ok((map, map.extents(&output.shape)?, output, wanted))
            })
            .collect()
    }

    /// Of each sample, how its maps overlap the original's.
    fn counted(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Vec<Counts>>> {
        let paired = self.paired(outputs, wanted)?;
        let of_sample = |i: usize| {
            let counts = paired.iter().map(|(map, extents, output, wanted)| {
                map.counted(output.sample(i), wanted.sample(i), *extents)
            });
            counts.collect()
        };
        let n = outputs.first().map_or(0, Output::n);
        Ok((0..n).map(of_sample).collect())
    }
}

/// A map, its extents, scores and the original's scores.
type Paired<'a> = (&'a Map, [usize; 2], &'a Output, &'a Output);

impl Task for Maps {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn quality_name(&self) -> &'static str {
        "mean IoU"
    }

    fn outputs(&self) -> Vec<&str> {
        self.maps.iter().map(|map| map.scores.as_str()).collect()
    }

    fn against(&self) -> Against {
        Against::Original
    }

    fn n_classes(&self) -> Option<usize> {
        None
    }

    fn describe(&self) -> String {
        let map = |map: &Map| match map.kind {
            Kind::Classes => format!("a map of classes by `{}`", map.scores),
            Kind::Masks => format!("a mask by `{}`", map.scores),
        };
        self.maps.iter().map(map).collect::<Vec<_>>().join(", ")
    }

    fn loss(&self, engine: &Engine, outputs: &[Dense], targets: &Targets<'_>) -> Result<Tensor<1>> {
        check_count(self.maps.len(), outputs.len(), self.maps.len())?;
        let originals = originals(targets, self.maps.len())?;
        let temperature = targets.temperature();
        let triples = self.maps.iter().zip(outputs).zip(originals);
        let losses = triples
            .map(|((map, output), wanted)| map.loss(output, wanted, engine, temperature))
            .collect::<Result<_>>()?;
        Ok(mean_loss(losses, engine))
    }

    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let counted = self.counted(outputs, wanted)?;
        Ok(counted.iter().map(|counts| judged(counts)).collect())
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Overlaps::new(self.clone())))
    }

    fn contrast(&self, outputs: Pair<&[Output]>) -> Result<Contrast> {
        let paired = self.paired(outputs.result, Wanted::Original(outputs.original))?;
        let shown = paired
            .into_iter()
            .flat_map(|(map, extents, result, original)| {
                map.shown(Pair { original, result }, extents)
            });
        Ok(Contrast::Maps(shown.collect()))
    }
}

/// Of a sample, by the overlaps of its maps.
fn judged(counts: &[Counts]) -> Judged {
    let k = counts.len().max(1) as f64;
    Judged {
        quality: (counts.iter().map(Counts::mean_iou).sum::<f64>() / k) as f32,
        loss: counts.iter().map(|counts| counts.loss).sum::<f64>() / k,
        class: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Place;
    use crate::task::testing::{check_gradient, output};

    fn task(kind: Kind) -> Maps {
        Maps {
            maps: vec![Map {
                scores: "scores".to_string(),
                kind,
            }],
        }
    }

    /// Scores whose best classes are these.
    fn classes<const N: usize>(map: [usize; N]) -> Output {
        let scores =
            (0..3).flat_map(|class| map.map(|best| f32::from(u8::from(best == class)) * 4.0));
        output(&[1, 3, 1, N], &scores.collect::<Vec<f32>>())
    }

    #[test]
    fn quality_is_the_mean_over_the_classes_that_occur() {
        let task = task(Kind::Classes);
        let original = [classes([0, 0, 0, 0, 0, 0, 1, 1])];
        let judge = |o: &Output| {
            let judged = task.judge(std::slice::from_ref(o), Wanted::Original(&original));
            judged.unwrap()[0]
        };
        let own = judge(&original[0]);
        assert_eq!(own.quality, 1.0);
        assert!(own.loss.abs() < 1e-6);
        // Nothing found: three quarters of the positions agree, the quality is less.
        assert_eq!(judge(&classes([0; 8])).quality, 0.75 / 2.0);
        // Class 1 by half; class 2 never occurs in the original: (6/6 + 1/2 + 0) / 3.
        let other = classes([0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(judge(&other).quality, 0.5);
        assert!(judge(&other).loss > 0.0);
        let mut gathered = task.gather().unwrap();
        let judged = judge(&other);
        let added = gathered.add(&[other], Wanted::Original(&original));
        assert_eq!(added.unwrap(), [judged]);
        let figures = gathered.figures();
        assert_eq!((figures[0].value, figures[1].value), (0.5, 0.875));
        let nan = output(&[1, 3, 1, 8], &[f32::NAN; 24]);
        assert_eq!(judge(&nan).quality, 0.0);
        assert!(judge(&nan).loss.is_nan());
    }

    #[test]
    fn the_background_of_a_mask_counts_for_nothing() {
        let task = task(Kind::Masks);
        let mask = |z: [f32; 4]| output(&[1, 1, 2, 2], &z);
        let judge = |a: [f32; 4], b: [f32; 4]| {
            let original = [mask(b)];
            task.judge(&[mask(a)], Wanted::Original(&original)).unwrap()[0]
        };
        let original = [3.0, 2.0, -4.0, -5.0];
        let own = judge(original, original);
        assert_eq!((own.quality, own.loss), (1.0, 0.0));
        assert_eq!(judge([-1.0; 4], original).quality, 0.0);
        assert_eq!(judge([1.0, -1.0, -1.0, 1.0], original).quality, 1.0 / 3.0);
        assert_eq!(judge([-1.0; 4], [-2.0; 4]).quality, 1.0);
        assert_eq!(judge([f32::NAN; 4], original).quality, 0.0);
        assert_eq!(judge([f32::NAN; 4], [-2.0; 4]).quality, 0.0);
        // p · ln(p / q) + (1 - p) · ln((1 - p) / (1 - q)) by hand.
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let (p, q) = (sigmoid(3.0), sigmoid(-1.0));
        let expected = p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        let moved = judge([-1.0, 2.0, -4.0, -5.0], original);
        assert!((moved.loss - expected / 4.0).abs() < 1e-9);
    }

    #[test]
    fn maps_of_both_are_shown() {
        let contrast = |kind: Kind, original: &Output, result: &Output| {
            let outputs = Pair {
                original: std::slice::from_ref(original),
                result: std::slice::from_ref(result),
            };
            match task(kind).contrast(outputs) {
                Ok(Contrast::Maps(maps)) => maps,
                other => panic!("no maps: {other:?}"),
            }
        };
        let [original, result] = [classes([0, 2, 1]), classes([0, 2, 2])];
        let maps = contrast(Kind::Classes, &original, &result);
        assert_eq!((maps.len(), maps[0].extents), (1, [1, 1, 3]));
        assert_eq!(maps[0].places.result, [0, 2, 2].map(Place::Class));
        assert_eq!(maps[0].mean_iou, 0.5);
        let nan = output(&[1, 3, 1, 3], &[f32::NAN; 9]);
        let maps = contrast(Kind::Classes, &original, &nan);
        assert_eq!(maps[0].places.result, [Place::NoNumber; 3]);

        let masks = |z: [f32; 4]| output(&[1, 2, 1, 2], &z);
        let maps = contrast(
            Kind::Masks,
            &masks([1.0, -1.0, 2.0, 2.0]),
            &masks([1.0, -1.0, f32::NAN, 2.0]),
        );
        assert_eq!(
            maps[0].places.original,
            [Place::Class(0), Place::Background]
        );
        assert_eq!(maps[1].places.result, [Place::NoNumber, Place::Class(0)]);
        assert_eq!((maps[0].mean_iou, maps[1].mean_iou), (1.0, 0.5));
        assert!(maps[1].name.ends_with("channel 1") && maps[1].is_mask);
    }

    #[test]
    fn gradients_are_those_of_finite_differences_and_misfits_are_errors() {
        let wanted = [output(
            &[2, 2, 1, 2],
            &[0.5, -1.0, 2.0, 0.3, 1.5, 0.0, -0.4, 0.8],
        )];
        let given = [output(
            &[2, 2, 1, 2],
            &[0.1, 0.7, 1.0, -0.2, 0.4, -0.9, 0.6, 0.2],
        )];
        for kind in [Kind::Classes, Kind::Masks] {
            check_gradient(&task(kind), &given, &wanted);
            let judge = |o: &[Output]| task(kind).judge(o, Wanted::Original(&wanted));
            assert!(judge(&given).is_ok());
            assert!(judge(&[]).is_err());
            assert!(judge(&[output(&[2, 2, 2, 1], &[0.0; 8])]).is_err());
            assert!(task(kind).judge(&given, Wanted::Labels(&[0])).is_err());
        }
    }
}
