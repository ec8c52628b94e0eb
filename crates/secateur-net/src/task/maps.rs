//! A class for each position of a map: segmentation, masks, probability maps of text.
//!
//! Most of a map is background, often nine tenths and more: a network that finds nothing at all
//! agrees with the original at nearly all positions. So the quality of a sample is the mean
//! intersection over union with the original's map: over the classes that occur in one of both
//! maps; of a mask, over the foreground alone. Agreement by position is a further figure.

use burn::tensor::{Tensor, TensorData, activation};
use secateur_onnx::graph::{Dim, Graph};

use super::cross_entropy::CrossEntropy;
use super::ends::Ends;
use super::figures::{Figure, Gather};
use super::matching::{check_count, mean_loss, misfit, originals};
use super::{Against, Judged, Targets, Task, Wanted, Wish};
use crate::engine::Engine;
use crate::error::Result;
use crate::value::{Dense, Output};

/// Maps are told as such down to this share of the image's side.
const COARSEST: usize = 8;

/// Maps of classes or masks, `[n, c, ...]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maps {
    maps: Vec<Map>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Map {
    /// The value that is read: scores before softmax or sigmoid.
    scores: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of some classes one for each position.
    Classes,
    /// Each channel by itself is there or not.
    Masks,
}

impl Map {
    /// Of an output, if that is one.
    fn find(ends: &Ends<'_>, output: &str, wish: Wish) -> Option<Self> {
        // The largest score of each position is taken in the end.
        let last = ends.last(output).filter(|node| node.op_type == "ArgMax");
        let output = match last {
            Some(node) if node.attr_i("axis", 0) == 1 => node.input(0)?,
            _ => output,
        };
        let dims = ends.dims(output);
        let (Some(channels), 4 | 5) = (dims.get(1).and_then(Dim::fixed), dims.len()) else {
            return None;
        };
        let map = |scores: &str, kind| {
            Some(Self {
                scores: scores.to_string(),
                kind,
            })
        };
        let fits = last.is_some() || is_map(ends, dims);
        if let Some(scores) = ends.before_softmax(output, 1, dims.len())
            && (fits || wish == Wish::Stated)
            && channels > 1
        {
            return map(scores, Kind::Classes);
        }
        if let Some(scores) = ends.before_sigmoid(output)
            && (fits || wish == Wish::Stated)
        {
            return map(scores, Kind::Masks);
        }
        let kind = if channels == 1 {
            Kind::Masks
        } else {
            Kind::Classes
        };
        let is_sure = last.is_some() || (channels > 1 && is_full(ends, output));
        (wish == Wish::Stated || is_sure).then(|| map(output, kind))?
    }

    /// Channels, and positions of each.
    fn extents(&self, shape: &[usize]) -> Result<[usize; 2]> {
        match shape {
            [_, channels, rest @ ..] if *channels > 0 && !rest.is_empty() => {
                Ok([*channels, rest.iter().product()])
            }
            _ => Err(misfit(
                &self.scores,
                "maps [n, c, ...]",
                &format!("{shape:?}"),
            )),
        }
    }

    /// The loss by position.
    fn loss(
        &self,
        output: &Dense,
        wanted: &Output,
        engine: &Engine,
        temperature: f32,
    ) -> Result<Tensor<1>> {
        if output.dims() != wanted.shape {
            let expected = format!("{:?}, as the original gives it", wanted.shape);
            return Err(misfit(
                &self.scores,
                &expected,
                &format!("{:?}", output.dims()),
            ));
        }
        let [channels, positions] = self.extents(output.dims())?;
        let n = wanted.n();
        match self.kind {
            Kind::Masks => Ok(binary(output, wanted)),
            Kind::Classes => {
                // A row of scores for each position, as the cross-entropy takes them.
                let rows = output
                    .reshape(&[n, channels, positions])
                    .permute(&[0, 2, 1]);
                let rows = rows.reshape(&[n * positions, channels]).tensor();
                let mut of_original = vec![0.0; wanted.values.len()];
                let samples = wanted.values.chunks_exact(channels * positions);
                for (to, from) in of_original
                    .chunks_exact_mut(channels * positions)
                    .zip(samples)
                {
                    for (channel, from) in from.chunks_exact(positions).enumerate() {
                        for (position, &score) in from.iter().enumerate() {
                            to[position * channels + channel] = score;
                        }
                    }
                }
                let wanted = CrossEntropy::of_teacher(channels);
                let wanted = wanted.with_teacher(&of_original, 1.0, temperature);
                Ok(wanted.loss(rows, engine))
            }
        }
    }

