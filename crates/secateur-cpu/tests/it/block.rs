use proptest::prelude::*;
use secateur_cpu::block::{self, ActivationStats, BlockSpec, InputGradient, Inputs};
use secateur_cpu::conv::{Activation, ConvShape};
use secateur_cpu::isa;
use secateur_cpu::norm::{self, NormSpec};
use secateur_cpu::pool::PoolShape;

use crate::common::{
    TOLERANCE, any_conv, assert_close, assert_close_on_scale, common_conv, on_every_level,
    on_every_level_and_method, random, same3x3, small_images,
};
use crate::reference;

/// Gradients through batch norm subtract sums of the batch: one digit is lost there.
const GRADIENT_TOLERANCE: f64 = 1e-4;
/// Below this distance from a tie, rounding decides which way a gradient goes.
const MARGIN: f64 = 2e-5;
/// Pixels in a batch from which on gradients are compared.
const MIN_PIXELS: usize = 24;

/// A convolution, its batch norm and ReLU, and a pooling or none.
fn relu(conv: ConvShape, pool: bool) -> BlockSpec {
    BlockSpec {
        conv,
        eps: 1e-5,
        activation: Activation::Relu,
        pool,
    }
}

struct Case {
    spec: BlockSpec,
    x: Vec<f32>,
    w: Vec<f32>,
    bias: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    residual: Option<Vec<f32>>,
    dy: Vec<f32>,
}

