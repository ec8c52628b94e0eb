//! Prints a network's outputs for a fixed input, to compare with other engines.
//!
//! `cargo run --release --example outputs -- net.onnx` prints JSON: the input (in the
//! model's own layout, `[n, c, h, w]`) and the class scores.

use secateur_net::task::{self, Against};
use secateur_net::weights::Weights;
use secateur_net::{Engine, Inputs, Interpreter};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

const IMAGES: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: outputs MODEL")?;
    let graph = Graph::from_model(&Model::read(path)?.prepared())?;
    let task = task::find(&graph, Against::Labels, None)?;
    let network = Interpreter::new(&graph, &task.outputs(), &Engine::fused())?;
    let [c, h, w] = network.input_shape()?;
    let input: Vec<f32> = (0..IMAGES * c * h * w)
        .map(|i| (i * 7919 % 1009) as f32 / 252.0 - 2.0)
        .collect();
    // From the model's layout to channels last.
    let mut images = vec![0.0f32; input.len()];
    for n in 0..IMAGES {
        for channel in 0..c {
            for pixel in 0..h * w {
                images[(n * h * w + pixel) * c + channel] =
                    input[(n * c + channel) * h * w + pixel];
            }
        }
    }
    let bound = network.bind_inference(&Weights::from_graph(&graph)?)?;
    let output = &network.forward_inference(&bound, Inputs::images(images, IMAGES))?[0].values;
    println!(
        "{}",
        serde_json::json!({ "shape": [IMAGES, c, h, w], "input": input, "output": output })
    );
    Ok(())
}
