//! Scores of kernels, each by its name and in a file of its own.
//!
//! A score tells something about every kernel from what is known of it: its weights, what the
//! passes over training data gathered, what a probe of dormant kernels found. Policies look scores up by
//! name ([`Scores::get`]), rankings order kernels by one of them ([`crate::rank`]). Users give
//! the environment scores of their own beside [`own`].

mod gathered;
mod health;
mod norms;
mod ranks;
mod scale;
mod second_order;

use std::borrow::Cow;

use indexmap::IndexMap;
use secateur_net::heal::WidthErrors;
use secateur_net::weights::Weights;
use secateur_onnx::coupling::{ChannelGroup, ChannelGroups, Member};
use secateur_onnx::graph::Graph;
use serde::{Deserialize, Serialize};

pub use gathered::{ACTIVATION, POSITIVE, TAYLOR};
pub use health::HEALTH;
pub use norms::{L1, L2, WEIGHT_NORM};
pub use ranks::ranks;
pub use scale::SCALE;
pub use second_order::SECOND_ORDER;

use crate::space::Space;

/// What passes over the data tell of a kernel; of a dormant one, from when it was last active.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Taylor significance, units of loss.
    pub taylor: f32,
    /// Mean output.
    pub activation: f32,
    /// Share of positive outputs, 0..=1.
    pub positive: f32,
    /// Estimated fall of the loss when turned on, units of loss; 0 for active kernels.
    pub health: f32,
}

/// Stored tensors by name.
pub trait Tensors {
    /// Shape and values of a tensor, if there is one of that name that holds numbers of layers.
    fn tensor(&self, name: &str) -> Option<(&[usize], Cow<'_, [f32]>)>;
}

impl Tensors for Weights {
    fn tensor(&self, name: &str) -> Option<(&[usize], Cow<'_, [f32]>)> {
        let weight = self.get(name)?;
        Some((&weight.shape, Cow::Borrowed(weight.data.as_slice())))
    }
}

/// The tensors of a file, floats or quantised.
#[derive(Debug)]
pub struct Stored<'a> {
    /// The file's graph.
    pub graph: &'a Graph,
    /// Its channel groups.
    pub groups: &'a ChannelGroups,
}

impl Tensors for Stored<'_> {
    fn tensor(&self, name: &str) -> Option<(&[usize], Cow<'_, [f32]>)> {
        let tensor = self.graph.initializers.get(name)?;
        Some((&tensor.shape, self.groups.floats(self.graph, name)?))
    }
}

/// What scores are measured from.
pub struct Evidence<'a> {
    /// The channel groups.
    pub space: &'a Space,
    /// Parameters at full width.
    pub tensors: &'a dyn Tensors,
    /// What passes over the data told, `[group][kernel]`; `None` where there are no data.
    pub statistics: Option<&'a [Vec<Statistics>]>,
    /// Errors by width, by group; empty where there are no data.
    pub errors: &'a [WidthErrors],
}

impl Evidence<'_> {
    /// Sums `of_value` over the elements of some members of a group, kernel by kernel; `None`
    /// where none of them is a float tensor.
    ///
    /// Returns `[kernel]`.
    pub fn sum_over(
        &self,
        group: &ChannelGroup,
        counts: impl Fn(&Member, &[usize]) -> bool,
        of_value: impl Fn(f64) -> f64,
    ) -> Option<Vec<f64>> {
        let mut sums: Option<Vec<f64>> = None;
        for member in &group.members {
            let Some((shape, values)) = self.tensors.tensor(&member.tensor) else {
                continue;
            };
            if !counts(member, shape) {
                continue;
            }
            let sums = sums.get_or_insert_with(|| vec![0.0; group.width]);
            for (kernel, sum) in sums.iter_mut().enumerate() {
                for block in member.blocks(shape, kernel) {
                    for &value in &values[block] {
                        *sum += of_value(f64::from(value));
                    }
                }
            }
        }
        sums
    }

    /// One figure of every kernel's statistics, `[group][kernel]`; zeros without data.
    pub fn gathered(&self, get: impl Fn(&Statistics) -> f32) -> Vec<Vec<f32>> {
        let none = Statistics::default();
        let of_group = |(g, group): (usize, &ChannelGroup)| {
            let known = self.statistics.and_then(|groups| groups.get(g));
            (0..group.width)
                .map(|k| get(known.and_then(|kernels| kernels.get(k)).unwrap_or(&none)))
                .collect()
        };
        self.space
            .groups
            .groups
            .iter()
            .enumerate()
            .map(of_group)
            .collect()
    }

    /// A figure of every group's kernels, `[group][kernel]`.
    pub fn by_group(&self, of_group: impl Fn(&ChannelGroup) -> Vec<f32>) -> Vec<Vec<f32>> {
        self.space.groups.groups.iter().map(of_group).collect()
    }
}