impl Case {
    fn new(spec: BlockSpec, seed: u64) -> Self {
        let s = &spec.conv;
        Self {
            spec,
            x: random(seed, s.x_len()),
            w: random(seed + 1, s.w_len()),
            bias: random(seed + 2, s.c_out),
            // Wide enough that some outputs exceed 6.
            gamma: random(seed + 3, s.c_out).iter().map(|g| 3.0 * g).collect(),
            beta: random(seed + 4, s.c_out),
            residual: None,
            dy: random(seed + 5, spec.output_shape().iter().product()),
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs {
            bias: Some(&self.bias),
            residual: self.residual.as_deref(),
            ..Inputs::new(&self.x, &self.w, &self.gamma, &self.beta)
        }
    }

    fn forward(&self, stats: Option<&mut ActivationStats>) -> (Vec<f32>, block::Saved) {
        let (y, saved) = block::forward_train(&self.spec, &self.inputs(), stats, None);
        (y.to_vec(), saved)
    }

    fn backward(&self, saved: &block::Saved, taylor: Option<&mut [f64]>) -> block::BlockGradients {
        let (spec, inputs) = (&self.spec, self.inputs());
        block::backward(
            spec,
            &inputs,
            saved,
            &self.dy,
            InputGradient::Own,
            None,
            taylor,
        )
    }

    fn reference(&self) -> reference::Block {
        reference::block(&self.spec, &self.inputs(), &self.dy)
    }

    fn check(&self) {
        let expected = self.reference();
        let c = self.spec.conv.c_out;
        // The gradient of a normalised batch of a few pixels is a difference of almost equal
        // numbers (of one pixel: zero), and so is that of a channel without variance.
        let s = &self.spec.conv;
        let few = s.n * s.out_h() * s.out_w() < MIN_PIXELS;
        let degenerate = few || expected.var.iter().any(|&v| v < 1e-2);
        on_every_level_and_method(|level| {
            let mut stats = ActivationStats::default();
            let (y, saved) = self.forward(Some(&mut stats));
            // Rounding of a mean is that of what is averaged, however near to zero the mean of
            // a single channel comes.
            let deviation = (expected.var.iter().sum::<f64>() / c as f64).sqrt();
            assert_close_on_scale(
                &format!("{level} mean"),
                &saved.mean,
                &expected.mean,
                deviation,
                TOLERANCE,
            );
            assert_close(
                &format!("{level} var"),
                &saved.var,
                &expected.var,
                TOLERANCE,
            );
            if degenerate {
                return;
            }
            assert_close(&format!("{level} y"), &y, &expected.y, GRADIENT_TOLERANCE);
            let mean = &expected.activation_mean;
            assert_close(
                &format!("{level} E[y]"),
                &stats.mean,
                mean,
                GRADIENT_TOLERANCE,
            );
            if expected.margin < MARGIN {
                return;
            }
            if self.spec.activation != Activation::None {
                assert_close(
                    &format!("{level} P[y > 0]"),
                    &stats.positive,
                    &expected.positive,
                    1e-6,
                );
            }
            let mut taylor = vec![1.0; c];
            let g = self.backward(&saved, Some(&mut taylor));
            let taylor: Vec<f32> = taylor.iter().map(|t| (t - 1.0) as f32).collect();
            let close = |what: &str, got: &[f32], expected: &[f64]| {
                assert_close(
                    &format!("{level} {what}"),
                    got,
                    expected,
                    GRADIENT_TOLERANCE,
                );
            };
            let (what, scale) = (format!("{level} dgamma"), expected.dgamma_scale);
            let dgamma = &expected.dgamma;
            assert_close_on_scale(&what, &g.dgamma, dgamma, scale, GRADIENT_TOLERANCE);
            close("dbeta", &g.dbeta, &expected.dbeta);
            let scale = expected.dw_scale;
            let what = format!("{level} dw");
            assert_close_on_scale(&what, &g.dw, &expected.dw, scale, GRADIENT_TOLERANCE);
            close("dx", &g.dx.expect("asked for"), &expected.dx);
            close("taylor", &taylor, &expected.taylor);
            if let Some(dresidual) = &g.dresidual {
                close("dresidual", dresidual, &expected.dresidual);
            }
            assert_eq!(g.dbias, Some(vec![0.0; c]));
        });
    }
}

impl Case {
    /// Inference against the reference's convolution, residual, activation and pooling.
    fn check_folded(&self) {
        let Self {
            spec,
            x,
            w,
            bias,
            residual,
            dy,
            ..
        } = self;
        let s = &spec.conv;
        let mut conv = reference::conv_forward(s, x, w, Some(bias), Activation::None);
        if let Some(residual) = residual {
            conv.iter_mut()
                .zip(residual)
                .for_each(|(y, &r)| *y += f64::from(r));
        }
        // What rounding is relative to: the activation may leave much smaller values.
        let scale = (conv.iter().map(|y| y * y).sum::<f64>() / conv.len() as f64).sqrt();
        reference::activate(&mut conv, spec.activation);
        if spec.pool {
            let image = [s.n, s.out_h(), s.out_w(), s.c_out];
            let pool = PoolShape::new(image, [2, 2], [2, 2], [0; 4], [1, 1], false).unwrap();
            let narrow: Vec<f32> = conv.iter().map(|&v| v as f32).collect();
            conv = reference::max_pool(&pool, &narrow, dy).0;
        }
        on_every_level_and_method(|level| {
            let mut y = vec![f32::NAN; conv.len()];
            block::forward_folded_residual(spec, x, w, bias, residual.as_deref(), &mut y);
            assert_close_on_scale(level, &y, &conv, scale, TOLERANCE);
        });
    }
}

fn any_activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Relu),
        Just(Activation::None),
        Just(Activation::Relu6)
    ]
}

