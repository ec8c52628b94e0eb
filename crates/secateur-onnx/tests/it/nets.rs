//! One small network for each structural idea of published CNNs.
//!
//! `a` and `b` are free sizes; every network takes `[n, 3, 6, 6]` unless it says
//! otherwise, and has something to prune.

use secateur_onnx::arch::{MobileNetConfig, ResNetConfig, mobilenet_v2, resnet};
use secateur_onnx::model::Model;

use crate::build::{Attr, Net};

/// Name, builder.
pub type Template = (&'static str, fn(u64, usize, usize) -> Model);

pub const TEMPLATES: &[Template] = &[
    ("plain", plain),
    ("flattened", flattened),
    ("residual", residual),
    ("residual with padded shortcut", padded_shortcut),
    ("dense", dense),
    ("inverted bottleneck", inverted_bottleneck),
    ("grouped", grouped),
    ("grouped with one output each", grouped_to_single),
    ("shuffle", shuffle),
    ("shuffle of dynamic size", dynamic_shuffle),
    ("split without sizes", even_split),
    ("split by attribute", attribute_split),
    ("slices", slices),
    ("slices by attribute", attribute_slices),
    ("picked channels", picked),
    ("squeeze and excite", squeeze_excite),
    ("squeeze and excite through a matrix", linear_gate),
    ("u-net", u_net),
    ("grouped transposed convolution", grouped_transpose),
    ("depthwise transposed convolution", depthwise_transpose),
    ("pixel shuffle", pixel_shuffle),
    ("space to depth", space_to_depth),
    ("channels last", channels_last),
    ("stored transpose", stored_transpose),
    ("activations", activations),
    ("normalisations", normalisations),
    ("attention", attention),
    ("expanded gate", expanded_gate),
    ("expanded by a computed shape", computed_expand),
    ("resized", resized),
    ("shared constants", shared_constants),
    ("reductions", reductions),
    ("tiled", tiled),
    ("old attributes", old_attributes),
    ("view by computed channels", computed_view),
    ("built residual network", built_resnet),
    ("built mobile network", built_mobilenet),
];

fn built_resnet(seed: u64, a: usize, b: usize) -> Model {
    let config = ResNetConfig {
        input: [3, 6, 6],
        blocks: b.min(2),
        width: a,
        classes: 3,
    };
    resnet(&config, seed).unwrap()
}

fn built_mobilenet(seed: u64, a: usize, _: usize) -> Model {
    let config = MobileNetConfig {
        input: [3, 6, 6],
        width_percent: 4 * a,
        classes: 3,
    };
    mobilenet_v2(&config, seed).unwrap()
}

fn plain(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let x = net.node("MaxPool", &[&x], &[("kernel_shape", Attr::Is(&[2, 2]))]);
    let x = net.conv_bn_relu(&x, a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn flattened(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let strides = [
        ("kernel_shape", Attr::Is(&[3, 3])),
        ("strides", Attr::Is(&[3, 3])),
    ];
    let x = net.node("AveragePool", &[&x], &strides);
    let target = net.ints(&[-1, (a * 4) as i64]);
    let x = net.node("Reshape", &[&x, &target], &[]);
    let weights = net.weights(&[a * 4, b]);
    let x = net.node("MatMul", &[&x, &weights], &[]);
    let bias = net.weights(&[b]);
    let x = net.node("Add", &[&x, &bias], &[]);
    let x = net.relu(&x);
    let x = net.linear(&x, b, 3);
    net.finish(&x)
}

fn residual(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let stem = net.conv_bn_relu(&x, 3, a, 3);
    let y = net.conv_bn_relu(&stem, a, b, 3);
    let y = net.conv(&y, b, a, 3, 1);
    let y = net.batch_norm(&y, a);
    let x = net.node("Add", &[&y, &stem], &[]);
    let x = net.relu(&x);
    let short = net.conv(&x, a, b, 1, 1);
    let y = net.conv_bn_relu(&x, a, b, 3);
    let x = net.node("Sum", &[&y, &short], &[]);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn padded_shortcut(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let pads = net.ints(&[0, 1, 0, 0, 0, b as i64, 0, 0]);
    let short = net.node("Pad", &[&x, &pads], &[]);
    let y = net.conv(&x, a, a + b + 1, 3, 1);
    let x = net.node("Add", &[&short, &y], &[]);
    let x = net.relu(&x);
    let x = net.classify(&x, a + b + 1);
    net.finish(&x)
}

fn dense(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let mut x = net.conv(&x, 3, a, 3, 1);
    let mut c = a;
    for _ in 0..3 {
        let y = net.batch_norm(&x, c);
        let y = net.relu(&y);
        let y = net.conv(&y, c, b, 3, 1);
        x = net.node("Concat", &[&x, &y], &[("axis", Attr::I(1))]);
        c += b;
    }
    let x = net.classify(&x, c);
    net.finish(&x)
}

fn inverted_bottleneck(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let y = net.conv_bn_relu(&x, a, 2 * b, 1);
    let y = net.conv(&y, 2 * b, 2 * b, 3, 2 * b);
    let y = net.batch_norm(&y, 2 * b);
    let y = net.node("HardSwish", &[&y], &[]);
    let y = net.conv(&y, 2 * b, a, 1, 1);
    let x = net.node("Add", &[&x, &y], &[]);
    // Depthwise with a multiplier.
    let x = net.conv(&x, a, 2 * a, 3, a);
    let x = net.classify(&x, 2 * a);
    net.finish(&x)
}

fn grouped(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let (c, d) = (2 * (a + 1), 2 * (b + 1));
    let x = net.conv_bn_relu(&x, 3, c, 1);
    let x = net.conv(&x, c, d, 3, 2);
    let x = net.relu(&x);
    let x = net.conv(&x, d, c, 1, 1);
    let x = net.classify(&x, c);
    net.finish(&x)
}

fn grouped_to_single(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, 3 * a, 1);
    let x = net.conv(&x, 3 * a, a, 3, a);
    let x = net.conv_bn_relu(&x, a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

/// A unit of ShuffleNetV2: split, work on one half, concatenate, shuffle.
fn shuffle_unit(net: &mut Net, x: &str, half: usize, shapes: [&str; 2]) -> String {
    let sizes = net.ints(&[half as i64, half as i64]);
    let parts = net.nodes("Split", &[x, &sizes], &[("axis", Attr::I(1))], 2);
    let y = net.conv_bn_relu(&parts[1], half, half, 1);
    let y = net.conv(&y, half, half, 3, half);
    let y = net.conv_bn_relu(&y, half, half, 1);
    let x = net.node("Concat", &[&parts[0], &y], &[("axis", Attr::I(1))]);
    let x = net.node("Reshape", &[&x, shapes[0]], &[]);
    let x = net.node("Transpose", &[&x], &[("perm", Attr::Is(&[0, 2, 1, 3, 4]))]);
    net.node("Reshape", &[&x, shapes[1]], &[])
}

fn shuffle(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let half = 2 * a;
    let mut x = net.conv_bn_relu(&x, 3, 2 * half, 3);
    // Both units share their constants, as exporters do.
    let shapes = [
        net.ints(&[-1, 2, half as i64, 6, 6]),
        net.ints(&[-1, 2 * half as i64, 6, 6]),
    ];
    for _ in 0..2 {
        x = shuffle_unit(&mut net, &x, half, [&shapes[0], &shapes[1]]);
    }
    let x = net.conv_bn_relu(&x, 2 * half, b, 1);
    let x = net.classify(&x, b);
    net.finish(&x)
}

/// The batch, read from the shape of a value, followed by constants.
fn dynamic_shape(net: &mut Net, of: &str, rest: &[i64]) -> String {
    let shape = net.node("Shape", &[of], &[]);
    let zero = net.scalar(0);
    let batch = net.node("Gather", &[&shape, &zero], &[("axis", Attr::I(0))]);
    let axes = net.ints(&[0]);
    let mut parts = vec![net.node("Unsqueeze", &[&batch, &axes], &[])];
    for &extent in rest {
        parts.push(net.ints(&[extent]));
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    net.node("Concat", &parts, &[("axis", Attr::I(0))])
}

fn dynamic_shuffle(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let half = 2 * a;
    let mut x = net.conv_bn_relu(&x, 3, 2 * half, 3);
    let split = dynamic_shape(&mut net, &x, &[2, half as i64, 6, 6]);
    let joined = dynamic_shape(&mut net, &x, &[2 * half as i64, 6, 6]);
    for _ in 0..2 {
        x = shuffle_unit(&mut net, &x, half, [&split, &joined]);
    }
    let x = net.conv_bn_relu(&x, 2 * half, b, 1);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn even_split(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 18);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, 2 * a, 3);
    let options = [("axis", Attr::I(1)), ("num_outputs", Attr::I(2))];
    let parts = net.nodes("Split", &[&x], &options, 2);
    let left = net.conv(&parts[0], a, b, 3, 1);
    let right = net.conv(&parts[1], a, b, 1, 1);
    let x = net.node("Mul", &[&left, &right], &[]);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn attribute_split(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 11);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a + b, 3);
    let sizes = [a as i64, b as i64];
    let options = [("axis", Attr::I(1)), ("split", Attr::Is(&sizes))];
    let parts = net.nodes("Split", &[&x], &options, 2);
    let even = net.nodes("Split", &[&parts[0]], &[("axis", Attr::I(2))], 3);
    let left = net.node(
        "Concat",
        &[&even[1], &even[0], &even[2]],
        &[("axis", Attr::I(2))],
    );
    let left = net.conv(&left, a, b, 3, 1);
    let x = net.node("Add", &[&left, &parts[1]], &[]);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn slices(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 13);
    let x = net.input(&[-1, 3, 6, 6]);
    let c = a + b + 2;
    let x = net.conv_bn_relu(&x, 3, c, 3);
    let axes = net.ints(&[1]);
    let (zero, end) = (net.ints(&[0]), net.ints(&[i64::MAX]));
    let (front, back) = (net.ints(&[a as i64]), net.ints(&[-(b as i64)]));
    let left = net.node("Slice", &[&x, &zero, &front, &axes], &[]);
    let middle = net.node("Slice", &[&x, &front, &back, &axes], &[]);
    let right = net.node("Slice", &[&x, &back, &end, &axes], &[]);
    let left = net.conv(&left, a, b, 3, 1);
    let y = net.node("Add", &[&left, &right], &[]);
    let x = net.node("Concat", &[&y, &middle], &[("axis", Attr::I(1))]);
    let x = net.classify(&x, b + 2);
    net.finish(&x)
}

fn attribute_slices(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 9);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a + b, 3);
    let (middle, all) = ([a as i64], [(a + b) as i64]);
    let options = [
        ("axes", Attr::Is(&[1])),
        ("starts", Attr::Is(&[0])),
        ("ends", Attr::Is(&middle)),
    ];
    let left = net.node("Slice", &[&x], &options);
    let options = [
        ("axes", Attr::Is(&[1])),
        ("starts", Attr::Is(&middle)),
        ("ends", Attr::Is(&all)),
    ];
    let right = net.node("Slice", &[&x], &options);
    let left = net.conv(&left, a, 4, 3, 1);
    let right = net.conv(&right, b, 4, 3, 1);
    let x = net.node("Max", &[&left, &right], &[]);
    let x = net.classify(&x, 4);
    net.finish(&x)
}

fn picked(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let c = a + b;
    let x = net.conv_bn_relu(&x, 3, c, 3);
    // Every second channel, then some again.
    let picks: Vec<i64> = (0..c as i64).step_by(2).chain([-1, 0]).collect();
    let indices = net.ints(&picks);
    let y = net.node("Gather", &[&x, &indices], &[("axis", Attr::I(1))]);
    let y = net.conv(&y, picks.len(), b, 3, 1);
    let x = net.conv(&x, c, b, 1, 1);
    let x = net.node("Add", &[&x, &y], &[]);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn squeeze_excite(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let gate = net.node("GlobalAveragePool", &[&x], &[]);
    let gate = net.conv(&gate, a, b, 1, 1);
    let gate = net.relu(&gate);
    let gate = net.conv(&gate, b, a, 1, 1);
    let gate = net.node("HardSigmoid", &[&gate], &[]);
    let x = net.node("Mul", &[&gate, &x], &[]);
    let x = net.conv_bn_relu(&x, a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn linear_gate(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let axes = net.ints(&[-1, -2]);
    let gate = net.node(
        "ReduceMean",
        &[&x],
        &[("axes", Attr::Is(&[2, 3])), ("keepdims", Attr::I(0))],
    );
    let gate = net.linear(&gate, a, b);
    let gate = net.relu(&gate);
    let gate = net.linear(&gate, b, a);
    let gate = net.node("Sigmoid", &[&gate], &[]);
    let gate = net.node("Unsqueeze", &[&gate, &axes], &[]);
    let x = net.node("Mul", &[&x, &gate], &[]);
    let x = net.classify(&x, a);
    net.finish(&x)
}

fn u_net(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let top = net.conv_bn_relu(&x, 3, a, 3);
    let options = [
        ("kernel_shape", Attr::Is(&[2, 2])),
        ("strides", Attr::Is(&[2, 2])),
    ];
    let low = net.node("MaxPool", &[&top], &options);
    let low = net.conv_bn_relu(&low, a, b, 3);
    let weights = net.weights(&[b, a, 2, 2]);
    let bias = net.weights(&[a]);
    let options = [("strides", Attr::Is(&[2, 2]))];
    let up = net.node("ConvTranspose", &[&low, &weights, &bias], &options);
    let x = net.node("Concat", &[&top, &up], &[("axis", Attr::I(1))]);
    let x = net.conv_bn_relu(&x, 2 * a, b, 3);
    // A map of 2 classes.
    let x = net.conv(&x, b, 2, 1, 1);
    net.finish(&x)
}

fn grouped_transpose(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let (c, d) = (2 * (a + 1), b + 1);
    let x = net.conv_bn_relu(&x, 3, c, 3);
    let weights = net.weights(&[c, d, 2, 2]);
    let bias = net.weights(&[2 * d]);
    let options = [("strides", Attr::Is(&[2, 2])), ("group", Attr::I(2))];
    let x = net.node("ConvTranspose", &[&x, &weights, &bias], &options);
    let x = net.classify(&x, 2 * d);
    net.finish(&x)
}

fn depthwise_transpose(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let weights = net.weights(&[a, 2, 2, 2]);
    let bias = net.weights(&[2 * a]);
    let options = [("strides", Attr::Is(&[2, 2])), ("group", Attr::I(a as i64))];
    let x = net.node("ConvTranspose", &[&x, &weights, &bias], &options);
    let x = net.conv_bn_relu(&x, 2 * a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn pixel_shuffle(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, 4 * a, 3);
    let y = net.node("DepthToSpace", &[&x], &[("blocksize", Attr::I(2))]);
    let options = [("blocksize", Attr::I(2)), ("mode", Attr::S("CRD"))];
    let z = net.node("DepthToSpace", &[&x], &options);
    let y = net.conv(&y, a, b, 3, 1);
    let z = net.conv(&z, a, b, 3, 1);
    let x = net.node("Sub", &[&y, &z], &[]);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn space_to_depth(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let x = net.node("SpaceToDepth", &[&x], &[("blocksize", Attr::I(2))]);
    let x = net.conv_bn_relu(&x, 4 * a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn channels_last(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    // As TensorFlow's exporter writes it.
    let x = net.input(&[-1, 6, 6, 3]);
    let x = net.node("Transpose", &[&x], &[("perm", Attr::Is(&[0, 3, 1, 2]))]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let x = net.node("Transpose", &[&x], &[("perm", Attr::Is(&[0, 2, 3, 1]))]);
    let weights = net.weights(&[a, b]);
    let x = net.node("MatMul", &[&x, &weights], &[]);
    let bias = net.weights(&[b]);
    let x = net.node("Add", &[&bias, &x], &[]);
    let x = net.relu(&x);
    let axes = net.ints(&[1, 2]);
    let x = net.node("ReduceSum", &[&x, &axes], &[("keepdims", Attr::I(0))]);
    let x = net.linear(&x, b, 3);
    net.finish(&x)
}

fn stored_transpose(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let kernel = net.weights(&[a, 3, 3, 3]);
    let kernel = net.node("Identity", &[&kernel], &[]);
    let x = net.node("Conv", &[&x, &kernel], &[]);
    let x = net.relu(&x);
    let x = net.node("GlobalMaxPool", &[&x], &[]);
    let x = net.node("Flatten", &[&x], &[]);
    let weights = net.weights(&[b, a]);
    let weights = net.node("Transpose", &[&weights], &[]);
    let x = net.node("MatMul", &[&x, &weights], &[]);
    let x = net.relu(&x);
    let x = net.linear(&x, b, 3);
    net.finish(&x)
}

fn activations(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv(&x, 3, a, 3, 1);
    let slope = net.weights(&[a, 1, 1]);
    let x = net.node("PRelu", &[&x, &slope], &[]);
    let x = net.conv(&x, a, b, 3, 1);
    // SiLU, as exporters write it.
    let gate = net.node("Sigmoid", &[&x], &[]);
    let x = net.node("Mul", &[&x, &gate], &[]);
    let x = net.conv(&x, b, a, 3, 1);
    let (low, high) = (net.floats(&[], &[0.0]), net.floats(&[], &[6.0]));
    let x = net.node("Clip", &[&x, &low, &high], &[]);
    let scale = net.weights(&[1, a, 1, 1]);
    let x = net.node("Mul", &[&x, &scale], &[]);
    let half = net.floats(&[], &[0.5]);
    let x = net.node("Mul", &[&half, &x], &[]);
    let x = net.node("Tanh", &[&x], &[]);
    let x = net.node("LeakyRelu", &[&x], &[("alpha", Attr::F(0.2))]);
    let x = net.classify(&x, a);
    net.finish(&x)
}

fn normalisations(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv(&x, 3, a, 3, 1);
    let (scale, shift) = (net.weights(&[a]), net.weights(&[a]));
    let x = net.node("InstanceNormalization", &[&x, &scale, &shift], &[]);
    let x = net.conv_bn_relu(&x, a, 4, 3);
    // Group normalisation, as exporters write it: those channels stay.
    let target = net.ints(&[0, 2, -1]);
    let y = net.node("Reshape", &[&x, &target], &[]);
    let (ones, zeros) = (net.floats(&[2], &[1.0; 2]), net.floats(&[2], &[0.0; 2]));
    let y = net.node("InstanceNormalization", &[&y, &ones, &zeros], &[]);
    let shape = net.node("Shape", &[&x], &[]);
    let x = net.node("Reshape", &[&y, &shape], &[]);
    let x = net.conv_bn_relu(&x, 4, b, 3);
    let x = net.node("Transpose", &[&x], &[("perm", Attr::Is(&[0, 2, 3, 1]))]);
    let (scale, shift) = (net.weights(&[b]), net.weights(&[b]));
    let x = net.node("LayerNormalization", &[&x, &scale, &shift], &[]);
    let x = net.node("Transpose", &[&x], &[("perm", Attr::Is(&[0, 3, 1, 2]))]);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn attention(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let target = net.ints(&[0, a as i64, -1]);
    let tokens = net.node("Reshape", &[&x, &target], &[]);
    let tokens = net.node("Transpose", &[&tokens], &[("perm", Attr::Is(&[0, 2, 1]))]);
    let parts: Vec<String> = (0..3)
        .map(|_| {
            let weights = net.weights(&[a, b]);
            net.node("MatMul", &[&tokens, &weights], &[])
        })
        .collect();
    let keys = net.node("Transpose", &[&parts[1]], &[("perm", Attr::Is(&[0, 2, 1]))]);
    let scores = net.node("MatMul", &[&parts[0], &keys], &[]);
    let scores = net.node("Softmax", &[&scores], &[("axis", Attr::I(-1))]);
    let mixed = net.node("MatMul", &[&scores, &parts[2]], &[]);
    let weights = net.weights(&[b, a]);
    let mixed = net.node("MatMul", &[&mixed, &weights], &[]);
    let tokens = net.node("Add", &[&tokens, &mixed], &[]);
    let axes = [("axes", Attr::Is(&[1])), ("keepdims", Attr::I(0))];
    let x = net.node("ReduceMax", &[&tokens], &axes);
    let x = net.linear(&x, a, 3);
    net.finish(&x)
}

fn expanded_gate(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[2, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let gate = net.node("GlobalAveragePool", &[&x], &[]);
    let shape = net.ints(&[2, a as i64, 6, 6]);
    let gate = net.node("Expand", &[&gate, &shape], &[]);
    let x = net.node("Mul", &[&gate, &x], &[]);
    // A constant map, repeated over the channels.
    let map = net.weights(&[1, 1, 6, 6]);
    let map = net.node("Expand", &[&map, &shape], &[]);
    let x = net.node("Add", &[&x, &map], &[]);
    let x = net.conv_bn_relu(&x, a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn computed_expand(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let gate = net.node("GlobalMaxPool", &[&x], &[]);
    let shape = net.node("Shape", &[&x], &[]);
    let gate = net.node("Expand", &[&gate, &shape], &[]);
    let ones = net.node("ConstantOfShape", &[&shape], &[]);
    let gate = net.node("Add", &[&gate, &ones], &[]);
    let x = net.node("Mul", &[&x, &gate], &[]);
    let x = net.conv_bn_relu(&x, a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn resized(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let scales = net.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
    let y = net.node("Resize", &[&x, "", &scales], &[]);
    let sizes = net.ints(&[1, a as i64, 12, 12]);
    let z = net.node("Resize", &[&x, "", "", &sizes], &[]);
    let x = net.node("Concat", &[&y, &z], &[("axis", Attr::I(1))]);
    let x = net.conv_bn_relu(&x, 2 * a, b, 1);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn shared_constants(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, 6, 6]);
    // Two convolutions with the same weights, and two reshapes with the same target.
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let kernel = net.weights(&[b, a, 3, 3]);
    let pads = [("pads", Attr::Is(&[1, 1, 1, 1]))];
    let left = net.node("Conv", &[&x, &kernel], &pads);
    let x = net.node("Tanh", &[&x], &[]);
    let right = net.node("Conv", &[&x, &kernel], &pads);
    let target = net.ints(&[-1, b as i64, 36]);
    let left = net.node("Reshape", &[&left, &target], &[]);
    let other = net.conv(&x, a, b, 1, 1);
    let other = net.node("Reshape", &[&other, &target], &[]);
    let right = net.node("Reshape", &[&right, &target], &[]);
    let x = net.node("Mul", &[&left, &right], &[]);
    let sum = [("axes", Attr::Is(&[-1])), ("keepdims", Attr::I(0))];
    let x = net.node("ReduceMean", &[&x], &sum);
    let other = net.node("ReduceMean", &[&other], &sum);
    let x = net.linear(&x, b, 3);
    let other = net.linear(&other, b, 3);
    let x = net.node("Add", &[&x, &other], &[]);
    net.finish(&x)
}

fn reductions(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 13);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    // Attention over pixels, from the mean and the maximum over channels.
    let over = [("axes", Attr::Is(&[1]))];
    let mean = net.node("ReduceMean", &[&x], &over);
    let max = net.node("ReduceMax", &[&x], &over);
    let map = net.node("Concat", &[&mean, &max], &[("axis", Attr::I(1))]);
    let map = net.conv(&map, 2, 1, 3, 1);
    let map = net.node("Sigmoid", &[&map], &[]);
    let x = net.node("Mul", &[&x, &map], &[]);
    let x = net.conv_bn_relu(&x, a, b, 3);
    let x = net.classify(&x, b);
    net.finish(&x)
}

fn tiled(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 13);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let repeats = net.ints(&[1, 2, 1, 1]);
    let x = net.node("Tile", &[&x, &repeats], &[]);
    let x = net.conv_bn_relu(&x, 2 * a, b, 3);
    let x = net.node("GlobalAveragePool", &[&x], &[]);
    let axes = net.ints(&[2, 3]);
    let x = net.node("Squeeze", &[&x, &axes], &[]);
    let x = net.linear(&x, b, 3);
    net.finish(&x)
}

fn old_attributes(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 9);
    let x = net.input(&[-1, 3, 6, 6]);
    let x = net.conv_bn_relu(&x, 3, a, 3);
    let behind = [0, 0, 0, 0, 0, b as i64, 0, 0];
    let short = net.node("Pad", &[&x], &[("pads", Attr::Is(&behind))]);
    let y = net.conv(&x, a, a + b, 3, 1);
    let x = net.node("Add", &[&short, &y], &[]);
    let scales = net.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
    let x = net.node("Upsample", &[&x, &scales], &[]);
    let x = net.node("GlobalAveragePool", &[&x], &[]);
    let x = net.node("Squeeze", &[&x], &[("axes", Attr::Is(&[2, 3]))]);
    let x = net.node("Unsqueeze", &[&x], &[("axes", Attr::Is(&[2, 3]))]);
    let x = net.node("Flatten", &[&x], &[]);
    let x = net.linear(&x, a + b, 3);
    net.finish(&x)
}

fn computed_view(seed: u64, a: usize, b: usize) -> Model {
    let mut net = Net::new(seed, 17);
    let x = net.input(&[-1, 3, -1, -1]);
    let x = net.conv_bn_relu(&x, 3, 2 * a, 3);
    // [n, c, h, w] to [n, c, h · w] with c and n read from the value.
    let shape = net.node("Shape", &[&x], &[]);
    let (zero, two) = (net.ints(&[0]), net.ints(&[2]));
    let front = net.node("Slice", &[&shape, &zero, &two], &[]);
    let rest = net.ints(&[-1]);
    let target = net.node("Concat", &[&front, &rest], &[("axis", Attr::I(0))]);
    let y = net.node("Reshape", &[&x, &target], &[]);
    let mean = [("axes", Attr::Is(&[2])), ("keepdims", Attr::I(0))];
    let y = net.node("ReduceMean", &[&y], &mean);
    let y = net.linear(&y, 2 * a, b);
    // Halves by computed bounds, as `chunk` is written for dynamic shapes.
    let one = net.scalar(1);
    let channels = net.node("Gather", &[&shape, &one], &[("axis", Attr::I(0))]);
    let axes = net.ints(&[0]);
    let channels = net.node("Unsqueeze", &[&channels, &axes], &[]);
    let half = net.node("Div", &[&channels, &two], &[]);
    let along = net.ints(&[1]);
    let left = net.node("Slice", &[&x, &zero, &half, &along], &[]);
    let right = net.node("Slice", &[&x, &half, &channels, &along], &[]);
    let x = net.conv(&left, a, b, 3, 1);
    let z = net.conv(&right, a, b, 3, 1);
    let x = net.node("Add", &[&x, &z], &[]);
    let x = net.node("GlobalAveragePool", &[&x], &[]);
    let x = net.node("Flatten", &[&x], &[]);
    let x = net.node("Add", &[&x, &y], &[]);
    let x = net.linear(&x, b, 3);
    net.finish(&x)
}
