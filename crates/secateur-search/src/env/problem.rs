//! What is given and stays: network, data, baseline.

use secateur_net::NetError;
use secateur_net::data::{DataConfig, DataError, Part, Source};
use secateur_net::interpreter::{Engine, Network};
use secateur_net::train::{Evaluation, evaluate};
use secateur_net::weights::Weights;
use secateur_onnx::OnnxError;
use secateur_onnx::cost::{CostModel, Size};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use thiserror::Error;

use super::model_data::{ModelData, metadata, settle_image_size};
use crate::config::{Budget, Metric, SearchConfig};

/// What can be wrong with a problem.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// The model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// NaN or infinity in the given weights.
    #[error("cannot use these weights: tensor `{tensor}` holds {value} at index {index}")]
    NonFinite {
        /// Its name.
        tensor: String,
        /// Offset of the first such value.
        index: usize,
        /// `NaN` or `infinity`.
        value: String,
    },
    /// Outputs of the given network overflow.
    #[error(
        "cannot prune: the given network's loss on the validation images is {loss}, expected a \
         finite number"
    )]
    LossNotFinite {
        /// NaN or infinity.
        loss: f64,
    },
    /// Nothing to hold networks against.
    #[error(
        "cannot prune: {search} validation images guide the search and {confirm} confirm its \
         result; each part needs some"
    )]
    NoValidation {
        /// Of the search part.
        search: usize,
        /// Of the confirmation part.
        confirm: usize,
    },
    /// Nothing to switch.
    #[error("cannot prune: no layer has kernels that may be removed")]
    NothingToPrune,
    /// A layer named in `--ignore` that does not exist.
    #[error("cannot ignore `{pattern}`: no layer of that name; layers are {known}")]
    UnknownLayer {
        /// As given.
        pattern: String,
        /// What there is.
        known: String,
    },
    /// A budget in multiply-adds that cannot be counted.
    #[error(
        "cannot prune to a share of the MACs: not all are known, those of `{}` ({} layers in all) \
         do not follow from the file",
        nodes[0],
        nodes.len()
    )]
    UnknownMacs {
        /// Names, one at least.
        nodes: Vec<String>,
    },
    /// A budget that cannot be reached.
    #[error(
        "budget {}={remaining} cannot be reached: {} {least:.4}; {bound}",
        metric.name(),
        kernels_leave(*round_to)
    )]
    Unreachable {
        /// Counted in.
        metric: Metric,
        /// Asked for.
        remaining: f64,
        /// Least that can remain.
        least: f64,
        /// Kernels that a layer keeps at least.
        round_to: usize,
        /// Which layers bound it.
        bound: String,
    },
}

/// Validation images below which the user is told how little they decide.
const FEW_IMAGES: usize = 1000;

/// Layers that are named where a budget is out of reach, the largest first.
const BOUNDING: usize = 4;

fn kernels_leave(round_to: usize) -> String {
    match round_to {
        0 | 1 => "one kernel a layer leaves".to_string(),
        n => format!("{n} kernels a layer leave"),
    }
}

impl ProblemError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Onnx(error) => error.hint(),
            Self::Net(error) => error.hint(),
            Self::Data(error) => error.hint(),
            Self::NonFinite { .. } => {
                Some("the training of this model diverged; take an earlier state".to_string())
            }
            Self::LossNotFinite { .. } => Some(
                "its weights or running statistics are damaged or of another scale; `secateur \
                 eval` shows what it answers"
                    .to_string(),
            ),
            Self::NoValidation { .. } => Some(
                "`--validation` says how many of the training images are set apart".to_string(),
            ),
            Self::NothingToPrune => {
                Some("`secateur inspect` shows why each layer must stay".to_string())
            }
            Self::UnknownLayer { .. } => Some(
                "layers are named as in `secateur inspect`; `*` stands for any text".to_string(),
            ),
            Self::UnknownMacs { .. } => Some(
                "give the budget in `params` or `kernels`, or export the network with fixed \
                 extents and its shapes inferred"
                    .to_string(),
            ),
            Self::Unreachable { least, .. } if *least > 0.999 => Some(
                "`secateur inspect` shows what holds each layer; a smaller `--round-to` or a \
                 shorter `--ignore` frees more"
                    .to_string(),
            ),
            Self::Unreachable { metric, least, .. } => Some(format!(
                "ask for {}={:.3} or more, or shorten `--ignore`",
                metric.name(),
                (least * 1000.0).ceil() / 1000.0
            )),
        }
    }
}

/// The given network on validation data.
#[derive(Debug, Clone)]
pub struct Baseline {
    /// On the part that guides the search.
    pub search: Evaluation,
    /// On the part that confirms.
    pub confirm: Evaluation,
}

impl Baseline {
    /// Images of both parts.
    pub fn n_images(&self) -> usize {
        self.search.correct.len() + self.confirm.correct.len()
    }

