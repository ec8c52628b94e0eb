//! The frontier: the tensors behind which a network cannot be trained.
//!
//! A node is behind the frontier if it cannot be planned, if a subgraph holds it, or if it reads
//! what is computed behind. Everything else is in front. The frontier consists of what is
//! computed in front from the network's inputs and trained weights and is read behind, and of the
//! graph's outputs in front. A network whose frontier keeps the original's values is, as a
//! whole, the original: the nodes behind are left as they are.
//!
//! Shapes and other numbers in plain memory do not depend on what the inputs hold: they
//! may be read behind, but are no part of the frontier.

use std::collections::{HashMap, HashSet};
use std::fmt;

use indexmap::IndexMap;
use secateur_onnx::coupling::Keep;
use secateur_onnx::graph::{Graph, Node};
use secateur_onnx::ops::is_quantised;
use serde::Serialize;

use super::plan;
use crate::error::{NetError, Result};
use crate::ops::Planner;
use crate::weights::trained_parameters;

/// A node that training does not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stop {
    /// Its name.
    pub node: String,
    /// Its operator, with the set if that is not the standard one.
    pub op_type: String,
    /// What training lacks, to be read behind the node's name.
    pub reason: String,
    /// True if it reads the network's inputs in front of every layer and is none itself: training
    /// would have to begin behind it.
    pub precedes_layers: bool,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({} {})", self.node, self.op_type, self.reason)
    }
}

/// A tensor of the frontier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct End {
    /// Name of the value.
    pub value: String,
    /// The node behind which it is read; none for an output that nothing behind reads.
    pub stop: Option<Stop>,
}

/// Where training ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    /// The graph's outputs in front, then the other tensors in computing order.
    ends: Vec<End>,
    stops: Vec<Stop>,
    /// Nodes behind, in computing order.
    nodes: Vec<String>,
    /// Values computed behind, with the place of their stop.
    behind: IndexMap<String, usize>,
    /// Stored tensors that are read behind, with the place of their stop.
    stored: IndexMap<String, usize>,
    /// Trained parameters that are read on both sides.
    shared: Vec<String>,
    /// True if trained parameters are read behind.
    leaves_out: bool,
}

impl Frontier {
    /// The frontier of a graph.
    ///
    /// # Errors
    /// [`NetError::Onnx`] if shapes contradict each other.
    pub fn find(graph: &Graph) -> Result<Self> {
        let trained = trained_parameters(graph);
        let trained: HashSet<&str> = trained.keys().copied().collect();
        let outputs: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
        let nodes = plan::needed(graph, &outputs);
        let mut walk = Walk {
            read: nodes.iter().flat_map(|node| node.reads()).collect(),
            producers: producers(&nodes),
            planner: Planner::new(graph, &trained)?,
            fed: graph.inputs.iter().map(|i| i.name.as_str()).collect(),
            weighted: trained.clone(),
            read_in_front: HashSet::new(),
            ends: IndexMap::new(),
            found: Self::default(),
        };
        walk.read.extend(&outputs);
        let mut inner = inner_nodes(&nodes);
        for node in nodes.iter().filter(|node| !node.is_inner) {
            let mut own = inner.remove(node.name.as_str()).unwrap_or_default();
            own.push(node);
            walk.pass(&own);
        }
        Ok(walk.finish(&outputs, &trained))
    }

    /// Names of its tensors: what [`super::Interpreter::new`] plans.
    pub fn values(&self) -> Vec<&str> {
        self.ends.iter().map(|end| end.value.as_str()).collect()
    }

    /// Its tensors, with the nodes that they end at.
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// The nodes that training does not pass, in computing order.
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// The nodes that training does not pass, for a message.
    pub fn stops_text(&self) -> String {
        let texts: Vec<String> = self.stops.iter().map(ToString::to_string).collect();
        texts.join(", ")
    }

    /// Nodes behind, in computing order, those of subgraphs included.
    pub fn nodes_behind(&self) -> &[String] {
        &self.nodes
    }

    /// True if the whole network can be trained: nothing behind depends on trained weights.
    pub fn is_whole(&self) -> bool {
        !self.leaves_out && self.ends.iter().all(|end| end.stop.is_none())
    }

