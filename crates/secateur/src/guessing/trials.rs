//! Other ways to prepare the input, tried on some images.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use secateur_net::NetError;
use secateur_net::data::{Batch, Colour, InMemory, NAMED, Normalisation, NormaliseBy, Part};
use secateur_net::train::predict;
use secateur_search::environment::training::Problem;

use super::{GuessingError, SIGNIFICANCE};
use crate::report::stats::binomial_tail;

/// What was changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// Another normalisation and, where `colour` names it, another order of the channels.
    Input {
        /// Mean and deviation.
        normalise: NormaliseBy,
        /// Order of three channels, if it is another.
        colour: Option<Colour>,
    },
    /// All channels grey.
    Grey,
    /// Light and dark swapped.
    Inverted,
    /// Height and width swapped.
    Turned,
    /// Besides that change, classes in the order that fits the answers best on half of the
    /// images; its accuracy is that on the other half.
    Classes(Box<Change>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("as given"),
            Self::Input { normalise, colour } => {
                write!(f, "normalisation {normalise}")?;
                match colour {
                    Some(colour) => write!(f, ", channels {}", colour.name()),
                    None => Ok(()),
                }
            }
            Self::Grey => f.write_str("grey images"),
            Self::Inverted => f.write_str("light and dark swapped"),
            Self::Turned => f.write_str("height and width swapped"),
            Self::Classes(change) => {
                if **change != Self::Nothing {
                    write!(f, "{change}, ")?;
                }
                f.write_str("classes in the order that fits best")
            }
        }
    }
}

/// A change and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// What was changed.
    pub change: Change,
    /// Share of right answers.
    pub accuracy: f64,
    /// True if it is better than guessing, of so many trials too.
    pub helps: bool,
}

/// The classes that the network answers for a part, and the labels.
pub(super) fn answers(
    problem: &Problem,
    part: &Part,
) -> Result<(Vec<usize>, Vec<usize>), NetError> {
    let outputs = predict(&problem.network, &problem.weights, part)?;
    let best = |scores: &[f32]| {
        let scores = scores.iter().enumerate();
        scores
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |best| best.0)
    };
    let answers = outputs.first().map_or_else(Vec::new, |output| {
        (0..output.n())
            .map(|index| best(output.sample(index)))
            .collect()
    });
    let labels = (0..part.len()).map(|index| part.label(index) as usize);
    Ok((answers, labels.collect()))
}

/// Tries all changes on images that are not normalised.
pub(super) fn try_all(problem: &Problem, sample: &Batch) -> Result<Vec<Trial>, GuessingError> {
    let given = &problem.data.normalisation;
    let images = sample.inputs.as_images().unwrap_or_default();
    let mut inputs = vec![(Change::Nothing, normalised(images, given))];
    inputs.extend(other_inputs(problem, sample)?);
    let [h, w, channels] = problem.search.part.shape();
    if channels == 3 {
        let grey = grey(images, problem.data.preprocessing.colour);
        inputs.push((Change::Grey, normalised(&grey, given)));
    }
    let inverted: Vec<f32> = images.iter().map(|value| 1.0 - value).collect();
    inputs.push((Change::Inverted, normalised(&inverted, given)));
    if h == w {
        let turned = turned(images, [h, w, channels]);
        inputs.push((Change::Turned, normalised(&turned, given)));
    }
    let labels: Vec<usize> = sample.labels.iter().map(|&label| label as usize).collect();
    let n_trials = 2 * inputs.len();
    let judge = |change: Change, answers: &[usize], labels: &[usize]| {
        let is_right = |(answer, label): (&usize, &usize)| answer == label;
        let right = answers
            .iter()
            .zip(labels)
            .filter(|pair| is_right(*pair))
            .count() as u64;
        let images = labels.len() as u64;
        let chance = most_frequent(labels) as f64 / images.max(1) as f64;
        let by_chance = binomial_tail(right, images, chance) * n_trials as f64;
        Trial {
            helps: change != Change::Nothing && by_chance < SIGNIFICANCE,
            accuracy: right as f64 / images.max(1) as f64,
            change,
        }
    };
    let mut trials = Vec::new();
    let mut reordered: Option<Trial> = None;
    for (change, values) in inputs {
        let images = InMemory::floats([h, w, channels], values, sample.labels.clone())?;
        let (answers, _) = answers(problem, &Part::of(images))?;
        let (matched, rest) = matched(&answers, &labels);
        let other = judge(Change::Classes(Box::new(change.clone())), &matched, &rest);
        if reordered
            .as_ref()
            .is_none_or(|best| other.accuracy > best.accuracy)
        {
            reordered = Some(other);
        }
        trials.push(judge(change, &answers, &labels));
    }
    trials.extend(reordered);
    Ok(trials)
}

