//! Times whole training steps and inference passes of some networks, at batch 128 (16 of large images).
//!
//! `cargo run --release -p secateur-net --example steps -- [net ...] [--steps N]` prints a
//! table for `vgg`, `slim`, `tiny`, `resnet`, `mobile`, `vgg16`, or classifiers in ONNX files. With `--serve` it answers requests
//! `<net> <train|infer> <steps>` on standard input with lines of JSON, so that another
//! program can run two sides in turn (`tools/bench-pytorch`).

#[path = "../benches/nets/mod.rs"]
mod nets;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use secateur_cpu::{isa, memory, peak};
use secateur_net::Inputs;
use secateur_net::data::{Augment, BatchSampler, Part};
use secateur_net::extension::time_in_routines;
use secateur_net::pass::Bound;
use secateur_net::task::Against;
use secateur_net::task::{self, Task};
use secateur_net::train::{
    Optimizer, OptimizerConfig, Schedule, ScheduleKind, Slice, StepObserver, train_slice,
};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;

use nets::{Failure, NETS, batch, build, images, random};

/// A network with everything that a step needs.
struct Case {
    network: Interpreter,
    task: Arc<dyn Task>,
    weights: Weights,
    optimizer: Optimizer,
    sampler: BatchSampler,
    data: Part,
    /// Images of a step.
    batch: usize,
    bound: Bound,
}

/// What some steps took.
#[derive(Default)]
struct Times {
    seconds: Vec<f64>,
    /// Share spent outside the routines of `secateur-cpu`.
    outside: f64,
    /// Blocks of memory that had to be taken from the system.
    allocations: usize,
    /// Most bytes in buffers at once.
    peak: usize,
}

/// Notes when steps end. The first one is not counted: with it begins the thread that prepares
/// batches, and it waits for one.
struct Clock {
    last: Option<Instant>,
    routines: Duration,
    seconds: Vec<f64>,
}

impl StepObserver for Clock {
    fn step(&mut self, _: usize, _: usize, _: f32) -> bool {
        let now = Instant::now();
        match self.last {
            Some(last) => self.seconds.push((now - last).as_secs_f64()),
            None => self.routines = time_in_routines(),
        }
        self.last = Some(now);
        true
    }
}

impl Case {
    fn new(name: &str) -> Result<Self, Failure> {
        let (model, [c, h, w]) = build(name)?;
        let graph = Graph::from_model(&model)?;
        let task = task::find(&graph, Against::Labels, None)?;
        let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
        let weights = Weights::from_graph(&graph)?;
        let (data, batch) = (random([h, w, c]), batch([h, w, c]));
        Ok(Self {
            bound: network.bind_inference(&weights)?,
            network,
            task,
            weights,
            optimizer: Optimizer::new(OptimizerConfig::default()),
            sampler: BatchSampler::new(data.len(), batch, 3),
            data,
            batch,
        })
    }

    /// Seconds of each step, and the time in routines before the first.
    fn train(&mut self, steps: usize) -> Result<(Vec<f64>, Duration), Failure> {
        let slice = Slice {
            network: &self.network,
            task: self.task.as_ref(),
            data: &self.data,
            schedule: Schedule {
                kind: ScheduleKind::OneCycle,
                peak: 0.01,
                steps: steps + 1,
            },
            done: 0,
            smoothing: 0.0,
            augment: Augment::default(),
            teacher: None,
            collector: None,
        };
        let mut clock = Clock {
            last: None,
            routines: time_in_routines(),
            seconds: Vec::with_capacity(steps),
        };
        let (optimizer, sampler) = (&mut self.optimizer, &mut self.sampler);
        train_slice(&slice, &mut self.weights, optimizer, sampler, &mut clock)?;
        Ok((clock.seconds, clock.routines))
    }

