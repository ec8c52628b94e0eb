//! Parquet files and tar archives: the same images as in folders, and everything that can be wrong
//! with them.

use std::path::Path;

use proptest::prelude::*;
use secateur_net::data::{
    Augment, BatchJob, Colour, DataConfig, DataError, Labels, Part, Resize, Source, open,
};

use super::make::{class_folders, png, write};
use super::make_shards::{Row, RowsOf, parquet, tar, tar_entry};
use super::{opened, refused};

const SIZE: [usize; 2] = [9, 8];

/// The images of class folders with their labels, in the order of the classes.
fn images(n_classes: usize, n: usize) -> (tempfile::TempDir, Vec<(Vec<u8>, i64)>) {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..n_classes).map(|class| class.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    class_folders(&folder.path().join("train"), &names, n, SIZE);
    let mut images = Vec::new();
    for (class, name) in names.iter().enumerate() {
        for i in 0..n {
            let file = folder.path().join(format!("train/{name}/{i:03}.png"));
            images.push((std::fs::read(file).unwrap(), class as i64));
        }
    }
    (folder, images)
}

fn rows(images: &[(Vec<u8>, i64)]) -> Vec<Row> {
    let row = |(bytes, label): &(Vec<u8>, i64)| Row {
        bytes: Some(bytes.clone()),
        path: None,
        label: Some(*label),
    };
    images.iter().map(row).collect()
}

/// A tar entry for each image and each label.
fn samples(images: &[(Vec<u8>, i64)]) -> Vec<u8> {
    let mut entries = Vec::new();
    for (i, (bytes, label)) in images.iter().enumerate() {
        entries.push((format!("{i:04}.png"), bytes.clone()));
        entries.push((format!("{i:04}.cls"), label.to_string().into_bytes()));
    }
    tar(&entries)
}

fn small(cache_mib: usize, max_skipped: usize) -> DataConfig {
    DataConfig {
        cache_mib,
        max_skipped,
        ..DataConfig::default()
    }
}

fn all(source: &Source) -> Result<Part, DataError> {
    source.load_train(&(0..source.train.len()).collect::<Vec<_>>())
}

fn whole(part: &Part) -> BatchJob {
    BatchJob {
        indices: (0..part.len()).collect(),
        augment: Augment::default(),
        seed: 0,
    }
}

/// The images that can be decoded, with their labels, and what was left out.
fn loaded(path: &Path, config: &DataConfig) -> (Vec<u32>, Vec<(String, String)>) {
    let source = open(path, config).unwrap();
    let part = all(&source).unwrap();
    let skipped = source.skipped().into_iter();
    let skipped = skipped.map(|s| (s.path.display().to_string(), s.reason));
    (
        (0..part.len()).map(|index| part.label(index)).collect(),
        skipped.collect(),
    )
}

#[test]
fn shards_hold_the_images_that_folders_do() {
    let (folder, images) = images(3, 7);
    let shards = tempfile::tempdir().unwrap();
    let dir = shards.path();
    let file = |rows: &[Row]| parquet(rows, &RowsOf::default());
    write(
        &dir.join("hub/data/train-00000-of-00002.parquet"),
        &file(&rows(&images[..8])),
    );
    write(
        &dir.join("hub/data/train-00001-of-00002.parquet"),
        &file(&rows(&images[8..])),
    );
    write(
        &dir.join("hub/data/test-00000-of-00001.parquet"),
        &file(&rows(&images[..4])),
    );
    write(&dir.join("web/train-000000.tar"), &samples(&images[..8]));
    write(&dir.join("web/train-000001.tar"), &samples(&images[8..]));
    write(&dir.join("web/test/000000.tar"), &samples(&images[..4]));
    let expected = open(folder.path(), &small(64, 0)).unwrap();
    let expected = all(&expected).unwrap();
    for (name, kind) in [("hub", "Parquet files"), ("web", "tar shards")] {
        for cache_mib in [0, 64] {
            let source = open(&dir.join(name), &small(cache_mib, 0)).unwrap();
            assert_eq!(source.kind, kind);
            assert_eq!(source.train.class_names(), ["0", "1", "2"]);
            assert_eq!(source.class_counts(), [7; 3]);
            assert_eq!(source.own_shape().unwrap(), [9, 8, 3]);
            let part = all(&source).unwrap();
            assert_eq!(part.is_in_memory(), cache_mib > 0);
            let batch = part.batch(&whole(&part)).unwrap();
            assert_eq!(batch, expected.batch(&whole(&expected)).unwrap());
            assert_eq!(source.load_test().unwrap().unwrap().len(), 4);
            let origin = part.origin(9);
            assert_eq!((origin.file, origin.number), (None, 9));
            let fitted = source.fitted([1, 5, 4], Resize::Stretch, Colour::Rgb);
            assert_eq!(fitted.train.image_shape(), [5, 4, 1]);
        }
    }
}