    /// Accuracy on both parts together, from that on each.
    pub fn of_both(&self, search: f64, confirm: f64) -> f64 {
        let (a, b) = (self.search.correct.len(), self.confirm.correct.len());
        (search * a as f64 + confirm * b as f64) / (a + b).max(1) as f64
    }
}

/// What costs are compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reference {
    /// Sample-MACs of the initial training.
    pub sample_macs: f64,
    /// Its wall-clock seconds, where known.
    pub seconds: Option<f64>,
    /// False where the model does not carry its training cost and the config's
    /// number of epochs stands in.
    pub is_measured: bool,
}

/// Everything that a search works on.
pub struct Problem {
    /// The given model.
    pub model: Model,
    /// Its graph.
    pub graph: Graph,
    /// Its coupled kernels.
    pub groups: ChannelGroups,
    /// Groups that may be switched.
    pub switchable: Vec<bool>,
    /// Counts sizes.
    pub cost: CostModel,
    /// Size of the given network.
    pub size: Size,
    /// Its parameters.
    pub weights: Weights,
    /// The network at full width.
    pub network: Network,
    /// Training part.
    pub train: Part,
    /// Validation data that guide.
    pub search: Part,
    /// Validation data that confirm.
    pub confirm: Part,
    /// The data as the model takes them.
    pub data: ModelData,
    /// The given network's accuracy.
    pub baseline: Baseline,
    /// Cost of the initial training.
    pub reference: Reference,
}

impl Problem {
    /// Prepares a search.
    ///
    /// # Errors
    /// See [`ProblemError`].
    pub fn new(
        model: Model,
        source: &Source,
        data: &DataConfig,
        search: &SearchConfig,
    ) -> Result<Self, ProblemError> {
        let mut model = model;
        settle_image_size(&mut model, source)?;
        let graph = Graph::from_model(&model)?;
        check_finite(&graph)?;
        let network = Network::new(&graph, Engine::Fused)?;
        let mut data = ModelData::new(
            &model,
            source,
            data,
            network.input_shape(),
            network.n_classes(),
        )?;
        data.store(&mut model);
        let groups = ChannelGroups::find(&graph)?;
        let switchable = switchable(&groups, &search.ignore)?;
        let cost = CostModel::new(&graph, &groups)?;
        let size = cost.count(&Masks::all_active(&groups));
        let weights = Weights::from_graph(&graph)?;
        let train = data.train()?;
        let search_part = data.load(&data.splits.search)?;
        let confirm = data.load(&data.splits.confirm)?;
        if search_part.is_empty() || confirm.is_empty() {
            return Err(ProblemError::NoValidation {
                search: search_part.len(),
                confirm: confirm.len(),
            });
        }
        data.notes.extend(file_notes(&graph, &cost));
        let images = search_part.len() + confirm.len();
        if images < FEW_IMAGES {
            data.notes.push(format!(
                "{images} validation images decide little: one is {:.2} points of accuracy",
                100.0 / images as f64
            ));
        }
        let baseline = Baseline {
            search: evaluate(&network, &weights, &search_part)?,
            confirm: evaluate(&network, &weights, &confirm)?,
        };
        for part in [&baseline.search, &baseline.confirm] {
            if !part.loss.is_finite() {
                return Err(ProblemError::LossNotFinite { loss: part.loss });
            }
        }
        let number = |key: &str| {
            model
                .metadata(key)
                .and_then(|text| text.parse::<f64>().ok())
        };
        let reference = match number(metadata::SAMPLE_MACS).filter(|&macs| macs > 0.0) {
            Some(sample_macs) => Reference {
                sample_macs,
                seconds: number(metadata::SECONDS),
                is_measured: true,
            },
            None => Reference {
                sample_macs: search.reference_epochs * train.len() as f64 * 3.0 * size.macs as f64,
                seconds: None,
                is_measured: false,
            },
        };
        Ok(Self {
            model,
            graph,
            groups,
            switchable,
            cost,
            size,
            weights,
            network,
            train,
            search: search_part,
            confirm,
            data,
            baseline,
            reference,
        })
    }

    /// The smallest network that the switchable groups allow.
    pub fn smallest(&self, round_to: usize) -> Masks {
        let mut masks = Masks::all_active(&self.groups);
        for (g, mask) in masks
            .0
            .iter_mut()
            .enumerate()
            .filter(|(g, _)| self.switchable[*g])
        {
            debug_assert_eq!(mask.len(), self.groups.groups[g].width);
            let keep = round_to.clamp(1, mask.len());
            mask[keep..].fill(false);
        }
        masks
    }

