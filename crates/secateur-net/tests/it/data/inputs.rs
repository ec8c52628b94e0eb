//! Arrays for the inputs of a network, by their names.

use std::path::{Path, PathBuf};

use secateur_net::data::{DataConfig, DataError, ModelData, NormaliseBy, Source, open};
use secateur_net::{Host, HostData, Input};
use secateur_onnx::model::{Dim, ValueInfo};

use super::make::{npy, npz, write};
use super::unlabelled::{batch_of, input};
use super::{opened, refused};
use crate::common::small_vgg;

fn floats(shape: &[usize], values: impl Iterator<Item = f32>) -> Vec<u8> {
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    npy("<f4", false, shape, &bytes)
}

/// `0, 1, 2` and so on.
fn counting(shape: &[usize]) -> Vec<u8> {
    floats(shape, (0..shape.iter().product()).map(|i: usize| i as f32))
}

/// A folder with these arrays.
fn folder(arrays: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in arrays {
        write(&folder.path().join(format!("{name}.npy")), bytes);
    }
    folder
}

fn of_type(elem_type: i32, input: ValueInfo) -> ValueInfo {
    ValueInfo { elem_type, ..input }
}

fn fitted(source: &Source, inputs: &[ValueInfo]) -> Result<ModelData, DataError> {
    let model = small_vgg("4,M,5", 1).model;
    ModelData::new(&model, source, &DataConfig::default(), inputs, None)
}

/// What a network with these inputs gets for two samples of the training part, by their place in
/// the whole data, which count from 0.
fn two(source: &Source, inputs: &[ValueInfo]) -> Vec<Host> {
    let data = fitted(source, inputs).unwrap();
    let part = data.load(&[0, 3]).unwrap();
    let batch = batch_of(&part, &[1, 0]);
    assert_eq!((batch.inputs.n, batch.labels.len()), (2, 0));
    let array = |input: &Input| match input {
        Input::Array(host) => host.clone(),
        Input::Images(_) => panic!("arrays are no images"),
    };
    batch.inputs.values.iter().map(array).collect()
}

#[test]
fn arrays_go_to_the_inputs_of_their_names() {
    let folder = folder(&[
        ("input", counting(&[10, 3])),
        ("State", counting(&[10, 2, 1, 2])),
        (
            "tokens_0",
            npy(
                "<i4",
                false,
                &[10],
                &(0..10i32).flat_map(i32::to_le_bytes).collect::<Vec<_>>(),
            ),
        ),
        (
            "mask",
            npy("|b1", false, &[10, 1], &[1, 0, 1, 0, 1, 0, 1, 0, 1, 0]),
        ),
        ("sr", npy("<i8", false, &[], &16_000i64.to_le_bytes())),
        (
            "bytes",
            npy("|u1", false, &[10, 2], &(0..20).collect::<Vec<u8>>()),
        ),
        ("unused", counting(&[10, 7])),
    ]);
    let source = opened(folder.path());
    assert!(!source.is_images());
    assert!(
        source
            .describe()
            .contains("9 training samples, 1 for the test"),
        "{}",
        source.describe()
    );
    let state = ValueInfo {
        shape: vec![Dim::Fixed(2), Dim::Named("n".to_string()), Dim::Fixed(2)],
        ..input("state", &[])
    };
    let inputs = [
        input("input", &[0, 3]),
        state,
        of_type(7, input("tokens:0", &[0])),
        of_type(9, input("mask", &[0, 1])),
        of_type(7, input("sr", &[])),
        input("bytes", &[0, 2]),
    ];
    let found = two(&source, &inputs);
    let rest: Vec<usize> = (0..10).filter(|i| !picked(&source, *i)).collect();
    let (a, b) = (rest[3], rest[0]);
    let float = |shape: &[usize], values: Vec<usize>| Host {
        shape: shape.to_vec(),
        data: HostData::Float(values.into_iter().map(|v| v as f32).collect()),
    };
    assert_eq!(
        found[0],
        float(
            &[2, 3],
            (3 * a..3 * a + 3).chain(3 * b..3 * b + 3).collect()
        )
    );
    let state = vec![
        4 * a,
        4 * a + 1,
        4 * b,
        4 * b + 1,
        4 * a + 2,
        4 * a + 3,
        4 * b + 2,
        4 * b + 3,
    ];
    assert_eq!(found[1], float(&[2, 2, 2], state));
    assert_eq!(found[2].data, HostData::Int(vec![a as i64, b as i64]));
    assert_eq!(found[3].data, HostData::Bool(vec![a % 2 == 0, b % 2 == 0]));
    assert_eq!(
        found[4],
        Host {
            shape: vec![],
            data: HostData::Int(vec![16_000])
        }
    );
    assert_eq!(
        found[5],
        float(&[2, 2], vec![2 * a, 2 * a + 1, 2 * b, 2 * b + 1])
    );
}

