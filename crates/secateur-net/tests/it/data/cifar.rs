//! The binary versions of CIFAR-10 and CIFAR-100.

use std::path::Path;

use secateur_net::data::{DataConfig, Pixels, open};

use super::make::write;
use super::{opened, refused};

/// Records of a label (after `before` other bytes) and three planes of the values
/// `label`, `label + 100`, `label + 200`, with the first pixel's red at 7.
fn records(before: &[u8], labels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &label in labels {
        bytes.extend(before);
        bytes.push(label);
        for plane in 0..3 {
            let start = bytes.len();
            bytes.resize(start + 1024, label.wrapping_add(plane * 100));
            if plane == 0 {
                bytes[start] = 7;
            }
        }
    }
    bytes
}

fn cifar10(dir: &Path) {
    for batch in 1..=5u8 {
        let file = dir.join(format!("data_batch_{batch}.bin"));
        write(&file, &records(&[], &[batch, 9 - batch]));
    }
    write(&dir.join("test_batch.bin"), &records(&[], &[0, 1, 2]));
}

#[test]
fn cifar10_batches_are_one_set() {
    let folder = tempfile::tempdir().unwrap();
    cifar10(folder.path());
    let source = opened(folder.path());
    assert_eq!(source.kind, "CIFAR-10 binary");
    assert_eq!(
        (source.train.len(), source.test.as_ref().unwrap().len()),
        (10, 3)
    );
    assert_eq!(source.train.image_shape(), [32, 32, 3]);
    assert_eq!(source.train.n_classes(), 10);
    assert_eq!(source.train.label(3), 7);
    let Pixels::Bytes(pixels) = source.train.image(3).unwrap() else {
        panic!("bytes stay bytes");
    };
    assert_eq!(pixels[..6], [7, 107, 207, 7, 107, 207]);
    let names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    write(&folder.path().join("batches.meta.txt"), names.as_bytes());
    assert_eq!(opened(folder.path()).train.class_names()[3], "cat");
}

#[test]
fn cifar100_takes_the_fine_label() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("train.bin"), &records(&[19], &[11, 99]));
    write(&folder.path().join("test.bin"), &records(&[19], &[50]));
    let source = opened(folder.path());
    assert_eq!(source.kind, "CIFAR-100 binary");
    assert_eq!(source.train.n_classes(), 100);
    assert_eq!((source.train.label(0), source.train.label(1)), (11, 99));
}

#[test]
fn damaged_files_are_named() {
    let check = |name: &str, bytes: &[u8], needles: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        cifar10(folder.path());
        write(&folder.path().join(name), bytes);
        let mut all = vec![name];
        all.extend(needles);
        refused(open(folder.path(), &DataConfig::default()), &all);
    };
    let two = records(&[], &[1, 2]);
    check(
        "data_batch_3.bin",
        &two[..two.len() - 1],
        &["whole records", "1 of them"],
    );
    check("data_batch_3.bin", &[], &["no images"]);
    check(
        "test_batch.bin",
        &records(&[], &[1, 10]),
        &["0 to 9", "10 in record 1"],
    );
    check("classes.txt", b"a\nb\n", &["10 classes", "got 2"]);

    let folder = tempfile::tempdir().unwrap();
    cifar10(folder.path());
    std::fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
    refused(
        open(folder.path(), &DataConfig::default()),
        &["data_batch_4.bin"],
    );
}
