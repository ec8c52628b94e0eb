//! A new message, written value by value and node by node.

use protobuf::MessageField;

use super::message::Model;
use super::node::Attribute;
use super::proto::attribute_proto::AttributeType;
use super::proto::tensor_proto::DataType;
use super::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use super::value_info::{Dim, ValueInfo};

/// Version of the operators that are written.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;

/// A graph under construction.
pub(crate) struct ModelBuilder {
    graph: GraphProto,
}

impl ModelBuilder {
    /// An empty graph.
    pub(crate) fn new(name: &str) -> Self {
        let mut graph = GraphProto::new();
        graph.set_name(name.to_string());
        Self { graph }
    }

    /// Adds an input of floats.
    pub(crate) fn input(&mut self, name: &str, shape: &[Dim]) {
        self.graph.input.push(value(name, shape));
    }

    /// Adds an output of floats.
    pub(crate) fn output(&mut self, name: &str, shape: &[Dim]) {
        self.graph.output.push(value(name, shape));
    }

    /// Adds an initialiser of floats.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let mut tensor = TensorProto::new();
        tensor.set_name(name.to_string());
        tensor.set_data_type(DataType::FLOAT as i32);
        tensor.dims = shape.iter().map(|&d| d as i64).collect();
        tensor.set_raw_data(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        self.graph.initializer.push(tensor);
    }

    /// Adds a node with one output.
    pub(crate) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) {
        let mut node = NodeProto::new();
        node.set_op_type(op_type.to_string());
        node.set_name(name.to_string());
        node.input = inputs.iter().map(ToString::to_string).collect();
        node.output = vec![output.to_string()];
        let attributes = attributes.iter();
        node.attribute = attributes
            .map(|(name, value)| attribute(name, value))
            .collect();
        self.graph.node.push(node);
    }

    /// The model.
    pub(crate) fn finish(self) -> Model {
        let mut proto = ModelProto::new();
        proto.set_ir_version(IR_VERSION);
        proto.set_producer_name("secateur".to_string());
        proto.set_producer_version(env!("CARGO_PKG_VERSION").to_string());
        let mut opset = OperatorSetIdProto::new();
        opset.set_version(OPSET);
        proto.opset_import.push(opset);
        proto.graph = MessageField::some(self.graph);
        Model {
            proto,
            base_dir: None,
            computed: Vec::new(),
        }
    }
}

fn value(name: &str, shape: &[Dim]) -> ValueInfoProto {
    let info = ValueInfo {
        name: name.to_string(),
        shape: shape.to_vec(),
        elem_type: DataType::FLOAT as i32,
        has_shape: true,
    };
    info.to_proto()
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut attribute = AttributeProto::new();
    attribute.set_name(name.to_string());
    let type_ = match value {
        Attribute::Int(value) => {
            attribute.set_i(*value);
            AttributeType::INT
        }
        Attribute::Float(value) => {
            attribute.set_f(*value);
            AttributeType::FLOAT
        }
        Attribute::Text(text) => {
            attribute.set_s(text.clone().into_bytes());
            AttributeType::STRING
        }
        Attribute::Ints(values) => {
            attribute.ints.clone_from(values);
            AttributeType::INTS
        }
        Attribute::Floats(values) => {
            attribute.floats.clone_from(values);
            AttributeType::FLOATS
        }
        // The networks of `arch` have no attributes of these kinds.
        Attribute::Texts(_) | Attribute::Tensor(_) | Attribute::Other => AttributeType::UNDEFINED,
    };
    attribute.set_type(type_);
    attribute
}
