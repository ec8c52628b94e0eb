//! Data in a format that the program does not know: grey PGM files beside a `labels.csv`.
//!
//! `cargo run --release --example own_data`. The format takes two traits: [`Dataset`] gives
//! images by number, [`Format`] recognises a folder and opens it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secateur::Network;
use secateur::arch::{VggConfig, vgg_like};
use secateur::data::{self, DataConfig, DataError, Dataset, Format, Parts, Pixels};
use secateur::train::{TrainConfig, train};

const SIDE: usize = 12;
const CLASSES: [&str; 2] = ["ring", "cross"];

/// One part: files are read when a training step asks for them.
struct PgmImages {
    files: Vec<(PathBuf, usize)>,
    class_names: Vec<String>,
}

impl Dataset for PgmImages {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        [SIDE, SIDE, 1]
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn label(&self, index: usize) -> usize {
        self.files[index].1
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let path = &self.files[index].0;
        let damaged = |source| DataError::Image {
            path: path.clone(),
            source,
        };
        let bytes = fs::read(path).map_err(|error| damaged(error.into()))?;
        // A header such as `P5 12 12 255`, then a byte for each pixel.
        let header = format!("P5 {SIDE} {SIDE} 255\n");
        match bytes.strip_prefix(header.as_bytes()) {
            Some(pixels) if pixels.len() == SIDE * SIDE => {
                Ok(Pixels::Bytes(pixels.to_vec().into()))
            }
            _ => Err(damaged("it is no PGM of the right size".into())),
        }
    }

    // Then every image is read once before the training, and damaged ones are left out.
    fn is_in_memory(&self) -> bool {
        false
    }
}

/// `labels.csv` with lines such as `0007.pgm,ring,train`.
struct Pgm;

impl Format for Pgm {
    fn expects(&self) -> &'static str {
        "labels.csv (PGM files)"
    }

    fn open(&self, folder: &Path, _: &DataConfig) -> Result<Option<Parts>, DataError> {
        let table = folder.join("labels.csv");
        if !table.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&table).map_err(|source| DataError::Io {
            path: table.clone(),
            source,
        })?;
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let fields: Vec<&str> = line.split(',').collect();
            let label = |class| CLASSES.iter().position(|known| *known == class);
            match fields[..] {
                [file, class, part @ ("train" | "test")] if label(class).is_some() => {
                    let files = if part == "train" {
                        &mut train
                    } else {
                        &mut test
                    };
                    files.push((folder.join(file), label(class).unwrap_or_default()));
                }
                _ => {
                    return Err(DataError::Format {
                        path: table,
                        expected: "lines of file, class and part".to_string(),
                        got: format!("`{line}`"),
                    });
                }
            }
        }
        let images = |files| {
            Arc::new(PgmImages {
                files,
                class_names: CLASSES.map(str::to_string).to_vec(),
            })
        };
        Ok(Some(Parts {
            test: Some(images(test)),
            has_parts: true,
            ..Parts::new("PGM files", images(train))
        }))
    }
}

/// Draws `n` rings and crosses, somewhere in the image, and lists them.
fn draw(folder: &Path, n: usize) -> std::io::Result<()> {
    let mut table = String::new();
    for i in 0..n {
        let (y0, x0) = (4 + i % 4, 4 + i / 4 % 4);
        let light = |pixel: usize| {
            let (dy, dx) = ((pixel / SIDE).abs_diff(y0), (pixel % SIDE).abs_diff(x0));
            let is_drawn = match i % 2 {
                0 => (5..=10).contains(&(dy * dy + dx * dx)),
                _ => dy == dx && dy < 4,
            };
            let noise = (i * 31 + pixel * 17) % 40;
            if is_drawn {
                200 + noise as u8
            } else {
                noise as u8
            }
        };
        let name = format!("{i:04}.pgm");
        let mut bytes = format!("P5 {SIDE} {SIDE} 255\n").into_bytes();
        bytes.extend((0..SIDE * SIDE).map(light));
        fs::write(folder.join(&name), bytes)?;
        let part = if i % 5 == 0 { "test" } else { "train" };
        table.push_str(&format!("{name},{},{part}\n", CLASSES[i % 2]));
    }
    fs::write(folder.join("labels.csv"), table)
}

/// Trains a small network on such a folder; returns its accuracy on the test images.
pub fn run() -> Result<f64, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    draw(folder.path(), 300)?;
    let source = data::open_with(folder.path(), &DataConfig::default(), &[&Pgm])?;
    println!("{}", source.describe());

    let mut architecture = VggConfig::new([1, SIDE, SIDE], CLASSES.len());
    architecture.stages = VggConfig::parse_stages("6,M,8,M")?;
    architecture.hidden = vec![12];
    let config = TrainConfig {
        epochs: 8.0,
        batch_size: 16,
        ..TrainConfig::default()
    };
    let trained = train(&vgg_like(&architecture, 0)?, &source, &config, &mut ())?;
    let network = Network::from_model(trained.model)?;
    let result = network.test(&source)?.ok_or("no test images")?;
    Ok(result.quality)
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("test accuracy {:.1} %", 100.0 * run()?);
    Ok(())
}
