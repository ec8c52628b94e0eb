use proptest::prelude::*;
use secateur_cpu::conv::{self, Activation, ConvShape, Method};

use crate::common::{
    any_conv, assert_sum_close, common_conv, on_every_level, on_every_level_and_method, random,
    same3x3, small_images,
};
use crate::reference;

fn check(shape: &ConvShape, seed: u64) {
    let x = random(seed, shape.x_len());
    let w = random(seed + 1, shape.w_len());
    let bias = random(seed + 2, shape.c_out);
    let dy = random(seed + 3, shape.y_len());
    let wide: Vec<f64> = dy.iter().map(|&v| f64::from(v)).collect();
    let y_ref = reference::conv_forward(shape, &x, &w, None, Activation::None);
    let relu_ref = reference::conv_forward(shape, &x, &w, Some(&bias), Activation::Relu);
    let dx_ref = reference::conv_input_gradient(shape, &wide, &w);
    let dw_ref = reference::conv_weight_gradient(shape, &x, &wide);
    let db_ref = reference::column_sums(&wide, shape.c_out);
    let window = shape.kernel_size[0] * shape.kernel_size[1];
    // What a sum is over: the products of an output, of an input's gradient, of a weight's.
    let forward = window * shape.c_in / shape.groups;
    let back = window * shape.c_out / shape.groups;
    let pixels = shape.y_len() / shape.c_out;
    on_every_level_and_method(|level| {
        // NaN marks what a routine forgets to write.
        let mut y = vec![f32::NAN; shape.y_len()];
        conv::forward(shape, &x, &w, None, Activation::None, &mut y);
        assert_sum_close(&format!("{level} y"), &y, &y_ref, forward);
        conv::forward(shape, &x, &w, Some(&bias), Activation::Relu, &mut y);
        assert_sum_close(&format!("{level} relu(y + b)"), &y, &relu_ref, forward);
        let mut dx = vec![f32::NAN; x.len()];
        conv::input_gradient(shape, &dy, &w, &mut dx);
        assert_sum_close(&format!("{level} dx"), &dx, &dx_ref, back);
        let mut dw = vec![f32::NAN; w.len()];
        conv::weight_gradient(shape, &x, &dy, &mut dw);
        assert_sum_close(&format!("{level} dw"), &dw, &dw_ref, pixels);
        let mut db = vec![f32::NAN; bias.len()];
        conv::bias_gradient(shape, &dy, &mut db);
        assert_sum_close(&format!("{level} db"), &db, &db_ref, pixels);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_convolution_equals_the_reference(shape in any_conv(), seed in 0..1000u64) {
        check(&shape, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn common_convolutions_equal_the_reference(shape in common_conv(), seed in 0..1000u64) {
        check(&shape, seed);
    }

    #[test]
    fn many_small_images_equal_the_reference(shape in small_images(), seed in 0..1000u64) {
        check(&shape, seed);
    }
}

#[test]
fn large_images_are_cut_into_bands() {
    for (n, h, w, ci, co, k) in [
        (1, 150, 140, 3, 8, 3),
        (2, 61, 64, 40, 5, 5),
        (1, 300, 7, 20, 9, 1),
    ] {
        let shape =
            ConvShape::new([n, h, w], [ci, co], [k, k], [1, 1], [k / 2; 4], [1, 1], 1).unwrap();
        check(&shape, 7);
    }
    // Padding below only: the last band alone sees it.
    let shape = ConvShape::new(
        [1, 200, 60],
        [16, 4],
        [4, 1],
        [1, 1],
        [0, 0, 3, 0],
        [1, 1],
        1,
    )
    .unwrap();
    check(&shape, 8);
}

#[test]
fn small_images_are_computed_side_by_side_if_there_are_many() {
    let at = |n, side, channels| conv::method(&same3x3([n, side, side], [channels; 2]));
    assert_eq!(at(32, 2, 32), Method::Across);
    assert_eq!(at(32, 1, 32), Method::Across);
    assert_eq!(at(4, 2, 32), Method::Direct);
    assert_eq!(at(32, 2, 8), Method::Direct);
    assert_eq!(at(32, 4, 32), Method::Winograd4);
}

#[test]
fn nan_is_kept_by_the_activation() {
    let shape = same3x3([1, 4, 4], [1, 1]);
    on_every_level(|level| {
        let mut y = vec![0.0; 16];
        conv::forward(
            &shape,
            &[f32::NAN; 16],
            &[1.0; 9],
            None,
            Activation::Relu,
            &mut y,
        );
        assert!(y.iter().all(|y| y.is_nan()), "{level}: {y:?}");
    });
}

#[test]
#[should_panic(expected = "`w`: expected 18 values, got 17")]
fn wrong_lengths_are_refused() {
    let shape = same3x3([1, 4, 4], [1, 2]);
    conv::forward(
        &shape,
        &[0.0; 16],
        &[0.0; 17],
        None,
        Activation::None,
        &mut [0.0; 32],
    );
}

#[test]
#[should_panic(expected = "expected a multiple of 3 groups")]
fn a_shape_changed_by_hand_is_checked_again() {
    let mut shape = same3x3([1, 4, 4], [1, 2]);
    shape.groups = 3;
    conv::forward(
        &shape,
        &[0.0; 16],
        &[0.0; 18],
        None,
        Activation::None,
        &mut [0.0; 32],
    );
}

#[test]
fn the_method_follows_the_shape() {
    let of = |side: usize, ci: usize, co: usize, k: usize, groups: usize| {
        let (image, channels) = ([4, side, side], [ci, co]);
        let pads = [k / 2; 4];
        let shape = ConvShape::new(image, channels, [k, k], [1, 1], pads, [1, 1], groups);
        conv::method(&shape.unwrap())
    };
    assert_eq!(of(28, 32, 32, 3, 1), Method::Winograd4);
    assert_eq!(of(7, 20, 24, 3, 1), Method::Winograd4);
    // Few channels, sides that cannot be cut, large kernels, images too large for the cache.
    assert_eq!(of(28, 1, 32, 3, 1), Method::Direct);
    assert_eq!(of(5, 32, 32, 3, 1), Method::Direct);
    assert_eq!(of(28, 32, 32, 5, 1), Method::Direct);
    assert_eq!(of(224, 64, 64, 3, 1), Method::Direct);
    assert_eq!(of(28, 32, 32, 1, 1), Method::Pointwise);
    assert_eq!(of(28, 32, 32, 3, 32), Method::Depthwise);
    assert_eq!(of(28, 32, 32, 3, 4), Method::Direct);
}
