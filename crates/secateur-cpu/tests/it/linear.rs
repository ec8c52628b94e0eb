use proptest::prelude::*;
use secateur_cpu::conv::{Activation, ConvShape};
use secateur_cpu::linear;

use crate::common::{assert_sum_close, on_every_level, random};
use crate::reference;

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn linear_equals_the_reference(
        n in 1..140usize, c_in in 1..150usize, c_out in 1..90usize, seed in 0..1000u64,
    ) {
        let shape =
            ConvShape::new([n, 1, 1], [c_in, c_out], [1, 1], [1, 1], [0; 4], [1, 1], 1).unwrap();
        let (x, w) = (random(seed, n * c_in), random(seed + 1, c_out * c_in));
        let (bias, dy) = (random(seed + 2, c_out), random(seed + 3, n * c_out));
        let wide: Vec<f64> = dy.iter().map(|&v| f64::from(v)).collect();
        let y_ref = reference::conv_forward(&shape, &x, &w, Some(&bias), Activation::Relu);
        on_every_level(|level| {
            let mut y = vec![f32::NAN; n * c_out];
            linear::forward(n, c_in, c_out, &x, &w, Some(&bias), Activation::Relu, &mut y);
            assert_sum_close(level, &y, &y_ref, c_in);
            let (mut dx, mut dw, mut db) =
                (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()], vec![f32::NAN; c_out]);
            linear::backward(n, c_in, c_out, &x, &w, &dy, Some(&mut dx), &mut dw, Some(&mut db));
            assert_sum_close(level, &dx, &reference::conv_input_gradient(&shape, &wide, &w), c_out);
            assert_sum_close(level, &dw, &reference::conv_weight_gradient(&shape, &x, &wide), n);
            assert_sum_close(level, &db, &reference::column_sums(&wide, c_out), n);
        });
    }
}

#[test]
#[should_panic(expected = "`x`: expected 6 values, got 5")]
fn wrong_lengths_are_refused() {
    linear::forward(
        2,
        3,
        1,
        &[0.0; 5],
        &[0.0; 3],
        None,
        Activation::None,
        &mut [0.0; 2],
    );
}
