//! Nodes and their attributes.

use std::collections::BTreeMap;
use std::path::Path;

use super::decode::Reading;
use super::initializer::{StoredTensor, Tensor, Values};
use super::proto::attribute_proto::AttributeType;
use super::proto::{AttributeProto, NodeProto};
use super::value_info::ValueInfo;
use crate::error::Result;

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Attribute {
    /// Integer.
    Int(i64),
    /// Float.
    Float(f32),
    /// Text.
    Text(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
    /// Tensor.
    Tensor(Tensor),
    /// Anything else: graphs, sparse tensors, types.
    Other,
}

impl Attribute {
    /// Reads an attribute; `name` is what its tensor is called.
    fn from_proto(
        proto: &AttributeProto,
        name: &str,
        base_dir: Option<&Path>,
        reading: Reading,
    ) -> Result<Self> {
        Ok(match proto.type_() {
            AttributeType::INT => Self::Int(proto.i()),
            AttributeType::FLOAT => Self::Float(proto.f()),
            AttributeType::STRING => Self::Text(String::from_utf8_lossy(proto.s()).into_owned()),
            AttributeType::INTS => Self::Ints(proto.ints.clone()),
            AttributeType::FLOATS => Self::Floats(proto.floats.clone()),
            AttributeType::STRINGS => {
                let texts = proto.strings.iter();
                Self::Texts(
                    texts
                        .map(|text| String::from_utf8_lossy(text).into_owned())
                        .collect(),
                )
            }
            AttributeType::TENSOR => match proto.t.as_ref() {
                Some(tensor) => Self::Tensor(reading.decode(tensor, name, base_dir)?),
                None => Self::Other,
            },
            _ => Self::Other,
        })
    }
}

/// One operation.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name; made up (`Conv#3`) where the file has none or has it twice.
    pub name: String,
    /// Operator.
    pub op_type: String,
    /// Operator set; empty for the standard one.
    pub domain: String,
    /// Inputs; `None` where an optional one is left out.
    pub inputs: Vec<Option<String>>,
    /// Outputs; empty text where an optional one is left out.
    pub outputs: Vec<String>,
    /// Attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// Its subgraphs: branches of `If`, bodies of `Loop` and `Scan`. Their nodes are among those
    /// of the graph.
    pub bodies: Vec<Body>,
    /// True for a node of a subgraph, which runs under some conditions alone.
    pub is_inner: bool,
}

/// The ends of a subgraph, under the names that they have in the whole graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Name of the attribute that holds it.
    pub attribute: String,
    /// What it is given at every run.
    pub inputs: Vec<ValueInfo>,
    /// What it gives back.
    pub outputs: Vec<ValueInfo>,
}

impl Node {
    /// A node as the message has it; its subgraphs are left out.
    pub(super) fn from_proto(
        proto: &NodeProto,
        base_dir: Option<&Path>,
        reading: Reading,
    ) -> Result<Self> {
        // A tensor in an attribute has no name of its own.
        let output = proto.output.first().map_or("", String::as_str);
        let mut attributes = BTreeMap::new();
        for attribute in &proto.attribute {
            let value = Attribute::from_proto(attribute, output, base_dir, reading)?;
            attributes.insert(attribute.name().to_string(), value);
        }
        Ok(Self {
            name: proto.name().to_string(),
            op_type: proto.op_type().to_string(),
            domain: proto.domain().to_string(),
            inputs: proto
                .input
                .iter()
                .map(|name| (!name.is_empty()).then(|| name.clone()))
                .collect(),
            outputs: proto.output.clone(),
            attributes,
            bodies: Vec::new(),
            is_inner: false,
        })
    }

    /// The tensor of a `Constant` node under the name of its output.
    pub(crate) fn constant(&self) -> Option<StoredTensor> {
        if self.op_type != "Constant" || !self.is_standard() {
            return None;
        }
        let name = self.outputs.first().filter(|name| !name.is_empty())?;
        let (attribute, value) = self.attributes.first_key_value()?;
        let vector = |values: Values, len: usize| (vec![len], values, true);
        let scalar = |values: Values| (Vec::new(), values, false);
        let (shape, values, can_be_cut) = match (attribute.as_str(), value) {
            ("value", Attribute::Tensor(tensor)) => {
                (tensor.shape.clone(), tensor.values.clone(), true)
            }
            ("value_int", Attribute::Int(value)) => scalar(Values::I64(vec![*value])),
            ("value_float", Attribute::Float(value)) => scalar(Values::F32(vec![*value])),
            ("value_ints", Attribute::Ints(values)) => {
                vector(Values::I64(values.clone()), values.len())
            }
            ("value_floats", Attribute::Floats(values)) => {
                vector(Values::F32(values.clone()), values.len())
            }
            _ => return None,
        };
        Some(StoredTensor {
            name: name.clone(),
            tensor: Tensor { shape, values },
            can_be_cut,
        })
    }

    /// True for operators of the standard set.
    pub fn is_standard(&self) -> bool {
        matches!(self.domain.as_str(), "" | "ai.onnx")
    }

    /// Input number `slot`, if given.
    pub fn input(&self, slot: usize) -> Option<&str> {
        self.inputs.get(slot)?.as_deref()
    }

    /// Everything that must be computed before it: its inputs, and what its subgraphs give back.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        let outputs = self.bodies.iter().flat_map(|body| &body.outputs);
        let inputs = self.inputs.iter().flatten().map(String::as_str);
        inputs.chain(outputs.map(|output| output.name.as_str()))
    }

    /// Integer attribute, or `default`.
    pub fn attr_i(&self, name: &str, default: i64) -> i64 {
        match self.attributes.get(name) {
            Some(Attribute::Int(value)) => *value,
            _ => default,
        }
    }

    /// Float attribute, or `default`.
    pub fn attr_f(&self, name: &str, default: f32) -> f32 {
        match self.attributes.get(name) {
            Some(Attribute::Float(value)) => *value,
            _ => default,
        }
    }

    /// Text attribute.
    pub fn attr_s(&self, name: &str) -> Option<String> {
        match self.attributes.get(name) {
            Some(Attribute::Text(value)) => Some(value.clone()),
            _ => None,
        }
    }

    /// Integers attribute.
    pub fn attr_ints(&self, name: &str) -> Option<&[i64]> {
        match self.attributes.get(name) {
            Some(Attribute::Ints(values)) => Some(values),
            _ => None,
        }
    }
}
