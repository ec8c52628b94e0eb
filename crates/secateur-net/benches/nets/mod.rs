//! Networks and data that measurements share.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_net::data::{Augment, BatchJob, InMemory, Part};
use secateur_onnx::arch::{
    MobileNetConfig, ResNetConfig, VggConfig, mobilenet_v2, resnet, vgg_like,
};
use secateur_onnx::model::{Dim, Model, ValueInfo};

/// Batches of a pass over the data.
const BATCHES: usize = 32;
/// Classes of all networks.
pub const CLASSES: usize = 10;
/// What [`build`] knows: VGG-like, two pruned ones, ResNet-20, MobileNetV2, VGG-16 of half the width.
pub const NETS: [&str; 6] = ["vgg", "slim", "tiny", "resnet", "mobile", "vgg16"];

/// Whatever went wrong.
pub type Failure = Box<dyn std::error::Error>;

/// Images of a step, of `[h, w, c]`.
pub fn batch([h, w, _]: [usize; 3]) -> usize {
    if h * w > 64 * 64 { 16 } else { 128 }
}

/// The network, one of [`NETS`] or an ONNX file, and the shape of its images, `[c, h, w]`.
pub fn build(name: &str) -> Result<(Model, [usize; 3]), Failure> {
    let (digits, photos) = ([1, 28, 28], [3, 32, 32]);
    let plain = |shape: [usize; 3], widths: &str| -> Result<Model, Failure> {
        let mut config = VggConfig::new(shape, CLASSES);
        config.stages = VggConfig::parse_stages(widths)?;
        Ok(vgg_like(&config, 1)?)
    };
    Ok(match name {
        "vgg" => (plain(digits, "32,32,M,64,64,M,128,128,128,M")?, digits),
        "slim" => (plain(digits, "8,16,M,16,16,M,24,24,24,M")?, digits),
        "tiny" => (plain(digits, "5,6,M,10,10,M,20,20,20,M")?, digits),
        "resnet" => (resnet(&ResNetConfig::new(photos, CLASSES), 1)?, photos),
        "mobile" => {
            let config = MobileNetConfig::new(photos, CLASSES);
            (mobilenet_v2(&config, 1)?, photos)
        }
        "vgg16" => {
            let widths = "32,32,M,64,64,M,128,128,128,M,256,256,256,M,256,256,256,M";
            (plain(photos, widths)?, photos)
        }
        file if file.ends_with(".onnx") => read(file)?,
        other => {
            let nets = NETS.join(", ");
            return Err(format!("cannot time `{other}`: expected one of {nets}, or a file").into());
        }
    })
}

fn read(file: &str) -> Result<(Model, [usize; 3]), Failure> {
    let model = Model::read(file)?.prepared();
    let dims = |input: &ValueInfo| input.shape.iter().skip(1).map(Dim::fixed).collect();
    let shape: Option<Vec<usize>> = model.inputs().first().and_then(dims);
    let Some(&[c, h, w]) = shape.as_deref() else {
        return Err(format!("cannot time `{file}`: expected images of a fixed size").into());
    };
    Ok((model, [c, h, w]))
}

/// Random images and labels: enough that a pass over them takes many steps, since what is done
/// once a pass is no part of a step.
pub fn random([h, w, c]: [usize; 3]) -> Part {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let n = BATCHES * batch([h, w, c]);
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
        indices: (0..data.len() / BATCHES).collect(),
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
