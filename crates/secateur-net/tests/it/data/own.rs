//! Data that come from outside the crate.

use std::path::Path;
use std::sync::Arc;

use secateur_net::data::{
    BatchSampler, DataConfig, DataError, Dataset, Format, Parts, Pixels, Source, open_with,
};

use super::make::{class_folders, write};
use super::refused;

/// `n` images of 2x3 in two classes, computed when they are asked for: image `i` holds
/// `i + 0.0`, `i + 0.1` and so on.
struct Computed {
    n: usize,
    shape: [usize; 3],
    classes: Vec<String>,
}

fn computed(n: usize) -> Computed {
    Computed {
        n,
        shape: [2, 3, 1],
        classes: vec!["even".to_string(), "odd".to_string()],
    }
}

fn value(index: usize, pixel: usize) -> f32 {
    index as f32 + 0.1 * pixel as f32
}

impl Dataset for Computed {
    fn len(&self) -> usize {
        self.n
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn class_names(&self) -> &[String] {
        &self.classes
    }

    fn label(&self, index: usize) -> usize {
        index % 2
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let values: Vec<f32> = (0..6).map(|pixel| value(index, pixel)).collect();
        Ok(Pixels::Floats(values.into()))
    }

    fn is_in_memory(&self) -> bool {
        false
    }
}

/// A file with the number of images.
struct Counted;

impl Format for Counted {
    fn expects(&self) -> &'static str {
        "images.txt"
    }

    fn open(&self, path: &Path, _: &DataConfig) -> Result<Option<Parts>, DataError> {
        let file = path.join("images.txt");
        if !file.is_file() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let n = text.trim().parse().map_err(|_| DataError::Format {
            path: file,
            expected: "a number".to_string(),
            got: text.clone(),
        })?;
        Ok(Some(Parts::new("computed", Arc::new(computed(n)))))
    }
}

#[test]
fn a_format_of_ones_own_is_asked_before_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let open = || open_with(folder.path(), &DataConfig::default(), &[&Counted]);
    refused(open(), &["images.txt", "train-images-idx3-ubyte"]);
    class_folders(&folder.path().join("train"), &["a", "b"], 2, [4, 4]);
    assert_eq!(open().unwrap().kind, "image folder");
    write(&folder.path().join("images.txt"), b"40");
    let source = open().unwrap();
    assert_eq!(source.kind, "computed");
    // Without parts, a tenth of each class is set apart.
    assert_eq!(source.class_counts(), [18, 18]);
    assert_eq!(source.test.as_ref().unwrap().len(), 4);
    write(&folder.path().join("images.txt"), b"many");
    refused(open(), &["images.txt", "a number", "many"]);
}

#[test]
fn computed_images_of_floats_are_read_as_they_are() {
    let parts = Parts::new("computed", Arc::new(computed(10)));
    let config = DataConfig {
        test_share: 0.0,
        ..DataConfig::default()
    };
    let source = Source::new(Path::new("nowhere"), parts, &config).unwrap();
    let part = source.load_train(&[3, 8, 5]).unwrap();
    assert!(!part.is_in_memory(), "only bytes are kept");
    let mut sampler = BatchSampler::new(part.len(), 3, 1);
    let batch = part
        .batch(&sampler.next_job(secateur_net::data::Augment::default()))
        .unwrap();
    let images = batch.inputs.as_images().unwrap();
    for (image, &index) in images.chunks(6).zip(&batch.indices) {
        let index = [3, 8, 5][index];
        let expected: Vec<f32> = (0..6).map(|pixel| value(index, pixel)).collect();
        assert_eq!(image, expected);
    }
    let mean = part.measure().unwrap().mean[0];
    assert!((mean - (16.0 / 3.0 + 0.25)).abs() < 1e-5, "{mean}");
}

#[test]
fn data_that_contradict_themselves_are_errors() {
    let open = |train: Computed, validation: Option<Computed>| {
        let parts = Parts {
            validation: validation.map(|data| Arc::new(data) as _),
            ..Parts::new("computed", Arc::new(train))
        };
        Source::new(Path::new("nowhere"), parts, &DataConfig::default())
    };
    refused(open(computed(0), None), &["nowhere", "no images"]);
    let one_class = Computed {
        classes: vec!["only".to_string()],
        ..computed(10)
    };
    refused(
        open(one_class, None),
        &["number of classes, 1", "label 1 of item 1"],
    );
    let other_shape = || Computed {
        shape: [3, 3, 1],
        ..computed(10)
    };
    refused(
        open(computed(10), Some(other_shape())),
        &["[2, 3, 1]", "[3, 3, 1]"],
    );
    // Six values, whatever the shape says.
    let source = open(other_shape(), None).unwrap();
    refused(
        source.load_train(&[0, 1]),
        &["image 0", "[3, 3, 1]", "got 6"],
    );
}
