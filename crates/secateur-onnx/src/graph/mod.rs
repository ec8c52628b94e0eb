//! A typed, checked view of a model's graph.

mod node;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use indexmap::IndexMap;

pub use node::{Attribute, Node};

use crate::error::{OnnxError, Result};
use crate::model::{Model, Tensor, initializer};
use crate::proto::{GraphProto, TensorProto, ValueInfoProto};

/// One extent of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// Known.
    Fixed(usize),
    /// Named, such as the batch `N`.
    Named(String),
    /// Not known.
    Unknown,
}

impl Dim {
    /// The extent, where known.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(*size),
            _ => None,
        }
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Named(name) => f.write_str(name),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// Name, type and shape of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueInfo {
    /// Name.
    pub name: String,
    /// Extents.
    pub shape: Vec<Dim>,
    /// ONNX data type number (1 is float).
    pub elem_type: i32,
    /// False where the file states no shape at all.
    pub has_shape: bool,
}

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
    /// Nodes in an order in which every input is computed before it is read.
    pub nodes: Vec<Node>,
    /// Stored tensors.
    pub initializers: IndexMap<String, Tensor>,
    /// Names of stored tensors that surgery cannot cut: sparse ones, texts, single numbers
    /// in attributes.
    pub uncut: BTreeSet<String>,
}

/// How stored tensors are read.
type Decode = fn(&TensorProto, &str, Option<&Path>) -> Result<Tensor>;

pub(crate) fn value_info(proto: &ValueInfoProto) -> ValueInfo {
    let tensor = proto
        .type_
        .as_ref()
        .filter(|t| t.has_tensor_type())
        .map(|t| t.tensor_type());
    let shape = tensor.and_then(|t| t.shape.as_ref());
    ValueInfo {
        name: proto.name().to_string(),
        elem_type: tensor.map_or(0, |t| t.elem_type()),
        has_shape: shape.is_some(),
        shape: shape
            .map(|shape| {
                shape
                    .dim
                    .iter()
                    .map(|dim| {
                        if dim.has_dim_value() {
                            usize::try_from(dim.dim_value()).map_or(Dim::Unknown, Dim::Fixed)
                        } else if dim.has_dim_param() && !dim.dim_param().is_empty() {
                            Dim::Named(dim.dim_param().to_string())
                        } else {
                            Dim::Unknown
                        }
                    })
                    .collect()
            })
            .unwrap_or_default(),
    }
}

impl Graph {
    /// Reads and checks the graph of a model. Open heights and widths of its images are what its
    /// metadata say ([`crate::model::IMAGE_SIZE`]).
    ///
    /// # Errors
    /// [`OnnxError::Graph`] for names defined twice or never, and cycles;
    /// [`OnnxError::Tensor`] for stored tensors that contradict themselves.
    pub fn from_model(model: &Model) -> Result<Self> {
        Self::read(model, initializer::decode)
    }

    /// As [`Graph::from_model`], with the elements of large tensors left where they are
    /// ([`crate::model::Values::Unread`]): all that coupling, costs and surgery need, in
    /// little memory.
    ///
    /// # Errors
    /// As [`Graph::from_model`].
    pub fn outline(model: &Model) -> Result<Self> {
        Self::read(model, initializer::outline)
    }