/// Was this sample, of ten, set apart for the test?
fn picked(source: &Source, sample: usize) -> bool {
    let data = fitted(source, &[input("input", &[0, 3])]).unwrap();
    let test = data.test().unwrap().unwrap();
    let batch = batch_of(&test, &[0]);
    let Input::Array(first) = &batch.inputs.values[0] else {
        panic!("arrays are no images");
    };
    first.floats()[0] == (3 * sample) as f32
}

#[test]
fn one_array_serves_one_input_whatever_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let values = || (0..40).map(|i| i as f32);
    let f64s: Vec<u8> = values().flat_map(|v| f64::from(v).to_le_bytes()).collect();
    let f16s: Vec<u8> = values()
        .flat_map(|v| half::f16::from_f32(v).to_le_bytes())
        .collect();
    let files: [(PathBuf, Vec<u8>); 5] = [
        ("audio.npy".into(), floats(&[10, 4], values())),
        ("double.npy".into(), npy("<f8", false, &[10, 4], &f64s)),
        ("half.npy".into(), npy("<f2", false, &[10, 4], &f16s)),
        ("columns.npy".into(), floats_by_column()),
        (
            "set.npz".into(),
            npz(&[("audio", floats(&[10, 4], values()))], true),
        ),
    ];
    for (name, bytes) in files {
        let file = folder.path().join(name);
        write(&file, &bytes);
        let source = open(&file, &DataConfig::default()).unwrap();
        let data = fitted(&source, &[input("x", &[0, 4])]).unwrap();
        let batch = batch_of(&data.load(&[2]).unwrap(), &[0]);
        let Input::Array(found) = &batch.inputs.values[0] else {
            panic!("arrays are no images");
        };
        let first = found.floats()[0];
        let expected: Vec<f32> = (0..4).map(|i| first + i as f32).collect();
        assert_eq!(
            (found.floats(), first % 4.0),
            (expected, 0.0),
            "{}",
            file.display()
        );
        assert!(data.normalisation.mean.is_empty());
    }
}

/// `0..40` as `[10, 4]`, in Fortran's order.
fn floats_by_column() -> Vec<u8> {
    let values = (0..4).flat_map(|x| (0..10).map(move |y| (4 * y + x) as f32));
    let bytes: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
    npy("<f4", true, &[10, 4], &bytes)
}

#[test]
fn parts_of_arrays_lie_in_folders_or_files() {
    let folder = tempfile::tempdir().unwrap();
    let parts = [("train", 6), ("val", 4), ("test", 3)];
    for (name, n) in parts {
        let bytes = counting(&[n, 2]);
        write(&folder.path().join(format!("{name}/a.npy")), &bytes);
        write(&folder.path().join(format!("{name}/b.npy")), &bytes);
    }
    let files = tempfile::tempdir().unwrap();
    for (name, n) in parts {
        let arrays = [("a", counting(&[n, 2])), ("b", counting(&[n, 2]))];
        write(
            &files.path().join(format!("{name}.npz")),
            &npz(&arrays, true),
        );
    }
    for dir in [folder.path(), files.path()] {
        let source = opened(dir);
        let data = fitted(&source, &[input("a", &[0, 2]), input("b", &[0, 2])]).unwrap();
        let held = [data.splits.search.len(), data.splits.confirm.len()];
        assert_eq!((data.splits.train.len(), held), (6, [2, 2]));
        assert_eq!(data.test().unwrap().unwrap().len(), 3);
        let confirm = data.load(&data.splits.confirm).unwrap();
        let batch = batch_of(&confirm, &[0, 1]);
        let Input::Array(found) = &batch.inputs.values[1] else {
            panic!("arrays are no images");
        };
        assert_eq!(found.shape, [2, 2]);
    }
}

#[test]
fn bytes_alone_are_images_where_the_network_takes_some() {
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("photos.npy");
    let bytes: Vec<u8> = (0..10 * 5 * 5 * 3).map(|i| i as u8).collect();
    write(&file, &npy("|u1", false, &[10, 5, 5, 3], &bytes));
    let open_with = |normalise: Option<&str>| {
        let config = DataConfig {
            normalise: normalise.map(|name| NormaliseBy::Name(name.to_string())),
            ..DataConfig::default()
        };
        open(&file, &config).unwrap()
    };
    let data = fitted(&open_with(None), &[input("x", &[0, 3, 5, 5])]).unwrap();
    assert!(data.source.is_images());
    let batch = batch_of(&data.load(&[0]).unwrap(), &[0]);
    let image = batch.inputs.as_images().unwrap();
    assert!(image.iter().all(|v| (0.0..=1.0).contains(v)));
    assert!((image[1] - image[0] - 1.0 / 255.0).abs() < 1e-6);

    // Floats are taken as they are, unless it is said that they are pixels.
    write(&file, &counting(&[10, 3, 5, 5]));
    let inputs = [input("x", &[0, 3, 5, 5])];
    let as_they_are = fitted(&open_with(None), &inputs).unwrap();
    assert!(!as_they_are.source.is_images());
    assert!(
        fitted(&open_with(Some("half")), &inputs)
            .unwrap()
            .source
            .is_images()
    );
}

