//! Where training ends.

use std::collections::HashMap;
use std::fmt;

use secateur_net::interpreter::{End, Frontier, Stop};
use secateur_onnx::graph::Graph;
use secateur_onnx::text::first_and_more;
use secateur_search::left_out::LeftOut;
use secateur_search::limits::Limits;
use secateur_search::space::Space;
use serde::Serialize;

use super::verdict::percent;
use crate::NetworkError;
use crate::table::{Align, write_table};

/// The frontier of a network that cannot be trained as a whole.
#[derive(Debug, Serialize)]
pub struct Ending {
    /// The tensors that training ends at.
    at: Vec<End>,
    /// The nodes that it does not pass.
    stops: Vec<Stop>,
    /// What lies behind.
    left_out: LeftOut,
    /// How far the part in front can be pruned.
    limits: Limits,
    /// By layer, why it must stay.
    #[serde(skip)]
    reasons: HashMap<String, String>,
}

impl Ending {
    /// Of a graph; none where it can be trained to its end, or not at all.
    pub fn find(
        graph: &Graph,
        frontier: &Frontier,
        space: &Space,
    ) -> Result<Option<Self>, NetworkError> {
        if frontier.is_whole() || frontier.ends().is_empty() {
            return Ok(None);
        }
        let kept = Space::survey_up_to(graph, frontier, &[])?;
        let mut reasons = HashMap::new();
        for group in &kept.groups.groups {
            if let Some(pinned) = &group.pinned {
                let reason = format!("{} ({})", pinned.node, pinned.reason);
                let producers = group.producers.iter().cloned();
                reasons.extend(producers.map(|layer| (layer, reason.clone())));
            }
        }
        Ok(Some(Self {
            at: frontier.ends().to_vec(),
            stops: frontier.stops().to_vec(),
            left_out: LeftOut::new(graph, frontier, space)?,
            limits: Limits::new(&kept, 1),
            reasons,
        }))
    }

    /// Why a layer must stay in training, if it must.
    pub fn keeps(&self, layer: &str) -> Option<&str> {
        self.reasons.get(layer).map(String::as_str)
    }

    /// How far the part in front can be pruned.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How far it can be trained, for a line.
    pub fn line(&self) -> String {
        let names: Vec<&str> = self.at.iter().map(|end| end.value.as_str()).collect();
        format!(
            "can be trained up to {}, which leaves out {} of the parameters and {} of the MACs",
            first_and_more(&names),
            percent(self.left_out.params),
            percent(self.left_out.macs)
        )
    }
}

/// Its tensors, and what stops training there.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\ntraining ends at these tensors; what lies behind them stays as it is"
        )?;
        let ends = self.at.iter().map(|end| {
            let why = match &end.stop {
                Some(stop) => stop.to_string(),
                None => "an output".to_string(),
            };
            [end.value.clone(), why]
        });
        write_table(f, &[Align::Left, Align::Left], ends)?;
        for stop in self.stops.iter().filter(|stop| stop.precedes_layers) {
            writeln!(
                f,
                "  no training begins behind {stop}: it reads the inputs in front of every layer"
            )?;
        }
        Ok(())
    }
}

/// Why nothing can be trained, where it is for what lies in front of the first layer.
pub fn too_early(frontier: &Frontier) -> Option<String> {
    let mut stops = frontier.stops().iter();
    let stop = stops.find(|_| frontier.ends().is_empty())?;
    stop.precedes_layers.then(|| {
        format!(
            "cannot train: {stop} lies between the inputs and the first layer, and training \
             begins at the inputs: cut what is in front of the layers off the file"
        )
    })
}