    fn read(model: &Model, decode: Decode) -> Result<Self> {
        let proto: &GraphProto = &model.proto.graph;
        let name = proto.name().to_string();
        let fail = |place: String, reason: String| OnnxError::Graph {
            graph: name.clone(),
            place,
            reason,
        };
        let base_dir = model.base_dir.as_deref();
        let mut initializers = IndexMap::new();
        let mut uncut = BTreeSet::new();
        let mut define = |name: &str, tensor: Tensor, cut: bool| -> Result<()> {
            if !cut || tensor.is_opaque() {
                uncut.insert(name.to_string());
            }
            match initializers.insert(name.to_string(), tensor) {
                None => Ok(()),
                Some(_) => Err(fail(
                    format!("stored tensor `{name}`"),
                    "defined twice".to_string(),
                )),
            }
        };
        for tensor in &proto.initializer {
            let decoded = decode(tensor, tensor.name(), base_dir)?;
            define(tensor.name(), decoded, true)?;
        }
        for tensor in &proto.sparse_initializer {
            let name = tensor.values.name();
            define(name, initializer::sparse_placeholder(tensor, name)?, false)?;
        }
        let mut nodes = Vec::with_capacity(proto.node.len());
        let mut names: HashSet<String> = HashSet::new();
        for (index, node) in proto.node.iter().enumerate() {
            let mut node = Node::from_proto(node, base_dir, decode)?;
            if node.name.is_empty() || !names.insert(node.name.clone()) {
                node.name = format!("{}#{index}", node.op_type);
                while !names.insert(node.name.clone()) {
                    node.name.push('\'');
                }
            }
            if let Some((tensor, cut)) = node.constant()
                && let Some(output) = node.outputs.first().filter(|output| !output.is_empty())
            {
                define(output, tensor, cut)?;
                continue;
            }
            nodes.push(node);
        }
        let mut inputs: Vec<ValueInfo> = proto
            .input
            .iter()
            .map(value_info)
            .filter(|input| !initializers.contains_key(&input.name))
            .collect();
        if let (Some(size), Some(input)) = (model.image_size(), inputs.first_mut()) {
            crate::model::fill_image_size(input, size);
        }
        let opset = model
            .proto
            .opset_import
            .iter()
            .find(|import| matches!(import.domain(), "" | "ai.onnx"))
            .map_or(1, |import| import.version());
        let graph = Self {
            name: name.clone(),
            opset,
            inputs,
            outputs: proto.output.iter().map(value_info).collect(),
            value_info: proto
                .value_info
                .iter()
                .map(|info| (info.name().to_string(), value_info(info)))
                .collect(),
            nodes,
            initializers,
            uncut,
        };
        graph.sorted()
    }

    /// Brings the nodes into computing order.
    fn sorted(mut self) -> Result<Self> {
        let fail = |graph: &Self, place: String, reason: &str| OnnxError::Graph {
            graph: graph.name.clone(),
            place,
            reason: reason.to_string(),
        };
        let mut producer: HashMap<&str, usize> = HashMap::new();
        let mut known: HashSet<&str> = self.inputs.iter().map(|i| i.name.as_str()).collect();
        known.extend(self.initializers.keys().map(String::as_str));
        for (index, node) in self.nodes.iter().enumerate() {
            for output in node.outputs.iter().filter(|o| !o.is_empty()) {
                if known.contains(output.as_str()) || producer.insert(output, index).is_some() {
                    return Err(fail(&self, format!("value `{output}`"), "defined twice"));
                }
            }
        }
        // Kahn's algorithm, always taking the first ready node in file order.
        let mut waits = vec![0usize; self.nodes.len()];
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in node.inputs.iter().flatten().chain(&node.captures) {
                if known.contains(input.as_str()) {
                    continue;
                }
                let Some(&from) = producer.get(input.as_str()) else {
                    return Err(fail(
                        &self,
                        format!("node `{}` ({})", node.name, node.op_type),
                        &format!("its input `{input}` is neither computed nor stored"),
                    ));
                };
                waits[index] += 1;
                readers[from].push(index);
            }
        }
        for output in &self.outputs {
            if !known.contains(output.name.as_str()) && !producer.contains_key(output.name.as_str())
            {
                return Err(fail(
                    &self,
                    format!("output `{}`", output.name),
                    "never computed",
                ));
            }
        }
        let mut ready: std::collections::BTreeSet<usize> =
            (0..waits.len()).filter(|&i| waits[i] == 0).collect();
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
            return Err(fail(
                &self,
                place,
                "its inputs depend on its own output (a cycle)",
            ));
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

    /// The first NaN or infinity among float initialisers: name and index.
    pub fn find_non_finite(&self) -> Option<(&str, usize)> {
        self.initializers.iter().find_map(|(name, tensor)| {
            let values = tensor.as_f32()?;
            values
                .iter()
                .position(|v| !v.is_finite())
                .map(|index| (name.as_str(), index))
        })
    }
}
