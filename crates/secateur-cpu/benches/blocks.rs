//! Routines by shape. Items are floating-point operations of the plain convolution (two per
//! multiply-add), so "Gitem/s" reads as GFLOP/s, against `peak`; Winograd may exceed it.
//!
//! `cargo bench -p secateur-cpu -- c64` runs what has 64 channels; `SECATEUR_ISA` and
//! `RAYON_NUM_THREADS` choose level and threads. Whole nets: `--example layers`.

use divan::Bencher;
use divan::counter::ItemsCount;
use secateur_cpu::block::{self, BlockSpec, InputGradient, Inputs};
use secateur_cpu::conv::{Activation, ConvShape, Method, with_method};
use secateur_cpu::matrix::{Half, Operand, add_products};
use secateur_cpu::memory::Buffer;
use secateur_cpu::{isa, linear, peak};

fn main() {
    println!(
        "level {}, {} threads, peak {:.0} GFLOP/s",
        isa::active(),
        rayon::current_num_threads(),
        peak::gflops(rayon::current_num_threads(), 5)
    );
    divan::main();
}

/// Images of a batch.
const BATCH: usize = 128;
/// Rows of a layer that weights are solved on.
const ROWS: usize = 8192;

/// Kernel size, input and output channels, side, stride, groups: as in the names.
type Shape = (usize, usize, usize, usize, usize, usize);

/// `conv3x3_c64_h28`, with `_to`, `_s` and `_dw` where they differ from the common case.
const NAMES: &[(&str, Shape)] = &[
    ("conv3x3_c1to32_h28", (3, 1, 32, 28, 1, 1)),
    ("conv3x3_c32_h28", (3, 32, 32, 28, 1, 1)),
    ("conv3x3_c64_h14", (3, 64, 64, 14, 1, 1)),
    ("conv3x3_c128_h7", (3, 128, 128, 7, 1, 1)),
    ("conv3x3_c16_h14", (3, 16, 16, 14, 1, 1)),
    ("conv3x3_c24_h7", (3, 24, 24, 7, 1, 1)),
    ("conv3x3_c10_h14", (3, 10, 10, 14, 1, 1)),
    ("conv3x3_c5to6_h28", (3, 5, 6, 28, 1, 1)),
    ("conv3x3_c16to32_h32_s2", (3, 16, 32, 32, 2, 1)),
    ("conv1x1_c24to144_h16", (1, 24, 144, 16, 1, 1)),
    ("conv1x1_c144to24_h16", (1, 144, 24, 16, 1, 1)),
    ("conv3x3_c144_h16_dw", (3, 144, 144, 16, 1, 144)),
    ("conv5x5_c20_h14", (5, 20, 20, 14, 1, 1)),
];

fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

struct Setup {
    spec: BlockSpec,
    x: Buffer,
    w: Buffer,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    dy: Buffer,
}

impl Setup {
    fn new(name: &str) -> Self {
        let found = NAMES.iter().find(|(other, _)| *other == name);
        let &(_, (k, c_in, c_out, side, stride, groups)) = found.expect("a name of the list");
        let (image, channels) = ([BATCH, side, side], [c_in, c_out]);
        let (strides, pads) = ([stride; 2], [k / 2; 4]);
        let conv = ConvShape::new(image, channels, [k, k], strides, pads, [1, 1], groups)
            .expect("a shape that fits");
        let spec = BlockSpec {
            conv,
            eps: 1e-5,
            activation: Activation::Relu,
            pool: false,
        };
        Self {
            x: values(conv.x_len()),
            w: values(conv.w_len()),
            gamma: vec![1.0; c_out],
            beta: vec![0.1; c_out],
            dy: values(conv.y_len()),
            spec,
        }
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs::new(&self.x, &self.w, &self.gamma, &self.beta)
    }

    fn flops(&self, passes: u64) -> ItemsCount {
        ItemsCount::new(2 * passes * self.spec.conv.macs())
    }
}

fn values(len: usize) -> Buffer {
    let mut values = Buffer::get(len);
    for (i, v) in values.iter_mut().enumerate() {
        *v = (i as f32 * 0.618_034).fract() - 0.5;
    }
    values
}

#[divan::bench(args = names())]
fn forward_train(bencher: Bencher<'_, '_>, name: &str) {
    let s = Setup::new(name);
    bencher
        .counter(s.flops(1))
        .bench_local(|| block::forward_train(&s.spec, &s.inputs(), None, None));
}

#[divan::bench(args = names())]
fn backward(bencher: Bencher<'_, '_>, name: &str) {
    let s = Setup::new(name);
    let (_, saved) = block::forward_train(&s.spec, &s.inputs(), None, None);
    bencher.counter(s.flops(2)).bench_local(|| {
        block::backward(
            &s.spec,
            &s.inputs(),
            &saved,
            &s.dy,
            InputGradient::Own,
            None,
            None,
        )
    });
}

fn inference(bencher: Bencher<'_, '_>, s: &Setup) {
    let mut y = Buffer::get(s.dy.len());
    bencher
        .counter(s.flops(1))
        .bench_local(|| block::forward_folded(&s.spec, &s.x, &s.w, &s.beta, &mut y));
}

#[divan::bench(args = names())]
fn forward_folded(bencher: Bencher<'_, '_>, name: &str) {
    inference(bencher, &Setup::new(name));
}

#[divan::bench(args = names())]
fn forward_folded_direct(bencher: Bencher<'_, '_>, name: &str) {
    with_method(Method::Direct, || inference(bencher, &Setup::new(name)));
}

#[divan::bench(args = [(128, 1152, 10), (128, 512, 512)])]
fn linear_forward(bencher: Bencher<'_, '_>, (n, c_in, c_out): (usize, usize, usize)) {
    let (x, w) = (values(n * c_in), values(c_in * c_out));
    let mut y = Buffer::get(n * c_out);
    let flops = ItemsCount::new(2 * n * c_in * c_out);
    bencher.counter(flops).bench_local(|| {
        linear::forward(n, c_in, c_out, &x, &w, None, Activation::None, &mut y);
    });
}

/// The lower half of XᵀX, as solving weights sums it: rows of a layer, by its columns.
#[divan::bench(args = [90, 288, 576, 1152])]
fn gram(bencher: Bencher<'_, '_>, columns: usize) {
    let x = values(ROWS * columns);
    let x = Operand::rows(&x, columns);
    let mut sums = vec![0.0; columns * columns];
    let flops = ItemsCount::new(ROWS * columns * columns);
    bencher.counter(flops).bench_local(|| {
        add_products(1.0, (x, x), ROWS, &mut sums, columns, Half::Lower);
    });
}