    /// True if `value` is computed in front.
    pub fn is_in_front(&self, value: &str) -> bool {
        !self.behind.contains_key(value)
    }

    /// Trained parameters that nodes behind read as well: they stay as they are.
    pub fn shared(&self) -> &[String] {
        &self.shared
    }

    /// What must keep its channels, and why: the frontier, what is computed behind it, and what
    /// is stored for that.
    pub fn keeps(&self) -> Vec<Keep> {
        let keep = |value: &str, stop: &Stop| Keep {
            value: value.to_string(),
            reason: format!("training ends at {stop}"),
        };
        let ends = self.ends.iter();
        let ends = ends.filter_map(|end| Some(keep(&end.value, end.stop.as_ref()?)));
        let behind = self.behind.iter().chain(&self.stored);
        let behind = behind.map(|(name, &stop)| keep(name, &self.stops[stop]));
        ends.chain(behind).collect()
    }
}

/// Which node computes which value.
fn producers<'g>(nodes: &[&'g Node]) -> HashMap<&'g str, &'g Node> {
    let outputs = nodes
        .iter()
        .flat_map(|node| node.outputs.iter().map(move |output| (output, *node)));
    outputs
        .map(|(output, node)| (output.as_str(), node))
        .collect()
}

/// The nodes of subgraphs by the node of the graph itself that holds them, in computing order.
fn inner_nodes<'g>(nodes: &[&'g Node]) -> HashMap<&'g str, Vec<&'g Node>> {
    // Whoever reads a value of a subgraph lies in the same one, or holds it.
    let mut holder_of: HashMap<&str, &str> = HashMap::new();
    let mut held: HashMap<&str, Vec<&Node>> = HashMap::new();
    for &node in nodes.iter().rev() {
        let holder = match node.is_inner {
            true => {
                let mut holders = node.outputs.iter();
                match holders.find_map(|output| holder_of.get(output.as_str())) {
                    Some(holder) => holder,
                    None => continue,
                }
            }
            false if node.bodies.is_empty() => continue,
            false => node.name.as_str(),
        };
        let given_back = node.bodies.iter().flat_map(|body| &body.outputs);
        let given_back = given_back.map(|output| output.name.as_str());
        let read = node.inputs.iter().flatten().map(String::as_str);
        for value in given_back.chain(read.filter(|_| node.is_inner)) {
            holder_of.entry(value).or_insert(holder);
        }
        if node.is_inner {
            held.entry(holder).or_default().push(node);
        }
    }
    for nodes in held.values_mut() {
        nodes.reverse();
    }
    held
}

/// What is known while the nodes are walked in computing order.
struct Walk<'g> {
    planner: Planner<'g>,
    producers: HashMap<&'g str, &'g Node>,
    /// Values that a node or the caller reads.
    read: HashSet<&'g str>,
    /// Values in front that depend on the network's inputs.
    fed: HashSet<&'g str>,
    /// Trained parameters, and values in front that depend on them.
    weighted: HashSet<&'g str>,
    /// Stored tensors that are read in front.
    read_in_front: HashSet<&'g str>,
    /// Tensors of the frontier, with the place of their stop.
    ends: IndexMap<&'g str, usize>,
    found: Frontier,
}

