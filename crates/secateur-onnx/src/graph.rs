//! A typed, checked view of a model's graph.

use std::collections::{BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;

use crate::error::{OnnxError, Result};
pub use crate::model::{Attribute, Body, Dim, Node, ValueInfo};
use crate::model::{Model, Reading, StoredTensor, Tensor};

/// The graph of a model. `Constant` nodes appear as initialisers, not as nodes.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Name.
    pub name: String,
    /// Version of the standard operators.
    pub opset: i64,
    /// Inputs that are fed, without initialisers.
    pub inputs: Vec<ValueInfo>,
    /// Outputs.
    pub outputs: Vec<ValueInfo>,
    /// Shapes that the file states for values in between.
    pub value_info: HashMap<String, ValueInfo>,
    /// Nodes in an order in which every input is computed before it is read. Those of subgraphs
    /// (branches of `If`, bodies of `Loop` and `Scan`) are among them, in front of the node that
    /// holds the subgraph; names of what a subgraph defines say where it lies
    /// (`If_3.then_branch::conv1`).
    pub nodes: Vec<Node>,
    /// Stored tensors, those of subgraphs included.
    pub initializers: IndexMap<String, Tensor>,
    /// Names of stored tensors that surgery cannot cut: sparse ones, texts, single numbers
    /// in attributes.
    pub uncut: BTreeSet<String>,
    /// Weights that stand in place of their computation ([`Model::prepared`]).
    pub computed: Vec<String>,
    /// True if channels may go that a node mixes ([`crate::model::ALLOW_MIXING`]).
    pub allow_mixing: bool,
    /// True if its inputs have no axis for a batch ([`crate::model::NO_BATCH`]).
    pub no_batch: bool,
}

impl Graph {
    /// Reads and checks the graph of a model. Open extents of its inputs are what its
    /// metadata say ([`crate::model::INPUT_SHAPES`]).
    ///
    /// # Errors
    /// [`OnnxError::Graph`] for names defined twice or never, and cycles;
    /// [`OnnxError::Tensor`] for stored tensors that contradict themselves.
    pub fn from_model(model: &Model) -> Result<Self> {
        Self::read(model, Reading::Whole)
    }

    /// As [`Graph::from_model`], with the elements of large tensors left where they are
    /// ([`crate::model::Values::Unread`]): all that coupling, costs and surgery need, in
    /// little memory.
    ///
    /// # Errors
    /// As [`Graph::from_model`].
    pub fn outline(model: &Model) -> Result<Self> {
        Self::read(model, Reading::Outline)
    }

    fn read(model: &Model, reading: Reading) -> Result<Self> {
        let opset = model
            .operator_sets()
            .find(|(domain, _)| matches!(*domain, "" | "ai.onnx"));
        let value_info = model.value_infos().into_iter();
        let value_info = value_info.map(|info| (info.name.clone(), info));
        let mut graph = Self {
            name: model.graph_name().to_string(),
            opset: opset.map_or(1, |(_, version)| version),
            inputs: Vec::new(),
            outputs: model.outputs().collect(),
            value_info: value_info.collect(),
            nodes: Vec::new(),
            initializers: IndexMap::new(),
            uncut: BTreeSet::new(),
            computed: model.computed_weights().to_vec(),
            allow_mixing: model.allows_mixing(),
            no_batch: model.has_no_batch(),
        };
        for stored in model.initializers(reading)? {
            graph.define(stored)?;
        }
        let mut names: HashSet<String> = HashSet::new();
        for (index, mut node) in model.nodes(reading)?.into_iter().enumerate() {
            if node.name.is_empty() || !names.insert(node.name.clone()) {
                node.name = format!("{}#{index}", node.op_type);
                while !names.insert(node.name.clone()) {
                    node.name.push('\'');
                }
            }
            match node.constant() {
                Some(stored) => graph.define(stored)?,
                None => graph.nodes.push(node),
            }
        }
        let inputs = model.fed_inputs();
        graph.inputs = inputs
            .filter(|input| !graph.initializers.contains_key(&input.name))
            .collect();
        let has_batch = !graph.no_batch;
        crate::model::fill_inputs(&mut graph.inputs, &model.input_shapes(), has_batch);
        graph.sorted()
    }

