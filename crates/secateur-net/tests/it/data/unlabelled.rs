//! Images without classes: flat folders, folders that are no classes, labels that are not used.

use std::path::Path;

use secateur_net::data::{
    Augment, Batch, BatchJob, DataConfig, DataError, Labels, ModelData, Part, Pixels, Resize,
    Source, metadata, open,
};
use secateur_net::task::Against;
use secateur_onnx::model::{Dim, Model, ValueInfo};

use super::make::{class_folders, plain, png, write};
use super::{opened, refused};
use crate::common::small_vgg;

fn without_labels(dir: &Path) -> Source {
    let config = DataConfig {
        labels: Labels::None,
        ..DataConfig::default()
    };
    open(dir, &config).unwrap()
}

/// A float input of these extents; 0 stands for the batch.
pub fn input(name: &str, extents: &[usize]) -> ValueInfo {
    let dim = |&extent: &usize| match extent {
        0 => Dim::Named("n".to_string()),
        extent => Dim::Fixed(extent),
    };
    ValueInfo {
        name: name.to_string(),
        shape: extents.iter().map(dim).collect(),
        elem_type: 1,
        has_shape: true,
    }
}

pub fn batch_of(part: &Part, indices: &[usize]) -> Batch {
    part.batch(&BatchJob {
        indices: indices.to_vec(),
        augment: Augment::default(),
        seed: 0,
    })
    .unwrap()
}

#[test]
fn a_flat_folder_has_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for i in 0..20u8 {
        let file = dir.join(format!("{i:02}.png"));
        write(&file, &png([4, 5], &plain([i, 2 * i, 3 * i])));
    }
    write(&dir.join("notes.txt"), b"no image");
    let source = opened(dir);
    assert_eq!(source.against(), Against::Original);
    assert!(source.train.class_names().is_empty() && source.class_counts().is_empty());
    assert_eq!(
        (source.train.len(), source.test.as_ref().unwrap().len()),
        (18, 2)
    );
    assert!(
        source.describe().ends_with("without labels"),
        "{}",
        source.describe()
    );
    let told = source.notes.join("\n");
    assert!(told.contains("notes.txt"), "{told}");
    assert!(
        told.contains("2 of 20 images are set apart for it, 10 %, by seed 0"),
        "{told}"
    );
    refused(source.check_labelled("train"), &["train", "no labels"]);
    let part = source.load_train(&[0, 1, 2]).unwrap();
    assert!(batch_of(&part, &[0, 2]).labels.is_empty());

    // Parts without classes.
    let folder = tempfile::tempdir().unwrap();
    for (name, n) in [("train", 6), ("val", 3), ("test", 2)] {
        for i in 0..n {
            let file = folder.path().join(format!("{name}/{i}.png"));
            write(&file, &png([4, 5], &plain([i, 0, 0])));
        }
    }
    let source = opened(folder.path());
    assert_eq!(source.against(), Against::Original);
    let splits = source.splits(0, 0.5, 0).unwrap();
    let held = splits.search.len() + splits.confirm.len();
    assert_eq!((splits.train.len(), held), (6, 3));
    assert_eq!(source.test.as_ref().unwrap().len(), 2);
}

#[test]
fn sub_folders_may_be_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    class_folders(dir, &["a", "b"], 20, [4, 4]);
    let labelled = opened(dir);
    assert_eq!(labelled.against(), Against::Labels);
    let source = without_labels(dir);
    assert_eq!(source.against(), Against::Original);
    // The test part is the same, whether labels count or not: a model trained with them has seen
    // the rest.
    let test = |source: &Source| source.test.clone().unwrap();
    let pairs = [
        (source.train.clone(), labelled.train.clone()),
        (test(&source), test(&labelled)),
    ];
    for (a, b) in pairs {
        assert_eq!(a.len(), b.len());
        for i in 0..a.len() {
            assert_eq!(a.image(i).unwrap(), b.image(i).unwrap(), "{i}");
        }
    }

    // At any depth, beside images in the folder itself, and where a link leads back.
    write(
        &dir.join("1/2/3/4/5/6/deep.png"),
        &png([4, 4], &plain([1, 2, 3])),
    );
    write(&dir.join("loose.png"), &png([4, 4], &plain([1, 2, 3])));
    write(&dir.join("empty/notes.txt"), b"no image");
    #[cfg(unix)]
    std::os::unix::fs::symlink(dir, dir.join("1/back")).unwrap();
    let n = |source: Source| source.train.len() + source.test.map_or(0, |test| test.len());
    assert_eq!(n(without_labels(dir)), 42);
    let error = refused(open(dir, &DataConfig::default()), &["no images"]);
    assert!(error.hint().unwrap().contains("`labels` none"));
}

#[test]
fn images_beside_class_folders_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    class_folders(dir, &["a", "b"], 3, [4, 4]);
    write(&dir.join("loose.png"), &png([4, 4], &plain([1, 2, 3])));
    let told = opened(dir).notes.join("\n");
    assert!(
        told.contains("1 image left out") && told.contains("`labels` none"),
        "{told}"
    );

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    class_folders(&dir.join("train"), &["a", "b"], 3, [4, 4]);
    write(&dir.join("test/1.png"), &png([4, 4], &plain([1, 2, 3])));
    refused(
        open(dir, &DataConfig::default()),
        &["test", "class folders, as in the training part", "1 image"],
    );
}

