//! Small models for tests, node by node, with random weights.

use protobuf::MessageField;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_onnx::model::Model;

use crate::message::attribute_proto::AttributeType;
use crate::message::{
    AttributeProto, GraphProto, Message, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto,
};

const FLOAT: i32 = 1;
const INT64: i32 = 7;

/// An attribute's value.
pub enum Attr<'a> {
    I(i64),
    F(f32),
    S(&'a str),
    Is(&'a [i64]),
}

pub struct Net {
    pub graph: GraphProto,
    rng: ChaCha8Rng,
    opset: i64,
}

/// Extents of an input or output; negative ones are dynamic.
fn value_info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let mut shape = TensorShapeProto::new();
    for (axis, &extent) in dims.iter().enumerate() {
        let mut dim = tensor_shape_proto::Dimension::new();
        if extent < 0 {
            dim.set_dim_param(format!("d{axis}"));
        } else {
            dim.set_dim_value(extent);
        }
        shape.dim.push(dim);
    }
    let mut type_ = TypeProto::new();
    type_.mut_tensor_type().set_elem_type(FLOAT);
    type_.mut_tensor_type().shape = MessageField::some(shape);
    let mut info = ValueInfoProto::new();
    info.set_name(name.to_string());
    info.type_ = MessageField::some(type_);
    info
}

impl Net {
    pub fn new(seed: u64, opset: i64) -> Self {
        let mut graph = GraphProto::new();
        graph.set_name("net".to_string());
        Self {
            graph,
            rng: ChaCha8Rng::seed_from_u64(seed),
            opset,
        }
    }

    pub fn input(&mut self, dims: &[i64]) -> String {
        self.graph.input.push(value_info("x", dims));
        "x".to_string()
    }

    fn fresh(&self, what: &str) -> String {
        format!(
            "{what}_{}",
            self.graph.node.len() + self.graph.initializer.len()
        )
    }

    /// Random values around zero.
    pub fn weights(&mut self, shape: &[usize]) -> String {
        let values = (0..shape.iter().product()).map(|_| self.rng.random_range(-1.0..1.0));
        let values: Vec<f32> = values.collect();
        self.floats(shape, &values)
    }

    /// Random positive values.
    pub fn positive(&mut self, shape: &[usize]) -> String {
        let values = (0..shape.iter().product()).map(|_| self.rng.random_range(0.5..1.5));
        let values: Vec<f32> = values.collect();
        self.floats(shape, &values)
    }

    pub fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        let mut tensor = TensorProto::new();
        let name = self.fresh("w");
        tensor.set_name(name.clone());
        tensor.set_data_type(FLOAT);
        tensor.dims = shape.iter().map(|&d| d as i64).collect();
        tensor.set_raw_data(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        self.graph.initializer.push(tensor);
        name
    }

    pub fn ints(&mut self, values: &[i64]) -> String {
        let mut tensor = TensorProto::new();
        let name = self.fresh("i");
        tensor.set_name(name.clone());
        tensor.set_data_type(INT64);
        tensor.dims = vec![values.len() as i64];
        tensor.int64_data = values.to_vec();
        self.graph.initializer.push(tensor);
        name
    }

    pub fn scalar(&mut self, value: i64) -> String {
        let name = self.ints(&[value]);
        self.graph.initializer.last_mut().unwrap().dims.clear();
        name
    }

    pub fn nodes(
        &mut self,
        op_type: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr)],
        n_outputs: usize,
    ) -> Vec<String> {
        let mut node = NodeProto::new();
        let name = self.fresh(&op_type.to_lowercase());
        node.set_name(name.clone());
        node.set_op_type(op_type.to_string());
        node.input = inputs.iter().map(ToString::to_string).collect();
        node.output = (0..n_outputs).map(|i| format!("{name}:{i}")).collect();
        for (key, value) in attributes {
            let mut attribute = AttributeProto::new();
            attribute.set_name((*key).to_string());
            match value {
                Attr::I(v) => {
                    attribute.set_type(AttributeType::INT);
                    attribute.set_i(*v);
                }
                Attr::F(v) => {
                    attribute.set_type(AttributeType::FLOAT);
                    attribute.set_f(*v);
                }
                Attr::S(v) => {
                    attribute.set_type(AttributeType::STRING);
                    attribute.set_s(v.as_bytes().to_vec());
                }
                Attr::Is(v) => {
                    attribute.set_type(AttributeType::INTS);
                    attribute.ints = v.to_vec();
                }
            }
            node.attribute.push(attribute);
        }
        let outputs = node.output.clone();
        self.graph.node.push(node);
        outputs
    }

    pub fn node(&mut self, op_type: &str, inputs: &[&str], attributes: &[(&str, Attr)]) -> String {
        self.nodes(op_type, inputs, attributes, 1).remove(0)
    }

    /// Square convolution that keeps the image's size, with bias.
    pub fn conv(&mut self, x: &str, c_in: usize, c_out: usize, k: usize, group: usize) -> String {
        let weights = self.weights(&[c_out, c_in / group, k, k]);
        let bias = self.weights(&[c_out]);
        let pad = (k / 2) as i64;
        self.node(
            "Conv",
            &[x, &weights, &bias],
            &[
                ("group", Attr::I(group as i64)),
                ("pads", Attr::Is(&[pad; 4])),
            ],
        )
    }

    pub fn batch_norm(&mut self, x: &str, c: usize) -> String {
        let (gamma, beta, mean) = (self.weights(&[c]), self.weights(&[c]), self.weights(&[c]));
        let variance = self.positive(&[c]);
        self.node(
            "BatchNormalization",
            &[x, &gamma, &beta, &mean, &variance],
            &[],
        )
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &[x], &[])
    }

    pub fn conv_bn_relu(&mut self, x: &str, c_in: usize, c_out: usize, k: usize) -> String {
        let x = self.conv(x, c_in, c_out, k, 1);
        let x = self.batch_norm(&x, c_out);
        self.relu(&x)
    }

    /// Global pooling and a classifier with 3 classes.
    pub fn classify(&mut self, x: &str, c: usize) -> String {
        let x = self.node("GlobalAveragePool", &[x], &[]);
        let x = self.node("Flatten", &[&x], &[]);
        self.linear(&x, c, 3)
    }

    pub fn linear(&mut self, x: &str, c_in: usize, c_out: usize) -> String {
        let weights = self.weights(&[c_out, c_in]);
        let bias = self.weights(&[c_out]);
        self.node("Gemm", &[x, &weights, &bias], &[("transB", Attr::I(1))])
    }

    pub fn finish(mut self, output: &str) -> Model {
        // No shape: tests infer it.
        let mut info = ValueInfoProto::new();
        info.set_name(output.to_string());
        let mut type_ = TypeProto::new();
        type_.mut_tensor_type().set_elem_type(FLOAT);
        info.type_ = MessageField::some(type_);
        self.graph.output.push(info);
        let mut proto = ModelProto::new();
        proto.set_ir_version(8);
        let mut opset = OperatorSetIdProto::new();
        opset.set_version(self.opset);
        proto.opset_import.push(opset);
        proto.graph = MessageField::some(self.graph);
        Model::from_bytes(&proto.write_to_bytes().unwrap(), None).unwrap()
    }
}