/// Usual normalisations in both orders of the channels.
fn other_inputs(
    problem: &Problem,
    sample: &Batch,
) -> Result<Vec<(Change, Vec<f32>)>, GuessingError> {
    let channels = problem.search.part.shape()[2];
    let own = problem.data.preprocessing.colour;
    let other = match own {
        Colour::Rgb => Colour::Bgr,
        Colour::Bgr => Colour::Rgb,
    };
    let mut ways = vec![NormaliseBy::Measured];
    ways.extend(NAMED.map(|(name, ..)| NormaliseBy::Name(name.to_string())));
    let measured = problem.search.part.measure()?;
    let mut inputs = Vec::new();
    for normalise in ways {
        let orders = if channels == 3 {
            &[None, Some(other)][..]
        } else {
            &[None]
        };
        for &colour in orders {
            // Names of three colours do not fit images of another number of channels.
            let Ok(known) = normalise.resolve(channels, colour.unwrap_or(own)) else {
                continue;
            };
            let mut values = sample.inputs.as_images().unwrap_or_default().to_vec();
            let mut normalisation = known.unwrap_or_else(|| measured.clone());
            if colour.is_some() {
                values.chunks_exact_mut(3).for_each(<[f32]>::reverse);
                if normalise == NormaliseBy::Measured {
                    normalisation.mean.reverse();
                    normalisation.std.reverse();
                }
            }
            let change = Change::Input {
                normalise: normalise.clone(),
                colour,
            };
            inputs.push((change, normalised(&values, &normalisation)));
        }
    }
    Ok(inputs)
}

/// (x - mean) / std, by channel.
fn normalised(values: &[f32], by: &Normalisation) -> Vec<f32> {
    let channels = by.mean.iter().zip(&by.std).cycle();
    let values = values.iter().zip(channels);
    values
        .map(|(value, (mean, std))| (value - mean) / std)
        .collect()
}

/// Every pixel by its luminance (ITU-R BT.601).
fn grey(values: &[f32], colour: Colour) -> Vec<f32> {
    let mut weights = [0.299, 0.587, 0.114];
    if colour == Colour::Bgr {
        weights.reverse();
    }
    let pixels = values.chunks_exact(3);
    let luminance = |pixel: &[f32]| pixel.iter().zip(weights).map(|(x, w)| x * w).sum::<f32>();
    pixels.flat_map(|pixel| [luminance(pixel); 3]).collect()
}

/// Images `[n, h, w, c]` with height and width swapped.
fn turned(values: &[f32], [h, w, c]: [usize; 3]) -> Vec<f32> {
    let images = values.chunks_exact(h * w * c);
    images
        .flat_map(|image| {
            let places = (0..w).flat_map(move |x| (0..h).map(move |y| (y * w + x) * c));
            places.flat_map(|at| image[at..at + c].iter().copied())
        })
        .collect()
}

fn most_frequent(labels: &[usize]) -> usize {
    let mut counts = vec![0; labels.iter().max().map_or(0, |label| label + 1)];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts.into_iter().max().unwrap_or(0)
}

/// Answers renamed one to one, as fits every second image best, for the images between; with
/// the labels of those.
///
/// The names are given to the most frequent pairs of answer and label first. Where a network
/// knows the classes under other numbers, each answer has one label that goes before all others,
/// and this is the best assignment.
fn matched(answers: &[usize], labels: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (&answer, &label) in answers.iter().zip(labels).step_by(2) {
        *counts.entry((answer, label)).or_default() += 1;
    }
    let mut pairs: Vec<_> = counts.into_iter().collect();
    pairs.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let (mut renamed, mut given) = (HashMap::new(), HashSet::new());
    for ((answer, label), _) in pairs {
        if !renamed.contains_key(&answer) && given.insert(label) {
            renamed.insert(answer, label);
        }
    }
    let between = answers.iter().zip(labels).skip(1).step_by(2);
    between
        // An answer without a new name is right for no label.
        .map(|(answer, &label)| (renamed.get(answer).copied().unwrap_or(usize::MAX), label))
        .unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_turned_and_greyed() {
        let image = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(turned(&image, [2, 3, 1]), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(turned(&turned(&image, [2, 3, 1]), [3, 2, 1]), image);
        let red = grey(&[1.0, 0.0, 0.0], Colour::Rgb);
        assert_eq!(red, [0.299; 3]);
        assert_eq!(grey(&[0.0, 0.0, 1.0], Colour::Bgr), red);
    }

    /// Of a cyclic renaming all are right again; of noise no more than by chance, since names
    /// are chosen on other images.
    #[test]
    fn classes_are_matched_on_other_images() {
        let labels: Vec<usize> = (0..200).map(|i| i * 7 % 5).collect();
        let answers: Vec<usize> = labels.iter().map(|label| (label + 2) % 5).collect();
        let (renamed, rest) = matched(&answers, &labels);
        assert_eq!(rest.len(), 100);
        assert_eq!(renamed, rest);
        let noise: Vec<usize> = (0..200).map(|i: usize| (i * i / 3 + i / 7) % 5).collect();
        let (renamed, rest) = matched(&noise, &labels);
        let right = renamed.iter().zip(&rest).filter(|(a, b)| a == b).count() as u64;
        assert!(binomial_tail(right, 100, 0.2) > SIGNIFICANCE, "{right}");
    }
}