    fn infer(&mut self, steps: usize) -> Result<Vec<f64>, Failure> {
        let batch = images(&self.data);
        (0..steps)
            .map(|_| {
                let start = Instant::now();
                let images = batch.clone();
                self.network
                    .forward_inference(&self.bound, Inputs::images(images, self.batch))?;
                Ok(start.elapsed().as_secs_f64())
            })
            .collect()
    }

    fn time(&mut self, kind: &str, steps: usize) -> Result<Times, Failure> {
        memory::reset_peak();
        let mut before = (time_in_routines(), memory::usage().n_allocations);
        let seconds = match kind {
            "train" => {
                let (seconds, routines) = self.train(steps)?;
                before.0 = routines;
                seconds
            }
            "infer" => self.infer(steps)?,
            other => {
                return Err(format!("cannot time `{other}`: expected train or infer").into());
            }
        };
        let inside = (time_in_routines() - before.0).as_secs_f64();
        Ok(Times {
            outside: 1.0 - inside / seconds.iter().sum::<f64>(),
            allocations: memory::usage().n_allocations - before.1,
            peak: memory::usage().peak_bytes,
            seconds,
        })
    }
}

fn answer(cases: &mut HashMap<String, Case>, request: &str) -> Result<String, Failure> {
    let parts: Vec<&str> = request.split_whitespace().collect();
    let &[name, kind, steps] = parts.as_slice() else {
        return Err("expected `<net> <train|infer> <steps>`".into());
    };
    if !cases.contains_key(name) {
        cases.insert(name.to_string(), Case::new(name)?);
    }
    let case = cases.get_mut(name).ok_or("the net was just inserted")?;
    case.time(kind, 2)?;
    let times = case.time(kind, steps.parse()?)?;
    let (outside, allocations, peak) = (times.outside, times.allocations, times.peak);
    let seconds = times.seconds;
    Ok(format!(
        "{{\"seconds\": {seconds:?}, \"outside\": {outside}, \"allocations\": {allocations}, \
         \"peak_buffers\": {peak}, \"peak_rss\": {}}}",
        peak_rss()
    ))
}

/// The process's largest memory so far, in bytes; 0 where the system does not tell.
fn peak_rss() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next())
        .and_then(|kib| kib.parse::<usize>().ok())
        .map_or(0, |kib| kib * 1024)
}

fn serve() -> Result<(), Failure> {
    let threads = rayon::current_num_threads();
    println!(
        "{{\"level\": \"{}\", \"threads\": {threads}}}",
        isa::active()
    );
    let mut cases = HashMap::new();
    for line in std::io::stdin().lock().lines() {
        println!("{}", answer(&mut cases, &line?)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn table(nets: &[String], steps: usize) -> Result<(), Failure> {
    let threads = rayon::current_num_threads();
    let gflops = peak::gflops(threads, 20);
    println!(
        "level {}, {threads} threads, peak {gflops:.0} GFLOP/s",
        isa::active()
    );
    println!("net     pass   least ms  median ms  outside routines  allocations  peak buffers MB");
    for name in nets {
        let mut case = Case::new(name)?;
        for kind in ["train", "infer"] {
            case.time(kind, 3)?;
            let times = case.time(kind, steps)?;
            let mut ms: Vec<f64> = times.seconds.iter().map(|s| s * 1e3).collect();
            ms.sort_by(f64::total_cmp);
            println!(
                "{name:<7} {kind:<6} {:>8.2} {:>10.2} {:>16.1}% {:>12} {:>16.1}",
                ms[0],
                ms[ms.len() / 2],
                100.0 * times.outside,
                times.allocations,
                times.peak as f64 / 1e6,
            );
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut nets = Vec::new();
    let mut steps = 10;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--serve" => return serve(),
            "--steps" => steps = arguments.next().ok_or("a number follows")?.parse()?,
            name => nets.push(name.to_string()),
        }
    }
    if nets.is_empty() {
        nets = NETS.map(String::from).to_vec();
    }
    table(&nets, steps)
}