    /// Checks that a budget can be reached, before anything starts.
    ///
    /// # Errors
    /// [`ProblemError::Unreachable`] naming the layers that bound it.
    pub fn check_budget(&self, budget: &Budget, round_to: usize) -> Result<(), ProblemError> {
        can_count(&self.cost, budget)?;
        let smallest = self.smallest(round_to);
        let least = ratio(budget.metric, &self.cost.count(&smallest), &self.size);
        if least <= budget.remaining {
            return Ok(());
        }
        let marginal = self.cost.marginal(&smallest);
        let mut layers: Vec<(f64, String)> = self
            .groups
            .groups
            .iter()
            .enumerate()
            .map(|(g, group)| {
                let kernels = smallest.active(g) as f64;
                let share = kernels * ratio(budget.metric, &marginal[g], &self.size);
                let why = match &group.pinned {
                    _ if self.switchable[g] || group.width == 1 => "at its least",
                    Some(pinned) => &format!("must stay ({})", pinned.reason),
                    None => "is ignored",
                };
                (share, format!("`{}` {why} holds {share:.4}", group.name))
            })
            .collect();
        layers.sort_by(|a, b| b.0.total_cmp(&a.0));
        let named: Vec<String> = layers.into_iter().take(BOUNDING).map(|l| l.1).collect();
        let bound = named.join(", ");
        Err(ProblemError::Unreachable {
            metric: budget.metric,
            remaining: budget.remaining,
            least,
            round_to,
            bound,
        })
    }
}

/// Refuses weights that hold NaN or infinity.
///
/// # Errors
/// [`ProblemError::NonFinite`] for the first.
pub fn check_finite(graph: &Graph) -> Result<(), ProblemError> {
    let Some((tensor, index)) = graph.find_non_finite() else {
        return Ok(());
    };
    let values = graph.initializers.get(tensor).and_then(|t| t.as_f32());
    let value = values.map_or(f32::NAN, |values| values[index]);
    Err(ProblemError::NonFinite {
        tensor: tensor.to_string(),
        index,
        value: if value.is_nan() { "NaN" } else { "infinity" }.to_string(),
    })
}

/// Refuses a share of multiply-adds that are not all known.
///
/// # Errors
/// [`ProblemError::UnknownMacs`].
pub fn can_count(cost: &CostModel, budget: &Budget) -> Result<(), ProblemError> {
    match cost.uncounted() {
        [_, ..] if budget.metric == Metric::Macs => Err(ProblemError::UnknownMacs {
            nodes: cost.uncounted().to_vec(),
        }),
        _ => Ok(()),
    }
}

/// Opsets whose operators are understood as they are now.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=26;

/// What to say of a file: an opset that is not known, multiply-adds that are not all counted.
pub fn file_notes(graph: &Graph, cost: &CostModel) -> Vec<String> {
    let mut notes = Vec::new();
    if !OPSETS.contains(&graph.opset) {
        notes.push(format!(
            "opset {} is not one of {} to {}: operators are read as if it were",
            graph.opset,
            OPSETS.start(),
            OPSETS.end()
        ));
    }
    if let [first, rest @ ..] = cost.uncounted() {
        let more = match rest.len() {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        notes.push(format!(
            "MACs leave out `{first}`{more}: extents there do not follow from the file"
        ));
    }
    notes
}

/// Share of a metric that remains.
pub fn ratio(metric: Metric, size: &Size, of: &Size) -> f64 {
    metric.of(size) as f64 / metric.of(of).max(1) as f64
}

/// Groups that may be switched: not pinned, not ignored, wider than one.
///
/// # Errors
/// [`ProblemError::UnknownLayer`] for a pattern that no layer matches,
/// [`ProblemError::NothingToPrune`] if no group is left.
pub fn switchable(groups: &ChannelGroups, ignore: &[String]) -> Result<Vec<bool>, ProblemError> {
    for pattern in ignore {
        let known = groups.groups.iter().flat_map(|g| &g.producers);
        if !known.clone().any(|name| glob(pattern, name)) {
            return Err(ProblemError::UnknownLayer {
                pattern: pattern.clone(),
                known: known
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        }
    }
    let result: Vec<bool> = groups
        .groups
        .iter()
        .map(|group| {
            let ignored = ignore
                .iter()
                .any(|p| group.producers.iter().any(|name| glob(p, name)));
            group.pinned.is_none() && group.width > 1 && !ignored
        })
        .collect();
    if result.contains(&true) {
        Ok(result)
    } else {
        Err(ProblemError::NothingToPrune)
    }
}

/// Does `pattern`, in which `*` stands for any text, match all of `name`?
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|&i| rest.is_char_boundary(i))
                .any(|i| glob(tail, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("conv1", "conv1", true),
            ("conv1", "conv10", false),
            ("conv*", "conv10", true),
            ("*/bn", "layer1/bn", true),
            ("a*b*c", "aXXbYc", true),
            ("a*b*c", "aXXbY", false),
            ("*", "", true),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
