//! What training leaves out: what lies behind the frontier.

use std::collections::HashSet;

use secateur_net::interpreter::Frontier;
use secateur_onnx::OnnxError;
use secateur_onnx::cost::CostModel;
use secateur_onnx::graph::Graph;
use serde::Serialize;

use crate::config::Metric;
use crate::space::{Space, ratio};

/// Shares of a network that belong to nodes behind its frontier alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LeftOut {
    /// Of the parameters, 0..=1.
    pub params: f64,
    /// Of the multiply-adds that are counted, 0..=1.
    pub macs: f64,
}

impl LeftOut {
    /// Of a graph and any space of it.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] if shapes contradict each other.
    pub fn new(graph: &Graph, frontier: &Frontier, space: &Space) -> Result<Self, OnnxError> {
        let behind = frontier.nodes_behind().iter().map(String::as_str);
        let behind: HashSet<&str> = behind.collect();
        let cost = CostModel::of_nodes(graph, &space.groups, |node| behind.contains(node))?;
        let size = cost.count(&space.all_active());
        Ok(Self {
            params: ratio(Metric::Params, &size, &space.size),
            macs: ratio(Metric::Macs, &size, &space.size),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secateur_onnx::cost::layer_table;
    use secateur_onnx::model::Model;

    use super::*;
    use crate::limits::{Cause, Limits};

    fn graph(idea: &str) -> Graph {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        let model = Model::read(fixtures.join(idea).join("model.onnx")).unwrap();
        Graph::from_model(&model.prepared()).unwrap()
    }

    #[test]
    fn what_lies_behind_is_counted_and_held() {
        for (idea, layers) in [
            ("custom-operator", 2),
            ("selection", 0),
            ("nested-subgraph", 2),
            ("plain", 0),
        ] {
            let graph = graph(idea);
            let frontier = Frontier::find(&graph).unwrap();
            let space = Space::up_to(&graph, &frontier, &[]).unwrap();
            let left_out = LeftOut::new(&graph, &frontier, &space).unwrap();
            let table = layer_table(&graph).unwrap();
            let behind = table.iter().filter(|layer| {
                frontier.nodes_behind().contains(&layer.node) && layer.n_params > 0
            });
            let behind: Vec<_> = behind.collect();
            assert_eq!(behind.len(), layers, "{idea}");
            let params: u64 = behind.iter().map(|layer| layer.n_params).sum();
            let macs: u64 = behind.iter().map(|layer| layer.n_macs).sum();
            assert_eq!(
                left_out.params,
                params as f64 / space.size.params as f64,
                "{idea}"
            );
            assert_eq!(
                left_out.macs,
                macs as f64 / space.size.macs as f64,
                "{idea}"
            );
            // Layers that only the frontier holds are named with it.
            let limits = Limits::new(&space, 1);
            let named = limits.held_by.iter().any(|holder| {
                matches!(&holder.cause, Cause::Pinned { reason, .. } if reason.starts_with("training ends at"))
            });
            assert_eq!(named, layers > 0, "{idea}: {limits:?}");
        }
    }

    /// Weights that are read on both sides belong to neither alone.
    #[test]
    fn shared_weights_are_not_left_out() {
        let graph = graph("two-outputs");
        let frontier = Frontier::find(&graph).unwrap();
        let space = Space::survey(&graph, &[]).unwrap();
        let left_out = LeftOut::new(&graph, &frontier, &space).unwrap();
        // 8 kernels of 4 x 3 x 3 and 2 of 8, with biases.
        let expected = (8 * 36 + 8 + 2 * 8 + 2) as f64;
        assert_eq!(left_out.params, expected / space.size.params as f64);
    }
}
