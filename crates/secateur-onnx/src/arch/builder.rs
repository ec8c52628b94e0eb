//! Writing a model node by node.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::model::Model;
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::DataType;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto,
};

/// Version of the operators that the builder writes.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;

/// Shape of a square convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvShape {
    pub c_in: usize,
    pub c_out: usize,
    /// Odd.
    pub kernel: usize,
    pub stride: usize,
    /// Divides both channel counts.
    pub groups: usize,
}

impl ConvShape {
    pub(super) fn new(c_in: usize, c_out: usize, kernel: usize, stride: usize) -> Self {
        Self {
            c_in,
            c_out,
            kernel,
            stride,
            groups: 1,
        }
    }
}

/// A model under construction.
pub(super) struct Builder {
    graph: GraphProto,
    rng: ChaCha8Rng,
}

impl Builder {
    pub(super) fn new(name: &str, seed: u64) -> Self {
        let mut graph = GraphProto::new();
        graph.set_name(name.to_string());
        Self {
            graph,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// A dynamic batch of float values of that shape.
    fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
        let mut dims = TensorShapeProto::new();
        let mut batch = tensor_shape_proto::Dimension::new();
        batch.set_dim_param("N".to_string());
        dims.dim.push(batch);
        for &extent in shape {
            let mut dim = tensor_shape_proto::Dimension::new();
            dim.set_dim_value(extent as i64);
            dims.dim.push(dim);
        }
        let mut type_ = TypeProto::new();
        let tensor = type_.mut_tensor_type();
        tensor.set_elem_type(DataType::FLOAT as i32);
        tensor.shape = protobuf::MessageField::some(dims);
        let mut value = ValueInfoProto::new();
        value.set_name(name.to_string());
        value.type_ = protobuf::MessageField::some(type_);
        value
    }

    pub(super) fn input(&mut self, name: &str, shape: &[usize]) {
        self.graph.input.push(Self::value(name, shape));
    }

    pub(super) fn output(&mut self, name: &str, shape: &[usize]) {
        self.graph.output.push(Self::value(name, shape));
    }

    fn store(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let mut tensor = TensorProto::new();
        tensor.set_name(name.to_string());
        tensor.set_data_type(DataType::FLOAT as i32);
        tensor.dims = shape.iter().map(|&d| d as i64).collect();
        tensor.set_raw_data(values.iter().flat_map(|v| v.to_le_bytes()).collect());
        self.graph.initializer.push(tensor);
    }

    /// Constant values.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], value: f32) {
        self.store(name, shape, &vec![value; shape.iter().product()]);
    }

    /// Normal values with deviation sqrt(2 / fan_in).
    ///
    /// Source: He et al., ICCV 2015, arXiv:1502.01852.
    pub(super) fn he_normal(&mut self, name: &str, shape: &[usize], fan_in: usize) {
        let deviation = (2.0 / fan_in as f32).sqrt();
        let values: Vec<f32> = match Normal::new(0.0, deviation) {
            Ok(normal) => (0..shape.iter().product())
                .map(|_| normal.sample(&mut self.rng))
                .collect(),
            // A deviation is positive and finite for every fan-in of 1 and up.
            Err(_) => vec![0.0; shape.iter().product()],
        };
        self.store(name, shape, &values);
    }

