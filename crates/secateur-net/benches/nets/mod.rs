//! Networks and data that measurements share.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::data::{Augment, BatchJob, InMemory, Part};
use secateur_onnx::arch::{
    MobileNetConfig, ResNetConfig, VggConfig, mobilenet_v2, resnet, vgg_like,
};
use secateur_onnx::model::Model;

/// Images of a step.
pub const BATCH: usize = 128;
/// Batches of a pass over the data.
const BATCHES: usize = 32;
/// Classes of all networks.
pub const CLASSES: usize = 10;
/// What [`build`] knows: VGG-like, two pruned ones, ResNet-20, MobileNetV2.
pub const NETS: [&str; 5] = ["vgg", "slim", "tiny", "resnet", "mobile"];

/// Whatever went wrong.
pub type Failure = Box<dyn std::error::Error>;

/// The network and the shape of its images, `[c, h, w]`.
pub fn build(name: &str) -> Result<(Model, [usize; 3]), Failure> {
    let (digits, photos) = ([1, 28, 28], [3, 32, 32]);
    let plain = |widths: &str| -> Result<Model, Failure> {
        let mut config = VggConfig::new(digits, CLASSES);
        config.stages = VggConfig::parse_stages(widths)?;
        Ok(vgg_like(&config, 1)?)
    };
    Ok(match name {
        "vgg" => (plain("32,32,M,64,64,M,128,128,128,M")?, digits),
        "slim" => (plain("8,16,M,16,16,M,24,24,24,M")?, digits),
        "tiny" => (plain("5,6,M,10,10,M,20,20,20,M")?, digits),
        "resnet" => (resnet(&ResNetConfig::new(photos, CLASSES), 1)?, photos),
        "mobile" => {
            let config = MobileNetConfig::new(photos, CLASSES);
            (mobilenet_v2(&config, 1)?, photos)
        }
        other => {
            let nets = NETS.join(", ");
            return Err(format!("cannot time `{other}`: expected one of {nets}").into());
        }
    })
}

/// Random images and labels: enough that a pass over them takes many steps, since what is done
/// once a pass is no part of a step.
pub fn random([h, w, c]: [usize; 3]) -> Part {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let n = BATCHES * BATCH;
    let images = (0..n * c * h * w)
        .map(|_| rng.random_range(-1.7..1.7))
        .collect();
    let labels = (0..n)
        .map(|_| rng.random_range(0..CLASSES as u32))
        .collect();
    Part::of(InMemory::floats([h, w, c], images, labels).expect("a value for every pixel"))
}

/// The images of one step, `[n, h, w, c]` flat.
pub fn images(data: &Part) -> Vec<f32> {
    let job = BatchJob {
        indices: (0..BATCH).collect(),
        augment: Augment::default(),
        seed: 0,
    };
    data.batch(&job)
        .expect("images in memory")
        .inputs
        .as_images()
        .expect("images")
        .to_vec()
}
