//! Times the fused blocks of some networks, layer by layer, against the machine's peak.
//!
//! `cargo run --release -p secateur-cpu --example layers -- [net ...] [--batch N] [--rounds N]`
//! with nets `vgg`, `slim`, `tiny`, `resnet`, `mobile`. Prints the least wall time of the
//! rounds; every round times all layers in turn, so that a busy moment hits all alike.
#![allow(clippy::too_many_arguments)]

use std::time::Instant;

use secateur_cpu::block::{self, BlockSpec, InputGradient, Inputs};
use secateur_cpu::conv::{Activation, ConvShape};
use secateur_cpu::{isa, memory, peak};

struct Layer {
    name: String,
    spec: BlockSpec,
    first: bool,
}

fn layer(
    n: usize,
    size: usize,
    ci: usize,
    co: usize,
    k: usize,
    stride: usize,
    groups: usize,
    pool: bool,
) -> Layer {
    let conv = ConvShape::new(
        [n, size, size],
        [ci, co],
        [k, k],
        [stride; 2],
        [k / 2; 4],
        [1, 1],
        groups,
    )
    .expect("sizes of a known net");
    let spec = BlockSpec {
        conv,
        eps: 1e-5,
        activation: Activation::Relu,
        pool,
    };
    let kind = if groups > 1 { "dw" } else { "" };
    let tail = if pool {
        " pool"
    } else if stride > 1 {
        " /2"
    } else {
        ""
    };
    Layer {
        name: format!("{k}x{k}{kind} {size}x{size} {ci}->{co}{tail}"),
        spec,
        first: false,
    }
}

/// A plain stack: channels per layer, 0 for a pooling after the last one.
fn plain(n: usize, widths: &[usize]) -> Vec<Layer> {
    let mut layers = Vec::new();
    let (mut size, mut ci) = (28, 1);
    for (i, &co) in widths.iter().enumerate() {
        if co == 0 {
            continue;
        }
        let pool = widths.get(i + 1) == Some(&0);
        layers.push(layer(n, size, ci, co, 3, 1, 1, pool));
        ci = co;
        if pool {
            size /= 2;
        }
    }
    layers[0].first = true;
    layers
}

fn net(name: &str, n: usize) -> Vec<Layer> {
    match name {
        "vgg" => plain(n, &[32, 32, 0, 64, 64, 0, 128, 128, 128, 0]),
        "slim" => plain(n, &[8, 16, 0, 16, 16, 0, 24, 24, 24, 0]),
        "tiny" => plain(n, &[5, 6, 0, 10, 10, 0, 20, 20, 20, 0]),
        "resnet" => {
            let mut layers = vec![layer(n, 32, 3, 16, 3, 1, 1, false)];
            layers[0].first = true;
            layers.extend((0..6).map(|_| layer(n, 32, 16, 16, 3, 1, 1, false)));
            layers.push(layer(n, 32, 16, 32, 3, 2, 1, false));
            layers.push(layer(n, 32, 16, 32, 1, 2, 1, false));
            layers.extend((0..5).map(|_| layer(n, 16, 32, 32, 3, 1, 1, false)));
            layers.push(layer(n, 16, 32, 64, 3, 2, 1, false));
            layers.push(layer(n, 16, 32, 64, 1, 2, 1, false));
            layers.extend((0..5).map(|_| layer(n, 8, 64, 64, 3, 1, 1, false)));
            layers
        }
        "mobile" => vec![
            layer(n, 32, 16, 96, 1, 1, 1, false),
            layer(n, 32, 96, 96, 3, 2, 96, false),
            layer(n, 16, 96, 24, 1, 1, 1, false),
            layer(n, 16, 24, 144, 1, 1, 1, false),
            layer(n, 16, 144, 144, 3, 1, 144, false),
            layer(n, 16, 144, 24, 1, 1, 1, false),
            layer(n, 8, 64, 384, 1, 1, 1, false),
            layer(n, 8, 384, 384, 3, 1, 384, false),
            layer(n, 8, 384, 64, 1, 1, 1, false),
        ],
        other => {
            eprintln!("error: unknown net `{other}`: expected vgg, slim, tiny, resnet or mobile");
            std::process::exit(2);
        }
    }
}

