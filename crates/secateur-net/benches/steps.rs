//! Whole training steps and inference passes at batch 128.
//!
//! `cargo bench -p secateur-net -- resnet` runs one network; `SECATEUR_ISA` and
//! `RAYON_NUM_THREADS` choose level and threads. Against PyTorch: `tools/bench-pytorch`.

mod nets;

use std::sync::Arc;

use divan::Bencher;
use nets::{NETS, batch, build, images, random};
use secateur_net::Inputs;
use secateur_net::data::{Augment, BatchSampler};
use secateur_net::task::Against;
use secateur_net::task::{self, Task};
use secateur_net::train::{Optimizer, OptimizerConfig, Schedule, ScheduleKind, Slice, train_slice};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Interpreter};
use secateur_onnx::graph::Graph;

fn main() {
    divan::main();
}

/// A network of the list.
struct Net {
    interpreter: Interpreter,
    task: Arc<dyn Task>,
    weights: Weights,
    /// `[h, w, c]`
    shape: [usize; 3],
}

fn network(name: &str) -> Net {
    let (model, [c, h, w]) = build(name).expect("a network of the list");
    let graph = Graph::from_model(&model).expect("built by us");
    let task = task::find(&graph, Against::Labels, None).expect("a classifier");
    Net {
        interpreter: Interpreter::new(&graph, &task.outputs(), &Engine::fused())
            .expect("can be trained"),
        task,
        weights: Weights::from_graph(&graph).expect("has float weights"),
        shape: [h, w, c],
    }
}

#[divan::bench(args = NETS, sample_count = 10, sample_size = 1)]
fn training_step(bencher: Bencher<'_, '_>, name: &str) {
    let mut net = network(name);
    let data = random(net.shape);
    let mut optimizer = Optimizer::new(OptimizerConfig::default());
    let mut sampler = BatchSampler::new(data.len(), batch(net.shape), 3);
    let mut step = || {
        let slice = Slice {
            network: &net.interpreter,
            task: net.task.as_ref(),
            data: &data,
            schedule: Schedule {
                kind: ScheduleKind::OneCycle,
                peak: 0.01,
                steps: 1,
            },
            done: 0,
            smoothing: 0.0,
            augment: Augment::default(),
            teacher: None,
            collector: None,
        };
        train_slice(
            &slice,
            &mut net.weights,
            &mut optimizer,
            &mut sampler,
            &mut (),
        )
        .expect("a step of a network that can be trained")
    };
    step();
    bencher.bench_local(step);
}

#[divan::bench(args = NETS, sample_count = 10, sample_size = 1)]
fn inference(bencher: Bencher<'_, '_>, name: &str) {
    let net = network(name);
    let bound = net
        .interpreter
        .bind_inference(&net.weights)
        .expect("has its weights");
    let images = images(&random(net.shape));
    let pass = || {
        net.interpreter
            .forward_inference(&bound, Inputs::images(images.clone(), batch(net.shape)))
            .expect("images of the right shape")
    };
    pass();
    bencher.bench_local(pass);
}