    /// How a sample's map agrees with the original's.
    fn counted(
        &self,
        scores: &[f32],
        original: &[f32],
        [channels, positions]: [usize; 2],
    ) -> Counts {
        let mut counts = Counts::new(channels);
        match self.kind {
            Kind::Classes => {
                let given = Best::of(scores, channels, positions);
                let wanted = Best::of(original, channels, positions);
                for (&a, &b) in given.class.iter().zip(&wanted.class) {
                    counts.enter(a, b);
                }
                let sums = given
                    .log_sums(scores)
                    .into_iter()
                    .zip(wanted.log_sums(original));
                let sums: Vec<(f32, f32)> = sums.collect();
                let pairs = scores
                    .chunks_exact(positions)
                    .zip(original.chunks_exact(positions));
                for (scores, original) in pairs {
                    for ((&z, &t), &(own, of_original)) in scores.iter().zip(original).zip(&sums) {
                        let (log_q, log_p) = (z - own, t - of_original);
                        if log_p.is_finite() {
                            counts.loss += f64::from(log_p.exp()) * f64::from(log_p - log_q);
                        } else if log_p.is_nan() {
                            counts.loss = f64::NAN;
                        }
                    }
                }
            }
            Kind::Masks => {
                let pairs = scores
                    .chunks_exact(positions)
                    .zip(original.chunks_exact(positions));
                for (channel, (scores, original)) in (0..).zip(pairs) {
                    for (&z, &t) in scores.iter().zip(original) {
                        let class = |score: f32| if score > 0.0 { channel } else { NONE };
                        // What is no number agrees with nothing.
                        match z.is_nan() {
                            true => counts.enter(channel, if t > 0.0 { NONE } else { WRONG }),
                            false => counts.enter(class(z), class(t)),
                        }
                        counts.loss += divergence(z, t);
                    }
                }
            }
        }
        let all = if self.kind == Kind::Masks {
            channels * positions
        } else {
            positions
        };
        counts.loss /= all.max(1) as f64;
        counts
    }
}

/// A map about as wide as the image, as far as extents are known.
fn is_map(ends: &Ends<'_>, dims: &[Dim]) -> bool {
    let [Some(input)] = [ends.graph.inputs.first()] else {
        return false;
    };
    let sides = dims[2..].iter().rev().zip(input.shape.iter().rev());
    input.shape.len() == dims.len()
        && ends.graph.inputs.len() == 1
        && dims[2..].iter().all(|dim| dim.fixed() != Some(1))
        && sides
            .into_iter()
            .all(|(own, of_image)| match (own.fixed(), of_image.fixed()) {
                (Some(own), Some(of_image)) => own * COARSEST >= of_image,
                _ => true,
            })
}

/// Scores of an extent for each position of the image, by a layer that gives any number: no
/// image for an image.
fn is_full(ends: &Ends<'_>, output: &str) -> bool {
    let dims = ends.dims(output);
    let [input] = ends.graph.inputs.as_slice() else {
        return false;
    };
    let linear = [
        "Conv",
        "ConvTranspose",
        "Add",
        "Resize",
        "Upsample",
        "BatchNormalization",
    ];
    input.shape.len() == dims.len()
        && dims[2..] == input.shape[2..]
        && dims[2..]
            .iter()
            .all(|dim| dim.fixed().is_some_and(|extent| extent > 1))
        && dims[1] != input.shape[1]
        && ends
            .last(output)
            .is_some_and(|node| linear.contains(&node.op_type.as_str()))
}

/// No class: the background of masks.
const NONE: u32 = u32::MAX;
/// A class that no other position has.
const WRONG: u32 = u32::MAX - 1;

/// Overlaps of two maps.
struct Counts {
    /// Of each class: positions where both maps have it, and where one of them has.
    classes: Vec<[u64; 2]>,
    same: u64,
    all: u64,
    loss: f64,
}

impl Counts {
    fn new(classes: usize) -> Self {
        Self {
            classes: vec![[0; 2]; classes],
            same: 0,
            all: 0,
            loss: 0.0,
        }
    }

    fn enter(&mut self, given: u32, wanted: u32) {
        self.all += 1;
        self.same += u64::from(given == wanted);
        if given == wanted {
            if let Some([both, any]) = self.classes.get_mut(given as usize) {
                *both += 1;
                *any += 1;
            }
            return;
        }
        for class in [given, wanted] {
            if let Some([_, any]) = self.classes.get_mut(class as usize) {
                *any += 1;
            }
        }
    }

    /// Mean over the classes that occur; 1 where none does.
    fn mean_iou(&self) -> f64 {
        let occurring = self.classes.iter().filter(|[_, any]| *any > 0);
        let shares: Vec<f64> = occurring
            .map(|[both, any]| *both as f64 / *any as f64)
            .collect();
        match shares.len() {
            0 => f64::from(u8::from(self.same == self.all)),
            n => shares.iter().sum::<f64>() / n as f64,
        }
    }

    fn add(&mut self, other: &Self) {
        for (own, other) in self.classes.iter_mut().zip(&other.classes) {
            own[0] += other[0];
            own[1] += other[1];
        }
        self.same += other.same;
        self.all += other.all;
    }
}

/// The best class of each position.
struct Best {
    class: Vec<u32>,
    score: Vec<f32>,
}

impl Best {
    /// Channel by channel, so that memory is read in its order.
    fn of(scores: &[f32], channels: usize, positions: usize) -> Self {
        let mut best = Self {
            class: vec![NONE; positions],
            score: vec![f32::NEG_INFINITY; positions],
        };
        for (channel, scores) in (0..).zip(scores.chunks_exact(positions).take(channels)) {
            let places = best.class.iter_mut().zip(&mut best.score).zip(scores);
            for ((class, best), &score) in places {
                if score > *best {
                    (*class, *best) = (channel, score);
                } else if score.is_nan() {
                    (*class, *best) = (WRONG, f32::INFINITY);
                }
            }
        }
        best
    }