    /// Adds a node and returns its output, which has the node's name.
    pub(super) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let mut node = NodeProto::new();
        node.set_op_type(op_type.to_string());
        node.set_name(name.to_string());
        node.input = inputs.iter().map(ToString::to_string).collect();
        node.output = vec![output.to_string()];
        node.attribute = attributes;
        self.graph.node.push(node);
        output.to_string()
    }

    /// Convolution without bias that keeps the image's size at stride 1, then batch norm.
    pub(super) fn conv_bn(&mut self, name: &str, input: &str, shape: ConvShape) -> String {
        let ConvShape {
            c_in,
            c_out,
            kernel,
            stride,
            groups,
        } = shape;
        let columns = c_in / groups;
        let weight = format!("{name}.weight");
        self.he_normal(
            &weight,
            &[c_out, columns, kernel, kernel],
            kernel * kernel * columns,
        );
        let mut attributes = vec![
            ints("kernel_shape", &[kernel as i64; 2]),
            ints("pads", &[(kernel / 2) as i64; 4]),
            ints("strides", &[stride as i64; 2]),
        ];
        if groups > 1 {
            attributes.push(int("group", groups as i64));
        }
        let output = format!("{name}/out");
        let conv = self.node("Conv", name, &[input, &weight], &output, attributes);
        let bn = format!("{name}/bn");
        let parameters =
            ["weight", "bias", "running_mean", "running_var"].map(|p| format!("{bn}.{p}"));
        for (parameter, value) in parameters.iter().zip([1.0, 0.0, 0.0, 1.0]) {
            self.constant(parameter, &[c_out], value);
        }
        let [gamma, beta, mean, variance] = parameters.each_ref().map(String::as_str);
        self.node(
            "BatchNormalization",
            &bn,
            &[&conv, gamma, beta, mean, variance],
            &format!("{bn}/out"),
            vec![float("epsilon", 1e-5), float("momentum", 0.9)],
        )
    }

    /// As [`Builder::conv_bn`], then ReLU.
    pub(super) fn conv_bn_relu(&mut self, name: &str, input: &str, shape: ConvShape) -> String {
        let normalised = self.conv_bn(name, input, shape);
        self.relu(name, &normalised)
    }

    /// ReLU after the node `name`.
    pub(super) fn relu(&mut self, name: &str, input: &str) -> String {
        let relu = format!("{name}/relu");
        self.node("Relu", &relu, &[input], &format!("{relu}/out"), Vec::new())
    }

    /// Mean over pixels, then a classifier: the end of the network.
    pub(super) fn classify(&mut self, input: &str, features: usize, classes: usize) {
        let pooled = self.node(
            "GlobalAveragePool",
            "pool",
            &[input],
            "pool/out",
            Vec::new(),
        );
        let flat = self.node("Flatten", "flatten", &[&pooled], "flatten/out", Vec::new());
        self.linear("classifier", &flat, features, classes, "logits");
        self.output("logits", &[classes]);
    }

    /// Fully connected layer with bias.
    pub(super) fn linear(
        &mut self,
        name: &str,
        input: &str,
        c_in: usize,
        c_out: usize,
        output: &str,
    ) -> String {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.he_normal(&weight, &[c_out, c_in], c_in);
        self.constant(&bias, &[c_out], 0.0);
        self.node(
            "Gemm",
            name,
            &[input, &weight, &bias],
            output,
            vec![int("transB", 1)],
        )
    }

    pub(super) fn finish(self) -> Model {
        let mut proto = ModelProto::new();
        proto.set_ir_version(IR_VERSION);
        proto.set_producer_name("secateur".to_string());
        proto.set_producer_version(env!("CARGO_PKG_VERSION").to_string());
        let mut opset = OperatorSetIdProto::new();
        opset.set_version(OPSET);
        proto.opset_import.push(opset);
        proto.graph = protobuf::MessageField::some(self.graph);
        Model {
            proto,
            base_dir: None,
        }
    }
}

fn attribute(name: &str, type_: AttributeType) -> AttributeProto {
    let mut attribute = AttributeProto::new();
    attribute.set_name(name.to_string());
    attribute.set_type(type_);
    attribute
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    let mut attribute = attribute(name, AttributeType::INT);
    attribute.set_i(value);
    attribute
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    let mut attribute = attribute(name, AttributeType::FLOAT);
    attribute.set_f(value);
    attribute
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let mut attribute = attribute(name, AttributeType::INTS);
    attribute.ints = values.to_vec();
    attribute
}