fn any_block(conv: impl Strategy<Value = ConvShape>) -> impl Strategy<Value = BlockSpec> {
    (conv, any_activation(), any::<bool>()).prop_map(|(conv, activation, pool)| {
        let spec = BlockSpec {
            conv,
            eps: 1e-5,
            activation,
            pool,
        };
        BlockSpec {
            pool: pool && spec.check().is_ok(),
            ..spec
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn any_block_equals_the_reference(spec in any_block(any_conv()), seed in 0..1000u64) {
        Case::new(spec, seed).check();
    }

    #[test]
    fn blocks_of_small_images_equal_the_reference(
        spec in any_block(small_images()), seed in 0..1000u64,
    ) {
        Case::new(spec, seed).check();
    }

    #[test]
    fn common_blocks_equal_the_reference(spec in any_block(common_conv()), seed in 0..1000u64) {
        Case::new(spec, seed).check();
    }

    #[test]
    fn blocks_with_a_residual_equal_the_reference(
        spec in any_block(prop_oneof![any_conv(), common_conv(), small_images()]), seed in 0..1000u64,
    ) {
        let spec = BlockSpec { pool: false, ..spec };
        let mut case = Case::new(spec, seed);
        case.residual = Some(random(seed + 6, case.dy.len()));
        case.check();
        case.check_folded();
    }

    #[test]
    fn batch_norm_equals_a_block_of_an_identity(
        n in 2..6usize, pixels in 8..200usize, c in 1..70usize, activation in any_activation(),
        residual in any::<bool>(), seed in 0..1000u64,
    ) {
        check_norm(NormSpec { n, pixels, c, eps: 1e-5, activation }, residual, seed);
    }

    #[test]
    fn folded_inference_equals_the_reference(
        spec in any_block(prop_oneof![any_conv(), common_conv(), small_images()]), seed in 0..1000u64,
    ) {
        Case::new(spec, seed).check_folded();
    }
}

fn check_norm(spec: NormSpec, with_residual: bool, seed: u64) {
    let (n, pixels, c) = (spec.n, spec.pixels, spec.c);
    let conv = ConvShape::new([n, 1, pixels], [c, c], [1, 1], [1, 1], [0; 4], [1, 1], 1).unwrap();
    let block = BlockSpec {
        conv,
        eps: spec.eps,
        activation: spec.activation,
        pool: false,
    };
    let mut case = Case::new(block, seed);
    case.w = (0..c * c)
        .map(|i| if i / c == i % c { 1.0 } else { 0.0 })
        .collect();
    case.bias.fill(0.0);
    case.residual = with_residual.then(|| random(seed + 6, case.x.len()));
    let expected = case.reference();
    let (x, dy, residual) = (&case.x, &case.dy, case.residual.as_deref());
    let (gamma, beta) = (&case.gamma, &case.beta);
    on_every_level(|level| {
        let close = |what: &str, got: &[f32], expected: &[f64]| {
            assert_close(
                &format!("{level} {what}"),
                got,
                expected,
                GRADIENT_TOLERANCE,
            );
        };
        let mut y = vec![f32::NAN; x.len()];
        let mut stats = ActivationStats::default();
        let saved = norm::forward_train(&spec, x, residual, gamma, beta, &mut y, Some(&mut stats));
        close("y", &y, &expected.y);
        close("mean", &saved.mean, &expected.mean);
        close("var", &saved.var, &expected.var);
        close("E[y]", &stats.mean, &expected.activation_mean);
        let scale: Vec<f32> = (0..c)
            .map(|i| gamma[i] / (saved.var[i] + spec.eps).sqrt())
            .collect();
        let shift: Vec<f32> = (0..c).map(|i| beta[i] - saved.mean[i] * scale[i]).collect();
        norm::forward_inference(&spec, x, residual, &scale, &shift, &mut y);
        close("inference", &y, &expected.y);
        if expected.margin < MARGIN {
            return;
        }
        let mut dx = vec![f32::NAN; x.len()];
        let mut dr = vec![f32::NAN; x.len()];
        let mut taylor = vec![0.0; c];
        let g = norm::backward(
            &spec,
            x,
            residual,
            gamma,
            beta,
            &saved,
            dy,
            &mut dx,
            with_residual.then_some(&mut dr[..]),
            Some(&mut taylor),
        );
        close("dgamma", &g.dgamma, &expected.dgamma);
        close("dbeta", &g.dbeta, &expected.dbeta);
        // Through the identity, dx of the block is du.
        close("dx", &dx, &expected.dx);
        if with_residual {
            close("dresidual", &dr, &expected.dresidual);
        }
        let taylor: Vec<f32> = taylor.iter().map(|&t| t as f32).collect();
        close("taylor", &taylor, &expected.taylor);
    });
}

/// E\[x²\] - E\[x\]² in f32 would be off by 100 % here.
#[test]
fn variance_survives_a_large_mean() {
    let conv = ConvShape::new([4, 9, 9], [3, 5], [1, 1], [1, 1], [0; 4], [1, 1], 1).unwrap();
    let spec = BlockSpec {
        conv,
        eps: 1e-5,
        activation: Activation::None,
        pool: false,
    };
    let mut case = Case::new(spec, 3);
    case.x.iter_mut().for_each(|x| *x += 3000.0);
    let expected = case.reference();
    on_every_level(|level| {
        let (_, saved) = case.forward(None);
        // The convolution itself rounds values of some 1e4 to 1e-3.
        assert_close(level, &saved.var, &expected.var, 1e-3);
    });
}

#[test]
fn same_input_same_bits() {
    let conv = same3x3([7, 14, 14], [20, 24]);
    let spec = relu(conv, true);
    let case = Case::new(spec, 11);
    let run = || {
        let (y, saved) = case.forward(None);
        let g = case.backward(&saved, None);
        (
            y,
            saved.mean,
            g.dw.to_vec(),
            g.dgamma,
            g.dx.map(|dx| dx.to_vec()),
        )
    };
    let first = run();
    for _ in 0..5 {
        assert!(first == run(), "results differ from run to run");
    }
}

#[test]
fn thread_counts_agree() {
    /// Promised by the documentation.
    const THREADS_TOLERANCE: f64 = 1e-5;
    let conv = same3x3([9, 14, 14], [20, 24]);
    let spec = relu(conv, true);
    let case = Case::new(spec, 12);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let (y, saved) = case.forward(None);
            let g = case.backward(&saved, None);
            (y, g.dw.to_vec(), g.dx.map(|dx| dx.to_vec()).unwrap())
        })
    };
    let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let (y, dw, dx) = run(1);
    for threads in [2, 3, 5] {
        let other = run(threads);
        assert_close("y", &other.0, &wide(&y), THREADS_TOLERANCE);
        assert_close("dw", &other.1, &wide(&dw), THREADS_TOLERANCE);
        assert_close("dx", &other.2, &wide(&dx), THREADS_TOLERANCE);
    }
}