fn fitted(source: &Source, n_classes: Option<usize>) -> Result<ModelData, DataError> {
    let model = small_vgg("4,M,5", 1).model;
    let inputs = [input("x", &[0, 3, 4, 4])];
    ModelData::new(&model, source, &DataConfig::default(), &inputs, n_classes)
}

#[test]
fn labels_are_not_used_where_outputs_are_no_classes() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path(), &["a", "b", "c"], 10, [4, 4]);
    let source = opened(folder.path());
    let data = fitted(&source, None).unwrap();
    let told = data.notes.join("\n");
    assert!(told.contains("labels of the data are not used"), "{told}");
    // Two classes are too few for three.
    refused(fitted(&source, Some(2)), &["label 2"]);
    assert!(fitted(&without_labels(folder.path()), Some(2)).is_ok());
}

#[test]
fn a_guessed_normalisation_is_told() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path(), &["a", "b"], 10, [4, 4]);
    let (labelled, plain) = (opened(folder.path()), without_labels(folder.path()));
    let of = |source: &Source, n_classes| {
        let data = fitted(source, n_classes).unwrap();
        let told = data
            .notes
            .into_iter()
            .find(|note| note.contains("`normalise`"));
        (data.normalisation.std[0] == 1.0, told.is_some())
    };
    assert_eq!(of(&labelled, Some(2)), (false, false), "accuracy tells");
    assert_eq!(of(&plain, Some(2)), (false, true));
    assert_eq!(of(&plain, None), (true, true));
    assert_eq!(of(&labelled, None), (true, true));

    let inputs = [ValueInfo {
        elem_type: 2,
        ..input("x", &[0, 5, 5, 3])
    }];
    let model = small_vgg("4,M,5", 1).model;
    let data = ModelData::new(&model, &plain, &DataConfig::default(), &inputs, None).unwrap();
    assert_eq!(data.normalisation.std, [1.0 / 255.0; 3]);
}

#[test]
fn what_ultralytics_exports_is_fed_as_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..10 {
        let file = folder.path().join(format!("{i}.png"));
        write(&file, &png([4, 8], &plain([200, 100, 0])));
    }
    let source = opened(folder.path());
    let mut model = small_vgg("4,M,5", 1).model;
    let data = |model: &Model| {
        let inputs = [input("x", &[0, 3, 8, 8])];
        ModelData::new(model, &source, &DataConfig::default(), &inputs, Some(3)).unwrap()
    };
    assert_eq!(data(&model).preprocessing.resize, Resize::Crop(1.0));
    model.set_metadata("author", "Ultralytics");
    model.set_metadata("task", "detect");
    model.set_metadata("imgsz", "[8, 8]");
    let mut found = data(&model);
    assert_eq!(found.preprocessing.resize, Resize::Letterbox(114));
    assert_eq!(found.normalisation.mean, [0.0; 3]);
    let part = found.train().unwrap();
    let batch = batch_of(&part, &[0]);
    let image = batch.inputs.as_images().unwrap();
    let grey = 114.0 / 255.0;
    let corners = [image[0], image[8 * 8 * 3 - 3]];
    assert!(
        corners.iter().all(|v| (v - grey).abs() < 1e-6),
        "{corners:?}"
    );
    let middle = &image[(4 * 8 + 4) * 3..][..3];
    assert_eq!(middle, [200.0 / 255.0, 100.0 / 255.0, 0.0]);

    // What the model carries goes first.
    model.set_metadata(
        metadata::PREPROCESSING,
        r#"{"resize":"stretch","colour":"rgb"}"#,
    );
    assert_eq!(data(&model).preprocessing.resize, Resize::Stretch);
}

/// Whether images are kept decoded or not, and whichever of them cannot be decoded.
#[test]
fn samples_know_the_file_that_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    for i in 0..20u8 {
        let file = dir.join(format!("{i:02}.png"));
        write(&file, &png([4, 5], &plain([10 * i; 3])));
    }
    write(&dir.join("03.png"), b"no image");
    for cache_mib in [0, 64] {
        let config = DataConfig {
            cache_mib,
            test_share: 0.5,
            ..DataConfig::default()
        };
        let source = open(dir, &config).unwrap();
        let all: Vec<usize> = (0..source.train.len()).collect();
        let parts = [
            source.load_train(&all).unwrap(),
            source.load_test().unwrap().unwrap(),
        ];
        assert_eq!(parts[0].is_in_memory(), cache_mib > 0);
        assert_eq!(parts.iter().map(Part::len).sum::<usize>(), 19);
        for part in parts {
            let last = part.pick([part.len() - 1, 0]);
            let origins = [part.origin(part.len() - 1), part.origin(0)];
            assert_eq!([last.origin(0), last.origin(1)], origins);
            for (index, origin) in origins.into_iter().enumerate() {
                let number = origin.number;
                assert_eq!(origin.file, Some(dir.join(format!("{number:02}.png"))));
                let Pixels::Bytes(pixels) = last.pixels(index).unwrap() else {
                    panic!("images of bytes");
                };
                assert!(pixels.iter().all(|&byte| usize::from(byte) == 10 * number));
            }
        }
    }
}