#[test]
fn arrays_that_do_not_fit_are_told_before_anything_starts() {
    let two = |first: Vec<u8>, second: Vec<u8>| folder(&[("a", first), ("b", second)]);
    let inputs = [input("a", &[0, 3]), of_type(7, input("b", &[0]))];
    let ints = |n: usize| npy("<i8", false, &[n], &vec![0; 8 * n]);
    let check = |dir: &Path, needles: &[&str]| {
        let found = open(dir, &DataConfig::default()).and_then(|source| fitted(&source, &inputs));
        refused(found, needles)
    };
    assert!(fitted(&opened(two(counting(&[4, 3]), ints(4)).path()), &inputs).is_ok());
    let wrong = two(counting(&[4, 5]), ints(4));
    check(wrong.path(), &["a.npy", "[samples, 3]", "[4, 5]"]);
    let wrong = two(counting(&[4, 3, 1]), ints(4));
    check(wrong.path(), &["a.npy", "[samples, 3]", "[4, 3, 1]"]);
    let wrong = two(counting(&[4, 3]), ints(3));
    check(wrong.path(), &["b.npy", "[samples]", "[3]", "4 samples"]);
    let wrong = two(counting(&[4, 3]), counting(&[4]));
    check(wrong.path(), &["b.npy", "whole numbers", "floats"]);
    let wrong = two(counting(&[0, 3]), ints(0));
    check(wrong.path(), &["no samples"]);
    let wrong = two(npy("<U2", false, &[4, 3], &[0; 96]), ints(4));
    check(wrong.path(), &["a.npy", "whole numbers or floats", "<U2"]);
    let missing = folder(&[("a", counting(&[4, 3]))]);
    let error = check(missing.path(), &["input `b`", "`a`", "`a`, `b`"]);
    assert!(error.hint().unwrap().contains(".npy"));
    let values = [
        0.0,
        1.0,
        2.0,
        3.0,
        4.0,
        5.0,
        6.0,
        f32::NAN,
        8.0,
        9.0,
        10.0,
        11.0,
    ];
    let wrong = two(floats(&[4, 3], values.into_iter()), ints(4));
    check(wrong.path(), &["a.npy", "finite values", "NaN at [2, 1]"]);
    let mut cut = counting(&[4, 3]);
    cut.truncate(cut.len() - 4);
    check(two(cut, ints(4)).path(), &["a.npy", "12 values of 4 bytes"]);

    // Images for a network that takes more than images.
    let images = tempfile::tempdir().unwrap();
    super::make::class_folders(images.path(), &["a"], 5, [4, 4]);
    let error = check(images.path(), &["with images", "`a`", "`b`"]);
    assert!(error.hint().unwrap().contains("npz"));
}

#[test]
fn grey_images_serve_inputs_without_an_axis_for_channels() {
    let file = tempfile::tempdir().unwrap();
    let file = file.path().join("set.npz");
    let bytes: Vec<u8> = (0..10 * 4 * 5).map(|i| i as u8).collect();
    let images = npy("|u1", false, &[10, 4, 5], &bytes);
    let labels = npy("|u1", false, &[10], &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    write(&file, &npz(&[("x", images), ("y", labels)], true));
    let source = open(&file, &DataConfig::default()).unwrap();
    for (extents, expected) in [(vec![0, 4, 5], vec![2, 4, 5]), (vec![0, 20], vec![2, 20])] {
        let mut data = fitted(&source, &[input("x", &extents)]).unwrap();
        let batch = batch_of(&data.train().unwrap(), &[0, 1]);
        let Input::Array(found) = &batch.inputs.values[0] else {
            panic!("the input has no axis for channels");
        };
        assert_eq!(found.shape, expected);
        let first = found.floats();
        assert!((first[1] - first[0] - 1.0 / 255.0).abs() < 1e-6);
    }
    refused(
        fitted(&source, &[input("x", &[0, 21])]),
        &["with images", "`x` [n, 21]"],
    );
}