#[test]
fn rows_come_in_any_order_from_pages_of_any_size() {
    let (_folder, images) = images(3, 30);
    let dir = tempfile::tempdir().unwrap();
    for (rows_a_group, rows_a_page) in [(90, 90), (90, 7), (11, 4), (1, 1)] {
        for dictionary in [true, false] {
            let form = RowsOf {
                rows_a_group,
                rows_a_page,
                dictionary,
                ..RowsOf::default()
            };
            let file = dir.path().join("all.parquet");
            write(&file, &parquet(&rows(&images), &form));
            let config = DataConfig {
                test_share: 0.0,
                ..small(0, 0)
            };
            let source = open(&file, &config).unwrap();
            let part = all(&source).unwrap();
            for index in (0..90).map(|i| i * 37 % 90) {
                assert_eq!(part.label(index) as i64, images[index].1);
                let alone = tempfile::tempdir().unwrap();
                write(&alone.path().join("train/a/0.png"), &images[index].0);
                let expected = all(&opened(alone.path())).unwrap();
                assert_eq!(part.pixels(index).unwrap(), expected.pixels(0).unwrap());
            }
        }
    }
}

#[test]
fn classes_are_named_by_the_files_or_by_a_list() {
    let (_folder, images) = images(2, 3);
    let dir = tempfile::tempdir().unwrap();
    let declared = RowsOf {
        classes: Some(["dog", "cat"].map(str::to_string).to_vec()),
        ..RowsOf::default()
    };
    let file = dir.path().join("train.parquet");
    write(&file, &parquet(&rows(&images), &declared));
    let source = opened(dir.path());
    assert_eq!(source.train.class_names(), ["dog", "cat"]);
    assert_eq!((source.train.label(0), source.train.label(5)), (0, 1));
    write(&dir.path().join("classes.txt"), b"cat\ncow\ndog\n");
    let source = opened(dir.path());
    assert_eq!((source.train.label(0), source.train.label(5)), (2, 0));
    std::fs::remove_file(dir.path().join("classes.txt")).unwrap();

    let texts = RowsOf {
        text_labels: true,
        ..RowsOf::default()
    };
    write(&file, &parquet(&rows(&images), &texts));
    assert_eq!(
        opened(dir.path()).train.class_names(),
        ["class 0", "class 1"]
    );
    let mut json = Vec::new();
    for (i, (bytes, label)) in images.iter().enumerate() {
        let text = format!("{{\"label\": \"class {label}\", \"other\": [1, {{}}]}}");
        json.push((format!("sub/{i}.jpg"), bytes.clone()));
        json.push((format!("sub/{i}.json"), text.into_bytes()));
    }
    let web = tempfile::tempdir().unwrap();
    write(&web.path().join("all.tar"), &tar(&json));
    assert_eq!(
        opened(web.path()).train.class_names(),
        ["class 0", "class 1"]
    );
}