impl<'g> Walk<'g> {
    /// Puts a node, which comes last, and those of its subgraphs in front or behind.
    fn pass(&mut self, nodes: &[&'g Node]) {
        let Some(&node) = nodes.last() else { return };
        let mut reads = nodes.iter().flat_map(|node| node.reads());
        let stop = reads.find_map(|value| self.found.behind.get(value).copied());
        let stop = match stop {
            Some(stop) => stop,
            None => match plan::check(&self.planner, node, 0) {
                Ok(()) => return self.go_on(node),
                Err(error) => self.stop_at(nodes, error),
            },
        };
        for node in nodes {
            self.leave_behind(node, stop);
        }
    }

    /// The place of a new stop, the last of `nodes`.
    fn stop_at(&mut self, nodes: &[&'g Node], error: NetError) -> usize {
        let node = nodes[nodes.len() - 1];
        let reason = match error {
            NetError::Unsupported { reason, .. } => reason,
            other => format!("cannot be planned: {other}"),
        };
        let reads: Vec<&str> = nodes.iter().flat_map(|node| node.reads()).collect();
        let is_fed = reads.iter().any(|value| self.fed.contains(value));
        let is_trained = reads.iter().any(|value| self.is_trained_on(value));
        let stored = &self.planner.graph.initializers;
        let is_matrix = |value: &&str| stored.get(*value).is_some_and(|t| t.shape.len() > 1);
        let is_layer = is_quantised(node) || reads.iter().any(is_matrix);
        self.found.stops.push(Stop {
            node: node.name.clone(),
            op_type: match node.is_standard() {
                true => node.op_type.clone(),
                false => format!("{}::{}", node.domain, node.op_type),
            },
            reason,
            precedes_layers: is_fed && !is_trained && !is_layer,
        });
        self.found.stops.len() - 1
    }

    /// True for a value that depends on the network's inputs and on trained weights.
    fn is_trained_on(&self, value: &str) -> bool {
        self.fed.contains(value) && self.weighted.contains(value)
    }

    /// Notes what a node in front gives.
    fn go_on(&mut self, node: &'g Node) {
        self.planner.note(node);
        let reads = node.inputs.iter().flatten().map(String::as_str);
        let is_fed = reads.clone().any(|value| self.fed.contains(value));
        let is_weighted = reads.clone().any(|value| self.weighted.contains(value));
        self.read_in_front.extend(reads);
        for (slot, output) in node.outputs.iter().enumerate() {
            let output = output.as_str();
            if self.planner.holds(output) || !self.read.contains(output) {
                continue;
            }
            if slot > 0
                && let Err(error) = plan::check(&self.planner, node, slot)
            {
                let stop = self.stop_at(&[node], error);
                self.found.behind.insert(output.to_string(), stop);
                continue;
            }
            self.fed.extend(is_fed.then_some(output));
            self.weighted.extend(is_weighted.then_some(output));
        }
    }

    /// Notes what a node behind reads and gives.
    fn leave_behind(&mut self, node: &'g Node, stop: usize) {
        self.found.nodes.push(node.name.clone());
        for output in node.outputs.iter().filter(|output| !output.is_empty()) {
            self.found.behind.insert(output.clone(), stop);
        }
        for value in node.reads() {
            if self.is_trained_on(value) {
                self.ends.entry(value).or_insert(stop);
            } else {
                self.keep_stored(value, stop);
            }
        }
    }

    /// Notes what is stored for a value that no input has a part in.
    fn keep_stored(&mut self, value: &'g str, stop: usize) {
        let mut values = vec![value];
        while let Some(value) = values.pop() {
            if self.planner.graph.initializers.contains_key(value) {
                self.found.stored.entry(value.to_string()).or_insert(stop);
            } else if !self.fed.contains(value)
                && !self.found.behind.contains_key(value)
                && let Some(producer) = self.producers.get(value)
            {
                values.extend(producer.reads());
            }
        }
    }

    fn finish(mut self, outputs: &[&'g str], trained: &HashSet<&str>) -> Frontier {
        let in_front = |value: &&str| !self.found.behind.contains_key(*value);
        let outputs = outputs.iter().copied().filter(in_front);
        let mut ends: IndexMap<&str, Option<usize>> = outputs
            .filter(|value| self.is_trained_on(value))
            .map(|value| (value, None))
            .collect();
        for (value, stop) in self.ends {
            ends.insert(value, Some(stop));
        }
        let stops = &self.found.stops;
        let ends = ends.into_iter().map(|(value, stop)| End {
            value: value.to_string(),
            stop: stop.map(|stop| stops[stop].clone()),
        });
        self.found.ends = ends.collect();
        let mut behind = self.found.stored.keys();
        self.found.leaves_out = behind.any(|name| trained.contains(name.as_str()));
        let shared = self.found.stored.keys().filter(|name| {
            let name = name.as_str();
            trained.contains(name) && self.read_in_front.contains(name)
        });
        self.found.shared = shared.cloned().collect();
        self.found
    }
}
