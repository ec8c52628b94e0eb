//! A chain equals its blocks one after the other.

use proptest::prelude::*;
use secateur_cpu::block::{self, BlockSpec};
use secateur_cpu::conv::{Activation, ConvShape};

use crate::common::{TOLERANCE, assert_close, on_every_level, random};

fn link(image: [usize; 3], channels: [usize; 2], kernel: usize, stride: usize) -> ConvShape {
    let groups = if kernel == 3 && channels[0] == channels[1] {
        channels[0]
    } else {
        1
    };
    let pad = kernel / 2;
    ConvShape::new(
        image,
        channels,
        [kernel; 2],
        [stride; 2],
        [pad; 4],
        [1, 1],
        groups,
    )
    .unwrap()
}

/// Expansion, depthwise convolution, projection; some of them.
fn any_chain() -> impl Strategy<Value = (Vec<BlockSpec>, bool)> {
    let sizes = (1..4usize, 1..11usize, 1..11usize, 1..40usize, 1..71usize);
    (
        sizes,
        1..40usize,
        1..3usize,
        0..3usize,
        1..4usize,
        any::<bool>(),
    )
        .prop_map(|((n, h, w, c, inner), out, stride, from, len, residual)| {
            let mut specs = Vec::new();
            let mut image = [n, h, w];
            for (channels, kernel, stride) in [
                ([c, inner], 1, 1),
                ([inner, inner], 3, stride),
                ([inner, out], 1, 1),
            ] {
                let conv = link(image, channels, kernel, stride);
                image = [n, conv.out_h(), conv.out_w()];
                specs.push(BlockSpec {
                    conv,
                    eps: 1e-5,
                    activation: [Activation::Relu6, Activation::Relu, Activation::None]
                        [specs.len()],
                    pool: false,
                });
            }
            let specs: Vec<BlockSpec> = specs.into_iter().skip(from).take(len).collect();
            (specs, residual)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn it_equals_its_blocks_in_turn((specs, has_residual) in any_chain(), seed in 0..1000u64) {
        let first = specs.first().unwrap();
        let last = specs.last().unwrap();
        let x = random(seed, first.conv.x_len());
        let w: Vec<f32> = random(seed + 1, specs.iter().map(|s| s.conv.w_len()).sum());
        let bias: Vec<f32> = random(seed + 2, specs.iter().map(|s| s.conv.c_out).sum());
        let len: usize = last.output_shape().iter().product();
        let residual = has_residual.then(|| random(seed + 3, len));
        on_every_level(|level| {
            let mut expected = x.clone();
            let (mut w_at, mut bias_at) = (0, 0);
            for (i, spec) in specs.iter().enumerate() {
                let (own, own_bias) = (&w[w_at..][..spec.conv.w_len()], &bias[bias_at..][..spec.conv.c_out]);
                let mut y = vec![f32::NAN; spec.output_shape().iter().product()];
                let residual = residual.as_deref().filter(|_| i + 1 == specs.len());
                block::forward_folded_residual(spec, &expected, own, own_bias, residual, &mut y);
                expected = y;
                w_at += spec.conv.w_len();
                bias_at += spec.conv.c_out;
            }
            let mut y = vec![f32::NAN; len];
            block::forward_chain(&specs, &x, &w, &bias, residual.as_deref(), &mut y);
            let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
            assert_close(level, &y, &expected, TOLERANCE);
        });
    }
}

#[test]
#[should_panic(expected = "no chain")]
fn blocks_that_do_not_follow_each_other_are_refused() {
    let spec = |channels| BlockSpec {
        conv: link([1, 4, 4], channels, 1, 1),
        eps: 0.0,
        activation: Activation::None,
        pool: false,
    };
    let specs = [spec([3, 5]), spec([4, 2])];
    block::forward_chain(
        &specs,
        &[0.0; 48],
        &[0.0; 23],
        &[0.0; 7],
        None,
        &mut [0.0; 32],
    );
}