    /// ln Σ exp(score) of each position.
    fn log_sums(&self, scores: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f32; self.score.len()];
        for scores in scores.chunks_exact(self.score.len()) {
            for ((sum, &score), &best) in sums.iter_mut().zip(scores).zip(&self.score) {
                *sum += (score - best).exp();
            }
        }
        let pairs = sums.into_iter().zip(&self.score);
        pairs.map(|(sum, best)| best + sum.ln()).collect()
    }
}

/// Kullback-Leibler divergence of two masks at a position, from scores before the sigmoid.
fn divergence(z: f32, wanted: f32) -> f64 {
    if z == wanted {
        return 0.0;
    }
    let (z, wanted) = (f64::from(z), f64::from(wanted));
    // ln(1 + e^z) without overflow.
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let p = 1.0 / (1.0 + (-wanted).exp());
    let term = |share: f64, log: f64| if share > 0.0 { share * log } else { 0.0 };
    term(p, softplus(-z) - softplus(-wanted)) + term(1.0 - p, softplus(z) - softplus(wanted))
}

/// Mean binary cross-entropy: max(z, 0) - p · z + ln(1 + e^-|z|).
fn binary(output: &Dense, wanted: &Output) -> Tensor<1> {
    let len = output.len();
    let z: Tensor<1> = output.reshape(&[len]).tensor();
    let shares: Vec<f32> = wanted
        .values
        .iter()
        .map(|t| 1.0 / (1.0 + (-t).exp()))
        .collect();
    let shares = Tensor::<1>::from_data(TensorData::new(shares, [len]), &z.device());
    let logs = z.clone().abs().neg().exp().add_scalar(1.0).log();
    (activation::relu(z.clone()) - shares * z + logs).mean()
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
        let Wanted::Original(original) = wanted else {
            return Err(misfit(
                &self.maps[0].scores,
                "the original's outputs",
                "labels",
            ));
        };
        check_count(self.maps.len(), outputs.len(), original.len())?;
        let triples = self.maps.iter().zip(outputs).zip(original);
        triples
            .map(|((map, output), wanted)| {
                if output.shape != wanted.shape || output.n() != outputs[0].n() {
                    let expected = format!("{:?}, as the original gives it", wanted.shape);
                    return Err(misfit(
                        &map.scores,
                        &expected,
                        &format!("{:?}", output.shape),
                    ));
                }
                Ok((map, map.extents(&output.shape)?, output, wanted))
            })
            .collect()
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
        let temperature = targets
            .teacher
            .as_ref()
            .map_or(1.0, |t| t.weight.temperature);
        let triples = self.maps.iter().zip(outputs).zip(originals);
        let losses = triples
            .map(|((map, output), wanted)| map.loss(output, wanted, engine, temperature))
            .collect::<Result<_>>()?;
        Ok(mean_loss(losses, engine))
    }

    fn judge(&self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let paired = self.paired(outputs, wanted)?;
        let n = outputs.first().map_or(0, Output::n);
        let k = paired.len().max(1) as f64;
        let judged = |i: usize| {
            let counts = paired
                .iter()
                .map(|(map, extents, a, b)| map.counted(a.sample(i), b.sample(i), *extents));
            let (quality, loss) = counts.fold((0.0, 0.0), |(quality, loss), counts| {
                (quality + counts.mean_iou(), loss + counts.loss)
            });
            Judged {
                quality: (quality / k) as f32,
                loss: loss / k,
                class: None,
            }
        };
        Ok((0..n).map(judged).collect())
    }

    fn gather(&self) -> Option<Box<dyn Gather>> {
        Some(Box::new(Overlaps {
            task: self.clone(),
            counts: Vec::new(),
        }))
    }
}

/// Overlaps over a part, map by map.
struct Overlaps {
    task: Maps,
    counts: Vec<Counts>,
}

impl Gather for Overlaps {
    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<()> {
        let paired = self.task.paired(outputs, wanted)?;
        for (at, (map, extents, output, wanted)) in paired.into_iter().enumerate() {
            if self.counts.len() == at {
                self.counts.push(Counts::new(extents[0]));
            }
            for i in 0..output.n() {
                let of_sample = map.counted(output.sample(i), wanted.sample(i), extents);
                self.counts[at].add(&of_sample);
            }
        }
        Ok(())
    }

    fn figures(&self) -> Vec<Figure> {
        let maps = self.task.maps.iter().zip(&self.counts);
        maps.flat_map(|(map, counts)| {
            let agreement = counts.same as f64 / counts.all.max(1) as f64;
            [
                Figure::share("mean IoU of all positions", counts.mean_iou()),
                Figure::share("agreement by position", agreement),
            ]
            .map(|figure| figure.of_output(&map.scores))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        gathered.add(&[other], Wanted::Original(&original)).unwrap();
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