#[test]
fn the_input_gradient_is_optional() {
    let conv = same3x3([2, 6, 6], [1, 4]);
    let spec = relu(conv, false);
    let case = Case::new(spec, 1);
    let (_, saved) = case.forward(None);
    let with = case.backward(&saved, None);
    let without = block::backward(
        &spec,
        &case.inputs(),
        &saved,
        &case.dy,
        InputGradient::Unwanted,
        None,
        None,
    );
    assert!(without.dx.is_none());
    assert_eq!(*with.dw, *without.dw);
}

#[test]
fn the_input_gradient_is_added_to_another() {
    for (c_in, c_out, stride) in [(3, 5, 1), (16, 24, 2), (32, 32, 1)] {
        let conv = ConvShape::new(
            [3, 9, 7],
            [c_in, c_out],
            [3, 3],
            [stride, stride],
            [1; 4],
            [1, 1],
            1,
        )
        .unwrap();
        let spec = relu(conv, false);
        let case = Case::new(spec, 1);
        let other = random(9, case.x.len());
        on_every_level_and_method(|_| {
            let (_, saved) = case.forward(None);
            let own = case.backward(&saved, None);
            let added = InputGradient::AddedTo(&other);
            let sum = block::backward(&spec, &case.inputs(), &saved, &case.dy, added, None, None);
            let expected: Vec<f32> = own
                .dx
                .unwrap()
                .iter()
                .zip(&other)
                .map(|(a, b)| a + b)
                .collect();
            assert_eq!(*sum.dx.unwrap(), *expected);
            assert_eq!(*sum.dw, *own.dw);
        });
    }
}

#[test]
#[should_panic(expected = "expected at least 2x2 pixels, got 1x6")]
fn nothing_to_pool_is_refused() {
    let conv = ConvShape::new([1, 1, 6], [1, 1], [1, 1], [1, 1], [0; 4], [1, 1], 1).unwrap();
    let spec = relu(conv, true);
    let case = Case::new(spec, 1);
    case.forward(None);
}

#[test]
fn levels_are_known() {
    assert!(isa::available().contains(&isa::active()));
}
