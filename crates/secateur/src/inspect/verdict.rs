//! What can be done with a network.

use std::fmt;

use secateur_onnx::text::first_and_more;
use secateur_search::config::Metric;
use secateur_search::limits::{Cause, Limits};
use secateur_search::space::Space;
use serde::Serialize;

use super::frontier::Ending;
use crate::table::{Align, write_table};

/// The metrics that the last line tells.
const TOLD: [Metric; 3] = [Metric::Params, Metric::Macs, Metric::Kernels];

/// What can be done with a file.
#[derive(Debug, Serialize)]
pub struct Verdict {
    trainable: bool,
    not_trainable_because: Option<String>,
    /// Where training ends, if it does not reach the outputs.
    training_ends: Option<Ending>,
    prunable: bool,
    not_prunable_because: Option<String>,
    /// Nodes whose MACs are not counted.
    macs_uncounted_in: Vec<String>,
    limits: Limits,
}

impl Verdict {
    /// Of a space, with what stands against training, and against any use of the weights, and
    /// where training ends if it does so early.
    pub fn new(
        space: &Space,
        network: Option<String>,
        weights: Option<String>,
        training_ends: Option<Ending>,
    ) -> Self {
        let not_prunable_because = weights.clone().or_else(|| nothing_to_prune(space));
        let not_trainable_because = network.or(weights);
        Self {
            trainable: not_trainable_because.is_none(),
            not_trainable_because,
            training_ends,
            prunable: not_prunable_because.is_none(),
            not_prunable_because,
            macs_uncounted_in: space.cost.uncounted().to_vec(),
            limits: Limits::new(space, 1),
        }
    }

    /// True if all MACs are counted.
    pub fn macs_are_whole(&self) -> bool {
        self.macs_uncounted_in.is_empty()
    }

    /// What can be done, in a line.
    fn line(&self) -> String {
        let least = self.least(&self.limits);
        match (&self.not_trainable_because, &self.not_prunable_because) {
            (None, None) => match &self.training_ends {
                None => format!("can be trained and pruned, {least}"),
                Some(ending) => format!(
                    "{}; can be pruned with training {}; without training {least}",
                    ending.line(),
                    self.least(ending.limits())
                ),
            },
            (None, Some(why)) => {
                let trained = self.training_ends.as_ref().map(Ending::line);
                let trained = trained.unwrap_or_else(|| "can be trained".to_string());
                format!("{trained}; nothing can be pruned: {why}")
            }
            (Some(why), None) => {
                format!("{why}; can be pruned without training, {least}")
            }
            (Some(training), Some(pruning)) if training == pruning => {
                format!("can be neither trained nor pruned: {training}")
            }
            (Some(training), Some(pruning)) => {
                format!("{training}; nothing can be pruned: {pruning}")
            }
        }
    }

    /// How far it can be pruned.
    fn least(&self, limits: &Limits) -> String {
        let told = TOLD.into_iter().filter_map(|metric| {
            let share = limits.least(metric)?;
            Some(format!("{} of the {}", percent(share), metric.words()))
        });
        let told: Vec<String> = told.collect();
        let unknown = match self.macs_uncounted_in.is_empty() {
            true => String::new(),
            false => format!(
                "; the multiply-adds are not all known, those of {} are missing",
                first_and_more(&self.macs_uncounted_in)
            ),
        };
        let told = match &told[..] {
            [] => "how far is not known".to_string(),
            [only] => only.clone(),
            [others @ .., last] => format!("{} and {last}", others.join(", ")),
        };
        format!("to no less than {told}{unknown}")
    }
}

/// What holds the network up, then what can be done.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ending) = &self.training_ends {
            ending.fmt(f)?;
        }
        if !self.limits.held_by.is_empty() {
            writeln!(
                f,
                "\nlayers that must stay, with the share of the parameters that goes with their \
                 kernels"
            )?;
            let rows = self.limits.held_by.iter().map(|holder| {
                let why = match &holder.cause {
                    Cause::Pinned { node, reason } => format!(": {node} ({reason})"),
                    Cause::AtItsLeast | Cause::Ignored => String::new(),
                };
                [percent(holder.share), format!("{}{why}", holder.layer)]
            });
            write_table(f, &[Align::Right, Align::Left], rows)?;
        }
        writeln!(f, "\n{}", self.line())
    }
}

/// Rounded up, so that a budget of the figure shown can be reached.
pub(super) fn percent(share: f64) -> String {
    format!("{:.2} %", (share * 1e4).ceil() / 1e2)
}

/// Why no kernel may go, if none may.
fn nothing_to_prune(space: &Space) -> Option<String> {
    if space.can_be_pruned() {
        return None;
    }
    let groups = &space.groups;
    Some(match (groups.groups.len(), groups.fixed.first()) {
        (0, None) => "no layer's kernels are followed to another layer".to_string(),
        (0, Some(layer)) => format!(
            "every layer must stay, `{}` for one: {}",
            layer.node, layer.reason
        ),
        (1, _) => "its one channel group must stay".to_string(),
        _ => "every channel group must stay".to_string(),
    })
}