#[test]
fn without_labels_they_are_images_alone() {
    let (_folder, images) = images(2, 5);
    let dir = tempfile::tempdir().unwrap();
    let unlabelled: Vec<Row> = rows(&images)
        .into_iter()
        .map(|row| Row { label: None, ..row })
        .collect();
    write(
        &dir.path().join("a.parquet"),
        &parquet(&unlabelled, &RowsOf::default()),
    );
    assert!(!opened(dir.path()).train.is_labelled());
    // ImageNet's test part on the Hub has -1 for labels.
    let hub = tempfile::tempdir().unwrap();
    let hidden: Vec<Row> = rows(&images)
        .into_iter()
        .map(|row| Row {
            label: Some(-1),
            ..row
        })
        .collect();
    let file = |rows: &[Row]| parquet(rows, &RowsOf::default());
    write(&hub.path().join("train-0.parquet"), &file(&rows(&images)));
    write(
        &hub.path().join("validation-0.parquet"),
        &file(&rows(&images[4..])),
    );
    write(&hub.path().join("test-0.parquet"), &file(&hidden));
    let source = opened(hub.path());
    assert_eq!(source.load_test().unwrap().unwrap().len(), 6);
    assert!(
        source.notes[0].contains("test-0.parquet"),
        "{:?}",
        source.notes
    );
    let none = DataConfig {
        labels: Labels::None,
        ..DataConfig::default()
    };
    assert!(!open(hub.path(), &none).unwrap().train.is_labelled());
    let web = tempfile::tempdir().unwrap();
    let entries: Vec<(String, Vec<u8>)> = (0..)
        .zip(&images)
        .map(|(i, (bytes, _))| (format!("{i}.png"), bytes.clone()))
        .chain([("README.md".to_string(), b"text".to_vec())])
        .collect();
    write(&web.path().join("a.tar"), &tar(&entries));
    let source = opened(web.path());
    assert!(!source.train.is_labelled());
    assert!(
        source.notes[0].starts_with("1 entry left out"),
        "{:?}",
        source.notes
    );
}

/// A PNG whose header promises more pixels than anybody has.
fn bomb() -> Vec<u8> {
    let mut bytes = png(SIZE, &|_, _| [9; 3]);
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let mut sum = flate2::Crc::new();
    sum.update(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&sum.sum().to_be_bytes());
    bytes
}

#[test]
fn rows_that_cannot_be_images_are_left_out_and_named() {
    let (_folder, images) = images(2, 6);
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("beside/0.png"), &images[0].0);
    let row = |bytes: Option<&[u8]>, path: Option<&str>| Row {
        bytes: bytes.map(<[u8]>::to_vec),
        path: path.map(str::to_string),
        label: Some(1),
    };
    let mut all = rows(&images);
    all.insert(3, row(Some(b"no image"), None));
    all.insert(5, row(None, None));
    all.insert(7, row(None, Some("beside/0.png")));
    all.push(row(None, Some("../../etc/passwd")));
    all.push(row(None, Some("/etc/passwd")));
    all.push(row(Some(&bomb()), None));
    write(
        &dir.path().join("train.parquet"),
        &parquet(&all, &RowsOf::default()),
    );
    let config = DataConfig {
        test_share: 0.0,
        ..small(64, 5)
    };
    let (labels, skipped) = loaded(dir.path(), &config);
    assert_eq!(labels, [0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1]);
    let expected = [
        ("row 15", "leads out of the folder"),
        ("row 16", "leads out of the folder"),
        ("row 17", "none or too many"),
        ("row 3", "no JPEG"),
        ("row 5", "no image"),
    ];
    told(&skipped, &expected);
    let config = small(64, 4);
    let source = open(dir.path(), &config).unwrap();
    let error = source.load_train(&(0..18).collect::<Vec<_>>()).unwrap_err();
    assert!(error.to_string().contains("more than 4 images"), "{error}");
}

fn told(skipped: &[(String, String)], expected: &[(&str, &str)]) {
    assert_eq!(skipped.len(), expected.len(), "{skipped:?}");
    for ((path, reason), (place, why)) in skipped.iter().zip(expected) {
        assert!(path.ends_with(place), "{path} {place}");
        assert!(reason.contains(why), "{path}: {reason}");
    }
}

