//! A block that normalises what it reads equals two blocks of which each does its own.

use proptest::prelude::*;
use secateur_cpu::block::{self, ActivationStats, BlockSpec, InputGradient, Inputs};
use secateur_cpu::conv::{Activation, ConvShape};

use crate::common::{
    any_conv, common_conv, on_every_level_and_method, random, same3x3, small_images,
};

/// The block before one with this convolution: 3x3 or 1x1, to the same image or, if it is
/// pooled after that, to one twice as high and (with an odd column) as wide.
fn before(conv: &ConvShape, c_in: usize, kernel: usize, pooled: bool) -> ConvShape {
    let (mut h, mut w) = (conv.h, conv.w);
    if pooled {
        (h, w) = (2 * h, 2 * w + 1);
    }
    let (image, channels) = ([conv.n, h, w], [c_in, conv.c_in]);
    ConvShape::new(
        image,
        channels,
        [kernel; 2],
        [1, 1],
        [kernel / 2; 4],
        [1, 1],
        1,
    )
    .unwrap()
}

struct Parameters {
    w: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
}

impl Parameters {
    fn new(spec: &BlockSpec, seed: u64) -> Self {
        Self {
            w: random(seed, spec.conv.w_len()),
            gamma: random(seed + 1, spec.conv.c_out)
                .iter()
                .map(|g| 3.0 * g)
                .collect(),
            beta: random(seed + 2, spec.conv.c_out),
        }
    }

    fn inputs<'a>(&'a self, x: &'a [f32]) -> Inputs<'a> {
        Inputs::new(x, &self.w, &self.gamma, &self.beta)
    }
}

/// Everything that two blocks give.
#[derive(Debug, PartialEq)]
struct Results {
    y: Vec<u32>,
    stats: [ActivationStats; 2],
    gradients: Vec<Vec<u32>>,
    taylor: Vec<f64>,
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn run(specs: [&BlockSpec; 2], x: &[f32], dy: &[f32], is_pending: bool) -> Results {
    let [first, second] = specs;
    let (a, b) = (Parameters::new(first, 10), Parameters::new(second, 20));
    let mut stats = [ActivationStats::default(), ActivationStats::default()];
    let [of_first, of_second] = &mut stats;
    let inputs = a.inputs(x);
    let (middle, saved_first, pending) = if is_pending {
        let own = first.pool.then_some(&mut *of_first);
        let (u, saved, pending) = block::forward_pending(first, &inputs, own, None);
        assert_eq!(pending.is_norm(), !first.pool);
        (u.to_vec(), saved, Some(pending))
    } else {
        let (y, saved) = block::forward_train(first, &inputs, Some(of_first), None);
        (y.to_vec(), saved, None)
    };
    let of_pending = (is_pending && !first.pool).then_some(of_first);
    let next = Inputs {
        pending: pending.as_ref(),
        ..b.inputs(&middle)
    };
    let (y, saved) = block::forward_train(second, &next, Some(of_second), of_pending);
    let back = block::backward(second, &next, &saved, dy, InputGradient::Own, None, None);
    assert_eq!(back.pending_sums.is_some(), is_pending);
    let sums = back.pending_sums.as_deref();
    let dx = back.dx.unwrap();
    let mut taylor = vec![0.0; first.conv.c_out];
    let own = block::backward(
        first,
        &inputs,
        &saved_first,
        &dx,
        InputGradient::Own,
        sums,
        Some(&mut taylor),
    );
    let own_dx = own.dx.unwrap();
    Results {
        y: bits(&y),
        stats,
        gradients: [
            &dx[..],
            &back.dw,
            &back.dgamma,
            &own_dx,
            &own.dw,
            &own.dgamma,
            &own.dbeta,
        ]
        .map(bits)
        .to_vec(),
        taylor,
    }
}

fn check(conv: ConvShape, c_in: usize, kernel: usize, pooled: bool, activations: [Activation; 2]) {
    let spec = |conv, activation| BlockSpec {
        conv,
        eps: 1e-5,
        activation,
        pool: false,
    };
    let first = BlockSpec {
        pool: pooled,
        ..spec(before(&conv, c_in, kernel, pooled), activations[0])
    };
    let second = spec(conv, activations[1]);
    let x = random(1, first.conv.x_len());
    let dy = random(2, second.output_shape().iter().product());
    on_every_level_and_method(|level| {
        let specs = [&first, &second];
        let (plain, pending) = (run(specs, &x, &dy, false), run(specs, &x, &dy, true));
        assert_eq!(plain, pending, "{level}");
    });
}

fn any_activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::None),
        Just(Activation::Relu),
        Just(Activation::Relu6)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn normalising_while_reading_gives_the_same_bits(
        conv in prop_oneof![any_conv(), common_conv(), small_images()],
        c_in in 1..20usize,
        wide in any::<bool>(),
        pooled in any::<bool>(),
        first in any_activation(),
        second in any_activation(),
    ) {
        check(conv, c_in, if wide { 3 } else { 1 }, pooled, [first, second]);
    }
}

#[test]
#[should_panic(expected = "left by a block with another output")]
fn what_is_pending_must_be_of_the_image_read() {
    let conv = same3x3([2, 6, 6], [3, 4]);
    let other = same3x3([2, 6, 5], [3, 4]);
    let spec = |conv| BlockSpec {
        conv,
        eps: 1e-5,
        activation: Activation::Relu,
        pool: false,
    };
    let (first, second) = (spec(before(&conv, 2, 1, false)), spec(other));
    let (a, b) = (Parameters::new(&first, 1), Parameters::new(&second, 2));
    let x = random(3, first.conv.x_len());
    let (_, _, pending) = block::forward_pending(&first, &a.inputs(&x), None, None);
    let y = random(4, second.conv.x_len());
    let inputs = Inputs {
        pending: Some(&pending),
        ..b.inputs(&y)
    };
    block::forward_train(&second, &inputs, None, None);
}