    fn fail(&self, place: String, reason: &str) -> OnnxError {
        OnnxError::Graph {
            graph: self.name.clone(),
            place,
            reason: reason.to_string(),
        }
    }

    /// Adds a stored tensor.
    fn define(&mut self, stored: StoredTensor) -> Result<()> {
        let StoredTensor {
            name,
            tensor,
            can_be_cut,
        } = stored;
        if !can_be_cut || tensor.is_opaque() {
            self.uncut.insert(name.clone());
        }
        match self.initializers.insert(name.clone(), tensor) {
            None => Ok(()),
            Some(_) => Err(self.fail(format!("stored tensor `{name}`"), "defined twice")),
        }
    }

    /// Brings the nodes into computing order.
    fn sorted(mut self) -> Result<Self> {
        let (mut waits, readers) = self.dependencies()?;
        // Kahn's algorithm, always taking the first ready node in file order.
        let mut ready: BTreeSet<usize> = (0..waits.len()).filter(|&i| waits[i] == 0).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(index) = ready.pop_first() {
            order.push(index);
            for &reader in &readers[index] {
                waits[reader] -= 1;
                if waits[reader] == 0 {
                    ready.insert(reader);
                }
            }
        }
        if order.len() < self.nodes.len() {
            let stuck = (0..waits.len()).find(|&i| waits[i] > 0).unwrap_or(0);
            let place = format!("node `{}`", self.nodes[stuck].name);
            return Err(self.fail(place, "its inputs depend on its own output (a cycle)"));
        }
        if order.windows(2).any(|pair| pair[0] > pair[1]) {
            let mut nodes: Vec<Option<Node>> = self.nodes.into_iter().map(Some).collect();
            self.nodes = order
                .into_iter()
                .filter_map(|index| nodes[index].take())
                .collect();
        }
        Ok(self)
    }

    /// Per node, how many computed inputs it waits for, and which nodes read its outputs.
    fn dependencies(&self) -> Result<(Vec<usize>, Vec<Vec<usize>>)> {
        let mut producer: HashMap<&str, usize> = HashMap::new();
        let mut known: HashSet<&str> = self.inputs.iter().map(|i| i.name.as_str()).collect();
        known.extend(self.initializers.keys().map(String::as_str));
        let bodies = self.nodes.iter().flat_map(|node| &node.bodies);
        let given = bodies.flat_map(|body| &body.inputs);
        known.extend(given.map(|input| input.name.as_str()));
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|o| !o.is_empty()) {
                if known.contains(output.as_str()) || producer.insert(output, index).is_some() {
                    return Err(self.fail(format!("value `{output}`"), "defined twice"));
                }
            }
        }
        let mut waits = vec![0usize; self.nodes.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.reads() {
                if known.contains(input) {
                    continue;
                }
                let Some(&from) = producer.get(input) else {
                    return Err(self.fail(
                        format!("node `{}` ({})", node.name, node.op_type),
                        &format!("its input `{input}` is neither computed nor stored"),
                    ));
                };
                waits[index] += 1;
                readers[from].push(index);
            }
        }
        for output in &self.outputs {
            let name = output.name.as_str();
            if !known.contains(name) && !producer.contains_key(name) {
                return Err(self.fail(format!("output `{name}`"), "never computed"));
            }
        }
        Ok((waits, readers))
    }

    /// The first NaN or infinity among these float initialisers: name and index.
    pub fn find_non_finite<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<(&'a str, usize)> {
        names.into_iter().find_map(|name| {
            let values = self.initializers.get(name)?.as_f32()?;
            let index = values.iter().position(|v| !v.is_finite())?;
            Some((name, index))
        })
    }
}