#[test]
fn entries_that_cannot_be_images_are_left_out_and_named() {
    let (_folder, images) = images(2, 6);
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = samples(&images);
    bytes.truncate(bytes.len() - 1024);
    for (name, kind) in [
        ("link.png", tar::EntryType::Symlink),
        ("hard.png", tar::EntryType::Link),
        ("fifo.png", tar::EntryType::Fifo),
    ] {
        bytes.extend(tar_entry(name, kind, b""));
        bytes.extend(tar_entry(
            &name.replace("png", "cls"),
            tar::EntryType::Regular,
            b"0",
        ));
    }
    for (name, image) in [
        ("/tmp/out.png", &images[0].0),
        ("a/../../out.png", &images[0].0),
        ("bomb.png", &bomb()),
    ] {
        bytes.extend(tar_entry(name, tar::EntryType::Regular, image));
        bytes.extend(tar_entry(
            &name.replace("png", "cls"),
            tar::EntryType::Regular,
            b"1\n",
        ));
    }
    bytes.extend(tar_entry("alone.cls", tar::EntryType::Regular, b"1"));
    write(&dir.path().join("train-0.tar"), &bytes);
    let (labels, skipped) = loaded(dir.path(), &small(64, 7));
    assert_eq!(labels, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    let expected = [
        ("a/../../out.png", "leads out of the archive"),
        ("train-0.tar/alone", "has no image"),
        ("bomb.png", "none or too many"),
        ("fifo.png", "no plain file"),
        ("hard.png", "a link"),
        ("link.png", "a link"),
        ("train-0.tar//tmp/out.png", "leads out of the archive"),
    ];
    told(&skipped, &expected);
}

#[test]
fn what_is_wrong_with_shards_is_told() {
    let (_folder, images) = images(2, 4);
    let mut label = images.clone();
    label[5].1 = 7;
    let named = |rows: &[Row], names: [&str; 2]| {
        let classes = Some(names.map(str::to_string).to_vec());
        parquet(
            rows,
            &RowsOf {
                classes,
                ..RowsOf::default()
            },
        )
    };
    let plain = |rows: &[Row]| parquet(rows, &RowsOf::default());
    let other = RowsOf {
        image: "picture",
        ..RowsOf::default()
    };
    let good = plain(&rows(&images));
    let mut none = rows(&images);
    none[2].label = None;
    let check = |files: &[(&str, Vec<u8>)], needles: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            write(&dir.path().join(name), bytes);
        }
        let error = refused(open(dir.path(), &DataConfig::default()), needles);
        assert!(error.hint().is_some(), "{error}");
    };
    check(
        &[("a.parquet", named(&rows(&label), ["x", "y"]))],
        &["a.parquet", "a label from 0 to 1", "7 in row 5"],
    );
    check(
        &[("a.parquet", plain(&none))],
        &["a label for every image", "1 of 8"],
    );
    check(
        &[("a.parquet", good[..good.len() - 9].to_vec())],
        &["a whole Parquet file"],
    );
    check(
        &[("a.parquet", b"PAR1".to_vec())],
        &["a whole Parquet file"],
    );
    check(
        &[
            ("a.parquet", good.clone()),
            ("b.parquet", parquet(&rows(&images), &other)),
        ],
        &["b.parquet", "`image`", "`picture`"],
    );
    check(
        &[
            ("train.parquet", good.clone()),
            ("test.parquet", plain(&rows(&label))),
        ],
        &["test.parquet", "labels from 0 to 1", "got 7"],
    );
    check(
        &[("x/train.parquet", good.clone()), ("y/train.parquet", good)],
        &["`x`, `y`"],
    );
    let no_image = RowsOf {
        image: "",
        ..RowsOf::default()
    };
    check(
        &[("a.parquet", parquet(&rows(&images), &no_image))],
        &["a.parquet", "a column of images"],
    );

    let archive = samples(&images);
    check(
        &[("a.tar", archive[..archive.len() / 2 + 100].to_vec())],
        &["a whole tar file"],
    );
    check(&[("a.tar", b"x".repeat(2000))], &["a whole tar file"]);
    check(
        &[("a.tar", Vec::new())],
        &["a.tar", "expected images, got none"],
    );
    check(&[("a.tar.gz", Vec::new())], &["a.tar.gz", "not compressed"]);
    // The header is sound and says more than the file holds.
    let mut liar = tar_entry("0.png", tar::EntryType::Regular, &images[0].0);
    liar[124..135].copy_from_slice(b"77777777777");
    let sum: u32 = (0..512)
        .map(|i| {
            if (148..156).contains(&i) {
                32
            } else {
                u32::from(liar[i])
            }
        })
        .sum();
    liar[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    check(&[("a.tar", liar)], &["`0.png` of 8589934591 bytes"]);
    let one = |name: &str, bytes: &[u8]| (name.to_string(), bytes.to_vec());
    let image = &images[0].0;
    check(
        &[("a.tar", tar(&[one("0.png", image), one("0.jpg", image)]))],
        &["one image in a sample", "`0.png` and `0.jpg`"],
    );
    check(
        &[("a.tar", tar(&[one("0.png", image), one("0.cls", b"dog")]))],
        &["0.cls", "the number of a class", "`dog`"],
    );
    check(
        &[(
            "a.tar",
            tar(&[one("0.png", image), one("0.cls", b"4000000000")]),
        )],
        &["a label from 0 to 999999", "4000000000"],
    );
    check(
        &[(
            "a.tar",
            tar(&[one("0.png", image), one("0.json", b"{"), one("1.cls", b"1")]),
        )],
        &["0.json", "JSON"],
    );
    check(
        &[(
            "a.tar",
            tar(&[one("0.png", image), one("0.cls", b"0"), one("1.png", image)]),
        )],
        &["a label for every image", "1 of 2"],
    );
}