struct State {
    layer: Layer,
    x: Vec<f32>,
    w: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    dy: Vec<f32>,
    /// Least seconds: training forward, backward, inference.
    best: [f64; 3],
}

/// Values in about -1..1 that differ enough.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
        })
        .collect()
}

fn main() {
    let mut nets = Vec::new();
    let (mut batch, mut rounds) = (128, 15);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            arguments
                .next()
                .and_then(|v| v.parse().ok())
                .expect("a number follows")
        };
        match argument.as_str() {
            "--batch" => batch = number(),
            "--rounds" => rounds = number(),
            name => nets.push(name.to_string()),
        }
    }
    if nets.is_empty() {
        nets = ["vgg", "slim", "tiny"].map(String::from).to_vec();
    }
    let threads = rayon::current_num_threads();
    println!("level {}, {threads} threads, batch {batch}", isa::active());
    println!("peak {:.0} GFLOP/s", peak::gflops(threads, 20));
    for name in nets {
        run(&name, batch, rounds);
    }
}

fn run(name: &str, batch: usize, rounds: usize) {
    let mut states: Vec<State> = net(name, batch).into_iter().map(State::new).collect();
    memory::reset_peak();
    let mut warm = 0;
    for round in 0..rounds {
        if round == 2 {
            warm = memory::usage().n_allocations;
        }
        states.iter_mut().for_each(State::measure);
    }
    print(name, &states);
    let peak_mb = memory::usage().peak_bytes as f64 / 1e6;
    let new = memory::usage().n_allocations - warm;
    println!(
        "peak of buffers beside the layers' inputs: {peak_mb:.0} MB; {new} allocated when warm"
    );
}

impl State {
    fn new(layer: Layer) -> Self {
        let s = layer.spec.conv;
        Self {
            x: values(s.x_len(), 1),
            w: values(s.w_len(), 2),
            gamma: values(s.c_out, 3).iter().map(|g| g.abs() + 0.5).collect(),
            beta: values(s.c_out, 4),
            dy: values(layer.spec.output_shape().iter().product(), 5),
            best: [f64::INFINITY; 3],
            layer,
        }
    }

    /// Runs all three passes once.
    fn measure(&mut self) {
        let spec = &self.layer.spec;
        let start = Instant::now();
        let inputs = Inputs::new(&self.x, &self.w, &self.gamma, &self.beta);
        let (mut y, saved) = block::forward_train(spec, &inputs, None, None);
        self.best[0] = self.best[0].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let dx = if self.layer.first {
            InputGradient::Unwanted
        } else {
            InputGradient::Own
        };
        block::backward(spec, &inputs, &saved, &self.dy, dx, None, None);
        self.best[1] = self.best[1].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        block::forward_folded(spec, &self.x, &self.w, &self.beta, &mut y);
        self.best[2] = self.best[2].min(start.elapsed().as_secs_f64());
    }
}

fn print(name: &str, states: &[State]) {
    println!("\n{name}: ms (GFLOP/s of the convolution's own flops)");
    println!(
        "{:<28} {:>15} {:>15} {:>15}",
        "layer", "forward", "backward", "inference"
    );
    for t in states {
        let flops = 2.0 * t.layer.spec.conv.macs() as f64;
        let passes = [1.0, if t.layer.first { 1.0 } else { 2.0 }, 1.0];
        let cell = |i: usize| {
            let rate = passes[i] * flops / t.best[i] / 1e9;
            format!("{:.2} ({rate:.0})", t.best[i] * 1e3)
        };
        println!(
            "{:<28} {:>15} {:>15} {:>15}",
            t.layer.name,
            cell(0),
            cell(1),
            cell(2)
        );
    }
    let ms = [0, 1, 2].map(|i| states.iter().map(|t| t.best[i] * 1e3).sum::<f64>());
    println!(
        "{:<28} {:>15.2} {:>15.2} {:>15.2}",
        "sum", ms[0], ms[1], ms[2]
    );
    println!(
        "training step without optimiser and head: {:.1} ms",
        ms[0] + ms[1]
    );
}
