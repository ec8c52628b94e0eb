//! Shapes of single operators, as their specifications say.

use secateur_onnx::graph::{Dim, Graph};
use secateur_onnx::shape::{infer, infer_shapes};

use crate::build::{Attr, Net};

/// An input that a node reads.
enum Input<'a> {
    /// Floats of that shape.
    Floats(&'a [usize]),
    /// A stored vector.
    Ints(&'a [i64]),
}
use Input::{Floats, Ints};

/// Extents of the outputs of `op_type`, 0 for those that are not known.
fn shapes(
    op_type: &str,
    inputs: &[Input],
    attributes: &[(&str, Attr)],
    outputs: usize,
) -> Vec<Vec<usize>> {
    let mut net = Net::new(1, 22);
    let x = net.input(&[2, 3, 4, 5]);
    let names: Vec<String> = inputs
        .iter()
        .map(|input| match input {
            // The model's own input stands for the first image.
            Floats([2, 3, 4, 5]) => x.clone(),
            Floats(shape) => net.weights(shape),
            Ints(values) => net.ints(values),
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let made = net.nodes(op_type, &names, attributes, outputs);
    let model = net.finish(&made[0]);
    let known = infer_shapes(&Graph::from_model(&model).unwrap(), None).unwrap();
    let extents = |name: &String| {
        let shape = known.get(name).map_or(&[][..], Vec::as_slice);
        shape.iter().map(|dim| dim.fixed().unwrap_or(0)).collect()
    };
    let shapes = made.iter().map(extents).collect();
    assert!(known.values().flatten().all(|dim| *dim != Dim::Unknown));
    shapes
}

const IMAGE: Input = Floats(&[2, 3, 4, 5]);

#[test]
fn operators_give_the_shapes_of_their_specifications() {
    let check =
        |op_type: &str, inputs: &[Input], attributes: &[(&str, Attr)], expected: &[&[usize]]| {
            let found = shapes(op_type, inputs, attributes, expected.len());
            assert_eq!(found, expected, "{op_type}");
        };
    check(
        "TopK",
        &[IMAGE, Ints(&[2])],
        &[("axis", Attr::I(1))],
        &[&[2, 2, 4, 5], &[2, 2, 4, 5]],
    );
    check(
        "OneHot",
        &[Floats(&[2, 7]), Ints(&[9]), Ints(&[0, 1])],
        &[],
        &[&[2, 7, 9]],
    );
    check(
        "GridSample",
        &[IMAGE, Floats(&[2, 6, 7, 2])],
        &[],
        &[&[2, 3, 6, 7]],
    );
    let pooled = [("output_height", Attr::I(6)), ("output_width", Attr::I(7))];
    check(
        "RoiAlign",
        &[IMAGE, Floats(&[9, 4]), Ints(&[0; 9])],
        &pooled,
        &[&[9, 3, 6, 7]],
    );
    let pooled = [("pooled_shape", Attr::Is(&[6, 7]))];
    check(
        "MaxRoiPool",
        &[IMAGE, Floats(&[9, 5])],
        &pooled,
        &[&[9, 3, 6, 7]],
    );
    check(
        "AffineGrid",
        &[Floats(&[2, 2, 3]), Ints(&[2, 3, 6, 7])],
        &[],
        &[&[2, 6, 7, 2]],
    );
    let window = [
        ("kernel_shape", Attr::Is(&[2, 2])),
        ("strides", Attr::Is(&[2, 2])),
    ];
    check(
        "MaxUnpool",
        &[IMAGE, Floats(&[2, 3, 4, 5])],
        &window,
        &[&[2, 3, 8, 10]],
    );
    check(
        "Col2Im",
        &[Floats(&[2, 12, 9]), Ints(&[4, 4]), Ints(&[2, 2])],
        &[],
        &[&[2, 3, 4, 4]],
    );
    check(
        "DeformConv",
        &[IMAGE, Floats(&[6, 3, 3, 3]), Floats(&[2, 18, 2, 3])],
        &[],
        &[&[2, 6, 2, 3]],
    );
    check(
        "ScatterND",
        &[IMAGE, Floats(&[7, 1]), Floats(&[7, 3, 4, 5])],
        &[],
        &[&[2, 3, 4, 5]],
    );
    check(
        "ScatterElements",
        &[IMAGE, Floats(&[1, 3, 4, 5]), Floats(&[1, 3, 4, 5])],
        &[],
        &[&[2, 3, 4, 5]],
    );
    check(
        "GatherElements",
        &[IMAGE, Floats(&[2, 3, 4, 2])],
        &[("axis", Attr::I(3))],
        &[&[2, 3, 4, 2]],
    );
    check(
        "GatherND",
        &[IMAGE, Floats(&[2, 7, 1])],
        &[("batch_dims", Attr::I(1))],
        &[&[2, 7, 4, 5]],
    );
    check(
        "Compress",
        &[IMAGE, Ints(&[1, 0, 1])],
        &[("axis", Attr::I(1))],
        &[&[2, 0, 4, 5]],
    );
    check("Compress", &[IMAGE, Ints(&[1, 0, 1])], &[], &[&[0]]);
    check(
        "NonMaxSuppression",
        &[Floats(&[1, 9, 4]), Floats(&[1, 2, 9])],
        &[],
        &[&[0, 3]],
    );
    check("NonZero", &[IMAGE], &[], &[&[4, 0]]);
    check("NonZero", &[Ints(&[3, 0, 4])], &[], &[&[1, 2]]);
    check("Unique", &[IMAGE], &[], &[&[0], &[0], &[0], &[0]]);
    check("CumProd", &[IMAGE, Ints(&[2])], &[], &[&[2, 3, 4, 5]]);
    check("Det", &[Floats(&[2, 3, 4, 4])], &[], &[&[2, 3]]);
    check("Trilu", &[IMAGE], &[], &[&[2, 3, 4, 5]]);
    let axes = [("axes", Attr::Is(&[2, 3]))];
    check(
        "CenterCropPad",
        &[IMAGE, Ints(&[6, 2])],
        &axes,
        &[&[2, 3, 6, 2]],
    );
    let axis = [("axis", Attr::I(1)), ("onesided", Attr::I(1))];
    check(
        "DFT",
        &[Floats(&[2, 10, 1]), Ints(&[10]), Ints(&[1])],
        &axis,
        &[&[2, 6, 2]],
    );
    check(
        "STFT",
        &[Floats(&[2, 20, 1]), Ints(&[4]), Floats(&[8])],
        &[],
        &[&[2, 4, 5, 2]],
    );
    check("HannWindow", &[Ints(&[8])], &[], &[&[8]]);
    check(
        "MelWeightMatrix",
        &[Ints(&[5]), Ints(&[16])],
        &[],
        &[&[9, 5]],
    );
    check("EyeLike", &[Floats(&[3, 4])], &[], &[&[3, 4]]);
    check(
        "RandomNormal",
        &[],
        &[("shape", Attr::Is(&[3, 4]))],
        &[&[3, 4]],
    );
    check(
        "Multinomial",
        &[Floats(&[2, 7])],
        &[("sample_size", Attr::I(9))],
        &[&[2, 9]],
    );
    check("MatMul", &[IMAGE, Floats(&[5])], &[], &[&[2, 3, 4]]);
    check("MatMul", &[Floats(&[4]), IMAGE], &[], &[&[2, 3, 5]]);
    let equation = |text| [("equation", Attr::S(text))];
    check(
        "Einsum",
        &[IMAGE, Floats(&[6, 3])],
        &equation("bchw,oc->bohw"),
        &[&[2, 6, 4, 5]],
    );
    check(
        "Einsum",
        &[IMAGE, Floats(&[5, 7])],
        &equation("...w,wk"),
        &[&[2, 3, 4, 7]],
    );
    let (q, k) = (Floats(&[2, 8, 12]), Floats(&[2, 9, 6]));
    let v = Floats(&[2, 9, 10]);
    let heads = [("q_num_heads", Attr::I(4)), ("kv_num_heads", Attr::I(2))];
    let expected: [&[usize]; 4] = [&[2, 8, 20], &[2, 2, 9, 3], &[2, 2, 9, 5], &[2, 4, 8, 9]];
    check("Attention", &[q, k, v], &heads, &expected);
    let hidden = [("hidden_size", Attr::I(5))];
    let states: [&[usize]; 3] = [&[6, 1, 2, 5], &[1, 2, 5], &[1, 2, 5]];
    check(
        "LSTM",
        &[Floats(&[6, 2, 4]), Floats(&[1, 20, 4]), Floats(&[1, 20, 5])],
        &hidden,
        &states,
    );
}

/// What a chain of operators makes of the integers that it begins with.
#[test]
fn integers_are_followed_at_any_rank() {
    let mut net = Net::new(1, 17);
    let x = net.input(&[2, 3, 4, 5]);
    // As exporters write the pads of the last axes: pairs from the last axis to the first.
    let pads = net.ints(&[1, 2, 3, 4]);
    let zeros = net.ints(&[4]);
    let zeros = net.node("ConstantOfShape", &[&zeros], &[]);
    let zeros = net.node("Cast", &[&zeros], &[("to", Attr::I(7))]);
    let all = net.node("Concat", &[&pads, &zeros], &[("axis", Attr::I(0))]);
    let pairs = net.ints(&[-1, 2]);
    let all = net.node("Reshape", &[&all, &pairs], &[]);
    let (first, end, axis) = (net.ints(&[-1]), net.ints(&[i64::MIN]), net.ints(&[0]));
    let all = net.node("Slice", &[&all, &first, &end, &axis, &first], &[]);
    let all = net.node("Transpose", &[&all], &[("perm", Attr::Is(&[1, 0]))]);
    let flat = net.ints(&[-1]);
    let all = net.node("Reshape", &[&all, &flat], &[]);
    let padded = net.node("Pad", &[&x, &all], &[]);
    // Parts of a matrix, and their sum along an axis.
    let matrix = net.node("Reshape", &[&pads, &pairs], &[]);
    let parts = net.nodes("Split", &[&matrix], &[("axis", Attr::I(1))], 2);
    let sum = net.node("Add", &[&parts[0], &parts[1]], &[]);
    let zero = net.ints(&[0]);
    let sum = net.node("ReduceSum", &[&sum, &zero], &[("keepdims", Attr::I(0))]);
    let model = net.finish(&padded);
    let known = infer(&Graph::from_model(&model).unwrap(), None).unwrap();
    let fixed: Vec<_> = known.shapes[&padded].iter().map(Dim::fixed).collect();
    assert_eq!(fixed, [Some(2), Some(3), Some(4 + 3 + 4), Some(5 + 1 + 2)]);
    assert_eq!(known.values[&sum].known(), Some(vec![10]));
}

/// A size that is computed in floating point, as of an image that is scaled by a factor.
#[test]
fn fractions_are_rounded_as_files_round_them() {
    for (op_type, expected) in [("Floor", 7), ("Ceil", 8), ("Round", 8), ("Cast", 7)] {
        let mut net = Net::new(1, 17);
        let x = net.input(&[2, 3, 4, 5]);
        let shape = net.node("Shape", &[&x], &[]);
        let width = net.scalar(3);
        let width = net.node("Gather", &[&shape, &width], &[]);
        let width = net.node("Cast", &[&width], &[("to", Attr::I(1))]);
        let factor = net.floats(&[], &[1.5]);
        let width = net.node("Mul", &[&width, &factor], &[]);
        let width = match op_type {
            "Cast" => width,
            _ => net.node(op_type, &[&width], &[]),
        };
        let width = net.node("Cast", &[&width], &[("to", Attr::I(7))]);
        let model = net.finish(&width);
        let known = infer(&Graph::from_model(&model).unwrap(), None).unwrap();
        assert_eq!(
            known.values[&width].known(),
            Some(vec![expected]),
            "{op_type}"
        );
        let sources = &known.values[&width].elements[0].sources;
        assert_eq!(sources, &[(x.clone(), 3)], "{op_type}");
    }
}

/// A padding that exporters keep from being negative, with either bound or both left out.
#[test]
fn sizes_are_kept_between_their_bounds() {
    for (lower, upper, expected) in [
        (Some(0.0), None, 0),
        (None, Some(-4.0), -4),
        (Some(-2.5), Some(9.0), -2),
        (None, None, -3),
        (Some(2.0), Some(1.0), 1),
    ] {
        let mut net = Net::new(1, 17);
        let x = net.input(&[2, 3, 4, 5]);
        let shape = net.node("Shape", &[&x], &[]);
        let width = net.scalar(3);
        let width = net.node("Gather", &[&shape, &width], &[]);
        let width = net.node("Cast", &[&width], &[("to", Attr::I(1))]);
        let eight = net.floats(&[], &[8.0]);
        let missing = net.node("Sub", &[&width, &eight], &[]);
        let bounds = [lower, upper].map(|bound| match bound {
            Some(bound) => net.floats(&[], &[bound]),
            None => String::new(),
        });
        let clipped = net.node("Clip", &[&missing, &bounds[0], &bounds[1]], &[]);
        let clipped = net.node("Cast", &[&clipped], &[("to", Attr::I(7))]);
        let model = net.finish(&clipped);
        let known = infer(&Graph::from_model(&model).unwrap(), None).unwrap();
        let element = &known.values[&clipped].elements[0];
        assert_eq!(
            element.number.known(),
            Some(expected),
            "{lower:?} {upper:?}"
        );
        assert_eq!(element.sources, [(x.clone(), 3)], "{lower:?} {upper:?}");
    }
}
