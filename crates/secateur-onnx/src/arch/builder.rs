//! Writing a model node by node.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::error::{OnnxError, Result};
use crate::model::{Attribute, Dim, Model, ModelBuilder};

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

/// A network under construction.
pub(super) struct Builder {
    model: ModelBuilder,
    rng: ChaCha8Rng,
}

impl Builder {
    pub(super) fn new(name: &str, seed: u64) -> Self {
        Self {
            model: ModelBuilder::new(name),
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn input(&mut self, name: &str, shape: &[usize]) {
        self.model.input(name, &with_batch(shape));
    }

    pub(super) fn output(&mut self, name: &str, shape: &[usize]) {
        self.model.output(name, &with_batch(shape));
    }

    /// Constant values.
    pub(super) fn constant(&mut self, name: &str, shape: &[usize], value: f32) {
        let values = vec![value; shape.iter().product()];
        self.model.floats(name, shape, &values);
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
        self.model.floats(name, shape, &values);
    }

    /// Adds a node and returns its output, which has the node's name.
    pub(super) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) -> String {
        self.model.node(op_type, name, inputs, output, attributes);
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
            ("kernel_shape", Attribute::Ints(vec![kernel as i64; 2])),
            ("pads", Attribute::Ints(vec![(kernel / 2) as i64; 4])),
            ("strides", Attribute::Ints(vec![stride as i64; 2])),
        ];
        if groups > 1 {
            attributes.push(("group", Attribute::Int(groups as i64)));
        }
        let output = format!("{name}/out");
        let conv = self.node("Conv", name, &[input, &weight], &output, &attributes);
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
            &[
                ("epsilon", Attribute::Float(1e-5)),
                ("momentum", Attribute::Float(0.9)),
            ],
        )
    }

    /// Convolution with bias of weights `[c_out, c_in, kh, kw]`, without padding.
    pub(super) fn conv_bias(&mut self, name: &str, input: &str, shape: [usize; 4]) -> String {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.he_normal(&weight, &shape, shape[1..].iter().product());
        self.constant(&bias, &shape[..1], 0.0);
        let output = format!("{name}/out");
        let sides = Attribute::Ints(vec![shape[2] as i64, shape[3] as i64]);
        let attributes = [("kernel_shape", sides)];
        self.node("Conv", name, &[input, &weight, &bias], &output, &attributes)
    }

    /// 2x2 max pooling with stride 2.
    pub(super) fn max_pool(&mut self, name: &str, input: &str) -> String {
        let two = || Attribute::Ints(vec![2, 2]);
        let attributes = [("kernel_shape", two()), ("strides", two())];
        self.node(
            "MaxPool",
            name,
            &[input],
            &format!("{name}/out"),
            &attributes,
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
        self.node("Relu", &relu, &[input], &format!("{relu}/out"), &[])
    }

    /// Mean over pixels, then a classifier: the end of the network.
    pub(super) fn classify(&mut self, input: &str, features: usize, classes: usize) {
        let pooled = self.node("GlobalAveragePool", "pool", &[input], "pool/out", &[]);
        let flat = self.node("Flatten", "flatten", &[&pooled], "flatten/out", &[]);
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
            &[("transB", Attribute::Int(1))],
        )
    }

    pub(super) fn finish(self) -> Model {
        self.model.finish()
    }
}

/// The shape with a dynamic batch in front.
fn with_batch(shape: &[usize]) -> Vec<Dim> {
    let batch = std::iter::once(Dim::Named("N".to_string()));
    batch
        .chain(shape.iter().map(|&size| Dim::Fixed(size)))
        .collect()
}

/// Checks that an image has channels and pixels, and that there are classes.
pub(super) fn check(input: [usize; 3], classes: usize) -> Result<()> {
    if input.contains(&0) || classes == 0 {
        return Err(OnnxError::Architecture {
            reason: format!("expected an image and classes, got {input:?} and {classes}"),
        });
    }
    Ok(())
}