#[test]
fn tables_and_archives_beside_folders_are_let_be() {
    let (folder, images) = images(2, 3);
    let no_image = RowsOf {
        image: "",
        ..RowsOf::default()
    };
    let table = parquet(&rows(&images), &no_image);
    write(&folder.path().join("train/metadata.parquet"), &table);
    write(&folder.path().join("train.tar"), &samples(&images));
    assert_eq!(opened(folder.path()).kind, "image folder");
}

/// Reads a damaged file as far as it goes.
fn survives(name: &str, bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join(name), bytes);
    if let Ok(source) = open(dir.path(), &small(0, 3)) {
        // An error is as good as none: nothing may panic, hang or take all memory.
        let _ = all(&source);
    }
}

fn changed(mut bytes: Vec<u8>, changes: &[(usize, u8)], keep: usize) -> Vec<u8> {
    for &(place, byte) in changes {
        let place = place % bytes.len();
        bytes[place] = byte;
    }
    bytes.truncate(keep.max(1));
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6)
}

proptest! {
    #[test]
    fn damaged_parquet_files_end_in_errors(
        changes in changes(), dictionary: bool, footer: bool, cut in 0..20usize
    ) {
        let form = RowsOf { rows_a_page: 3, dictionary, ..RowsOf::default() };
        let bytes = parquet(&rows(&images(2, 4).1), &form);
        // Most of a file is images; what is said of them lies at the end.
        let from = if footer { bytes.len() - bytes.len() / 4 } else { 0 };
        let span = bytes.len() - from;
        let moved: Vec<_> = changes.iter().map(|&(i, byte)| (from + i % span, byte)).collect();
        let keep = bytes.len() - cut.saturating_sub(15);
        survives("a.parquet", &changed(bytes, &moved, keep));
    }

    #[test]
    fn damaged_archives_end_in_errors(changes in changes(), header: bool, cut in 0..8000usize) {
        let bytes = samples(&images(2, 4).1);
        let place = |i: usize| if header { i / 512 * 1024 % bytes.len() + i % 512 } else { i };
        let moved: Vec<_> = changes.iter().map(|&(i, byte)| (place(i % bytes.len()), byte)).collect();
        let keep = bytes.len() - cut.saturating_sub(6000);
        survives("a.tar", &changed(bytes, &moved, keep));
    }
}
