//! Nodes that read part of their inputs, and whose outputs are spread again: for networks that
//! are compared with others, not for files that are handed on.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::initializer::{Tensor, Values};
use super::message::Model;
use super::proto::{AttributeProto, NodeProto, TensorProto, attribute_proto::AttributeType};
use super::rewrite::integers;
use super::scopes::all_names;
use super::stored::tensors_mut;

/// Axes with the positions that are picked along each.
pub(crate) type Picks = Vec<(usize, Vec<i64>)>;

/// Nodes `Gather` and their indices in the making.
struct Gathers {
    taken: HashSet<String>,
    indices: Vec<TensorProto>,
}

impl Gathers {
    fn free_name(&mut self, base: &str) -> String {
        let mut name = base.to_string();
        while !self.taken.insert(name.clone()) {
            name.push('\'');
        }
        name
    }

    /// Nodes that pick from `from`, one an axis; the last gives `to`.
    fn chain(&mut self, from: &str, to: &str, picks: &Picks) -> Vec<NodeProto> {
        let mut from = from.to_string();
        let mut nodes = Vec::with_capacity(picks.len());
        for (number, (axis, positions)) in picks.iter().enumerate() {
            let output = match number + 1 == picks.len() {
                true => to.to_string(),
                false => self.free_name(&format!("{to}/axis{axis}")),
            };
            nodes.push(self.gather(&from, &output, *axis, positions));
            from = output;
        }
        nodes
    }

    fn gather(&mut self, from: &str, to: &str, axis: usize, positions: &[i64]) -> NodeProto {
        let indices = self.free_name(&format!("{to}/positions"));
        let tensor = Tensor {
            shape: vec![positions.len()],
            values: Values::I64(positions.to_vec()),
        };
        self.indices.push(integers(&indices, &tensor));
        let mut attribute = AttributeProto::new();
        attribute.set_name("axis".to_string());
        attribute.set_type(AttributeType::INT);
        attribute.set_i(axis as i64);
        let mut node = NodeProto::new();
        node.set_op_type("Gather".to_string());
        node.set_name(self.free_name(&format!("{to}/pick")));
        node.input = vec![from.to_string(), indices];
        node.output = vec![to.to_string()];
        node.attribute = vec![attribute];
        node
    }
}

impl Model {
    /// Lets each node that gives one of `outputs` read only what `kept` picks of its inputs,
    /// and spreads its outputs by what `spread` picks of them. Stored tensors are not picked
    /// from: a node reads a copy of its own, which is to be cut. Returns the names of the copies
    /// with what stays of them.
    pub(crate) fn compact_nodes(
        &mut self,
        outputs: &BTreeSet<&str>,
        kept: impl Fn(&str) -> Picks,
        spread: impl Fn(&str) -> Picks,
    ) -> Vec<(String, Picks)> {
        let graph = self.proto.graph.mut_or_insert_default();
        let mut gathers = Gathers {
            taken: all_names(graph),
            indices: Vec::new(),
        };
        let stored = tensors_mut(graph).into_iter();
        let stored: HashMap<String, TensorProto> = stored
            .filter(|(name, _)| !kept(name).is_empty())
            .map(|(name, proto)| (name, proto.clone()))
            .collect();
        let mut copies = Vec::new();
        let nodes = std::mem::take(&mut graph.node);
        for mut node in nodes {
            if !node
                .output
                .iter()
                .any(|name| outputs.contains(name.as_str()))
            {
                graph.node.push(node);
                continue;
            }
            for input in &mut node.input {
                let picks = kept(input);
                if picks.is_empty() {
                    continue;
                }
                let name = gathers.free_name(&format!("{input}/active"));
                if let Some(stored) = stored.get(input) {
                    let mut copy = stored.clone();
                    copy.set_name(name.clone());
                    graph.initializer.push(copy);
                    copies.push((name.clone(), picks));
                } else {
                    graph.node.extend(gathers.chain(input, &name, &picks));
                }
                *input = name;
            }
            let mut behind = Vec::new();
            for output in &mut node.output {
                let picks = spread(output);
                if !picks.is_empty() {
                    let name = gathers.free_name(&format!("{output}/active"));
                    behind.extend(gathers.chain(&name, output, &picks));
                    *output = name;
                }
            }
            graph.node.push(node);
            graph.node.append(&mut behind);
        }
        graph.initializer.append(&mut gathers.indices);
        copies
    }
}
