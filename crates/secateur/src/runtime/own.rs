//! Models in the interpreter that training uses: what the other engines cannot run.

use std::time::{Duration, Instant};

use secateur_net::pass::Bound;
use secateur_net::weights::Weights;
use secateur_net::{Engine, Inputs, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use super::panics::caught;
use super::{Feed, Inference, Output, Runtime, threads_text};

/// Our own interpreter. It takes one input of images.
pub(super) struct Own;

struct Loaded {
    network: Interpreter,
    bound: Bound,
    /// `[n, h, w, c]`
    images: Vec<f32>,
    n: usize,
}

impl Runtime for Own {
    fn describe(&self) -> String {
        let threads = threads_text(rayon::current_num_threads());
        format!("secateur's own interpreter, {threads}")
    }

    fn load(&self, model: &Model, _: usize, feeds: &[Feed]) -> Result<Box<dyn Inference>, String> {
        let [feed] = feeds else {
            return Err(format!("it takes one input, the file has {}", feeds.len()));
        };
        let &[n, ..] = feed.shape.as_slice() else {
            return Err("it takes images".to_string());
        };
        let graph = Graph::from_model(model).map_err(text)?;
        let names: Vec<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
        let network = Interpreter::new(&graph, &names, &Engine::fused()).map_err(text)?;
        let input = network.image_input().map_err(text)?;
        let [c, h, w] = input.shape;
        if feed.shape[1..].iter().product::<usize>() != c * h * w {
            return Err(format!("it would take images of {c}x{h}x{w}"));
        }
        let weights = Weights::from_graph(&graph).map_err(text)?;
        let images = match input.channels_last {
            true => feed.values.clone(),
            false => channels_last(&feed.values, c, h * w),
        };
        Ok(Box::new(Loaded {
            bound: network.bind_inference(&weights).map_err(text)?,
            network,
            images,
            n,
        }))
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// `[n, c, hw]` as `[n, hw, c]`.
fn channels_last(images: &[f32], c: usize, hw: usize) -> Vec<f32> {
    let mut last = vec![0.0; images.len()];
    let pairs = last
        .chunks_exact_mut(c * hw)
        .zip(images.chunks_exact(c * hw));
    for (to, from) in pairs {
        for (channel, values) in from.chunks_exact(hw).enumerate() {
            for (pixel, value) in values.iter().enumerate() {
                to[pixel * c + channel] = *value;
            }
        }
    }
    last
}

impl Inference for Loaded {
    fn run(&mut self) -> Result<Vec<Output>, String> {
        let (network, images) = (&self.network, self.images.clone());
        let outputs = caught(|| {
            let outputs = network.forward_inference(&self.bound, Inputs::images(images, self.n));
            outputs.map_err(text)
        })?;
        let wide = |output: secateur_net::Output| Output {
            shape: output.shape,
            is_float: true,
            values: output.values.into_iter().map(f64::from).collect(),
        };
        Ok(outputs.into_iter().map(wide).collect())
    }

    fn time(&mut self) -> Result<Duration, String> {
        let started = Instant::now();
        self.run().map(|_| started.elapsed())
    }
}