/// Without what a score says nothing; each has what comes before it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// The file.
    Weights,
    /// Inputs, whose errors by width are measured.
    Inputs,
    /// Training passes.
    Training,
}

/// What a kernel's score is divided by, so that scores of different layers can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerScale {
    /// The mean over the layer's active kernels.
    Mean,
    /// The root of the sum of squares over the layer's active kernels.
    L2,
    /// Nothing: the scores are comparable as they are.
    One,
}

impl LayerScale {
    /// The divisor for some scores of a layer; above 0.
    pub fn of(self, scores: &[f32], active: &[bool]) -> f64 {
        let on = scores.iter().zip(active).filter(|(_, on)| **on);
        let values = on.map(|(score, _)| f64::from(*score));
        let divisor = match self {
            Self::Mean => {
                let (sum, n) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
                sum / f64::from(n.max(1))
            }
            Self::One => 1.0,
            Self::L2 => values.map(|value| value * value).sum::<f64>().sqrt(),
        };
        if divisor > 0.0 { divisor } else { 1.0 }
    }
}

/// A score of kernels; larger means that a kernel matters more, where that can be said.
pub trait Score: Send + Sync {
    /// Its name: in rankings, settings and documents.
    fn name(&self) -> &'static str;

    /// What it is, in a line.
    fn about(&self) -> &'static str;

    /// Without what it says nothing.
    fn needs(&self) -> Needs {
        Needs::Weights
    }

    /// False if it is the same for all active kernels, so that a ranking by it would be by
    /// nothing.
    fn ranks_active(&self) -> bool {
        true
    }

    /// What makes layers comparable where kernels of all of them are ranked together.
    fn layer_scale(&self) -> LayerScale {
        LayerScale::Mean
    }

    /// The score of every kernel, `[group][kernel]`.
    fn measure(&self, evidence: &Evidence<'_>) -> Vec<Vec<f32>>;
}

/// The scores that are always there; docs/algorithm.md has a line on each.
pub fn own() -> Vec<&'static dyn Score> {
    vec![
        &norms::L1Norm,
        &norms::L2Norm,
        &norms::WeightNorm,
        &scale::Scale,
        &gathered::Activation,
        &gathered::Positive,
        &gathered::Taylor,
        &health::Health,
        &second_order::SecondOrder,
    ]
}

/// A score that has been measured.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    layer_scale: LayerScale,
    /// `[group][kernel]`
    values: Vec<Vec<f32>>,
}

/// Measured scores by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(IndexMap<&'static str, Measured>);

impl Scores {
    /// Measures the scores of `list`.
    pub fn measure<'s>(
        list: impl IntoIterator<Item = &'s dyn Score>,
        evidence: &Evidence<'_>,
    ) -> Self {
        let measure = |score: &dyn Score| {
            let measured = Measured {
                layer_scale: score.layer_scale(),
                values: score.measure(evidence),
            };
            (score.name(), measured)
        };
        Self(list.into_iter().map(measure).collect())
    }

    /// Enters a score by hand, `[group][kernel]`; layers are compared by their means.
    #[must_use]
    pub fn with(mut self, name: &'static str, values: Vec<Vec<f32>>) -> Self {
        let measured = Measured {
            layer_scale: LayerScale::Mean,
            values,
        };
        self.0.insert(name, measured);
        self
    }

    /// A score, `[group][kernel]`; empty if it was not measured.
    pub fn get(&self, name: &str) -> &[Vec<f32>] {
        self.0.get(name).map_or(&[], |measured| &measured.values)
    }

    /// A score of one group's kernels; empty if it was not measured.
    pub fn of_group(&self, name: &str, group: usize) -> &[f32] {
        self.get(name).get(group).map_or(&[], Vec::as_slice)
    }

    /// What makes the layers of a score comparable.
    pub fn layer_scale(&self, name: &str) -> LayerScale {
        self.0
            .get(name)
            .map_or(LayerScale::Mean, |measured| measured.layer_scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_score_has_a_name_of_its_own_and_a_line_in_the_documents() {
        let page = include_str!("../../../../docs/algorithm.md");
        let mut names = std::collections::BTreeSet::new();
        for score in own() {
            assert!(
                names.insert(score.name()),
                "`{}` stands twice",
                score.name()
            );
            let line = format!("| `{}` | {} |", score.name(), score.about());
            assert!(
                page.contains(&line),
                "docs/algorithm.md lacks the line {line}"
            );
        }
    }
}
