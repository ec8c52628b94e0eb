//! Arrays of NumPy.

use std::path::Path;

use secateur_net::data::{DataConfig, DataError, Dataset, Layout, Pixels, Source, open};

use super::make::{npy, npz, write};
use super::{opened, refused};

/// Values of an image, as floats.
fn values(data: &dyn Dataset, index: usize) -> Vec<f32> {
    match data.image(index).unwrap() {
        Pixels::Bytes(bytes) => bytes.iter().map(|&b| f32::from(b)).collect(),
        Pixels::Floats(floats) => floats.to_vec(),
    }
}

/// Four images of 2x3x3 whose value is unique: `[n, h, w, c]` of 0..72.
fn pixel(n: usize, y: usize, x: usize, c: usize) -> u8 {
    (((n * 2 + y) * 3 + x) * 3 + c) as u8
}

fn labels() -> Vec<u8> {
    npy("|u1", false, &[4], &[2, 0, 1, 0])
}

fn source(images: &[u8], labels: &[u8], config: &DataConfig) -> Result<Source, DataError> {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("x_train.npy"), images);
    write(&folder.path().join("y_train.npy"), labels);
    open(folder.path(), config)
}

#[test]
fn every_type_layout_and_order_gives_the_same_images() {
    // The value of image, row, column, channel in an array of this shape and order.
    let array =
        |layout: Layout, fortran: bool, put: &dyn Fn(u8) -> Vec<u8>| -> (Vec<usize>, Vec<u8>) {
            let shape = match layout {
                Layout::Nhwc => vec![4, 2, 3, 3],
                Layout::Nchw => vec![4, 3, 2, 3],
            };
            let mut bytes = Vec::new();
            for i in 0..72 {
                let mut rest = i;
                let mut index = [0; 4];
                let axes: Vec<usize> = if fortran {
                    (0..4).collect()
                } else {
                    (0..4).rev().collect()
                };
                for axis in axes {
                    index[axis] = rest % shape[axis];
                    rest /= shape[axis];
                }
                let [n, a, b, c] = index;
                bytes.extend(put(match layout {
                    Layout::Nhwc => pixel(n, a, b, c),
                    Layout::Nchw => pixel(n, b, c, a),
                }));
            }
            (shape, bytes)
        };
    type Encode = fn(u8) -> Vec<u8>;
    let types: [(&str, Encode); 11] = [
        ("|u1", |v| vec![v]),
        ("|i1", |v| vec![v]),
        ("<u2", |v| u16::from(v).to_le_bytes().into()),
        (">u2", |v| u16::from(v).to_be_bytes().into()),
        ("<i4", |v| i32::from(v).to_le_bytes().into()),
        ("<i8", |v| i64::from(v).to_le_bytes().into()),
        (">i8", |v| i64::from(v).to_be_bytes().into()),
        ("<f2", |v| {
            half::f16::from_f32(f32::from(v)).to_le_bytes().into()
        }),
        ("<f4", |v| f32::from(v).to_le_bytes().into()),
        (">f4", |v| f32::from(v).to_be_bytes().into()),
        ("<f8", |v| f64::from(v).to_le_bytes().into()),
    ];
    for (descr, put) in types {
        for layout in [Layout::Nhwc, Layout::Nchw] {
            for fortran in [false, true] {
                let case = format!("{descr} {layout} {fortran}");
                let (shape, bytes) = array(layout, fortran, &put);
                let images = npy(descr, fortran, &shape, &bytes);
                let config = DataConfig {
                    layout: Some(layout),
                    ..DataConfig::default()
                };
                let source = source(&images, &labels(), &config).unwrap();
                assert_eq!(source.train.image_shape(), [2, 3, 3], "{case}");
                for n in 0..4 {
                    let expected: Vec<f32> = (0..18)
                        .map(|i| f32::from(pixel(n, i / 9, i / 3 % 3, i % 3)))
                        .collect();
                    assert_eq!(values(source.train.as_ref(), n), expected, "{case}");
                }
                let is_float = descr.contains('f');
                let image = source.train.image(0).unwrap();
                assert_eq!(matches!(image, Pixels::Floats(_)), is_float, "{case}");
            }
        }
    }
}

#[test]
fn layouts_are_seen_from_the_extents() {
    let check = |shape: &[usize], expected: Result<[usize; 3], &str>| {
        let n: usize = shape.iter().product();
        let images = npy("|u1", false, shape, &vec![5; n]);
        let found = source(&images, &labels(), &DataConfig::default());
        match expected {
            Ok(expected) => assert_eq!(found.unwrap().train.image_shape(), expected, "{shape:?}"),
            Err(needle) => {
                let error = refused(found, &[needle, "x_train.npy"]);
                assert!(error.hint().is_some() || needle == "no images");
            }
        }
    };
    check(&[4, 28, 20], Ok([28, 20, 1]));
    check(&[4, 28, 20, 1], Ok([28, 20, 1]));
    check(&[4, 28, 20, 3], Ok([28, 20, 3]));
    check(&[4, 3, 28, 20], Ok([28, 20, 3]));
    check(&[4, 1, 28, 20], Ok([28, 20, 1]));
    check(&[4, 3, 28, 3], Err("both of axis 1 and axis 3"));
    check(&[4, 28, 20, 16], Err("neither of axis 1 and axis 3"));
    check(&[4, 784], Err("[n, h, w]"));
    check(&[0, 28, 28], Err("no images"));
}

#[test]
fn labels_of_every_form() {
    let images = npy("|u1", false, &[4, 5, 5], &[1; 100]);
    let check = |labels: Vec<u8>, expected: &[usize]| {
        let source = source(&images, &labels, &DataConfig::default()).unwrap();
        let found: Vec<usize> = (0..4).map(|i| source.train.label(i)).collect();
        assert_eq!(found, expected);
        assert_eq!(source.train.n_classes(), expected.iter().max().unwrap() + 1);
    };
    let i64s = |values: &[i64]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let f32s = |values: &[f32]| {
        values
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    check(npy("|u1", false, &[4], &[2, 0, 1, 0]), &[2, 0, 1, 0]);
    check(npy("<i8", false, &[4], &i64s(&[3, 3, 0, 1])), &[3, 3, 0, 1]);
    check(
        npy("<i8", false, &[4, 1], &i64s(&[3, 3, 0, 1])),
        &[3, 3, 0, 1],
    );
    check(
        npy("<f4", false, &[4], &f32s(&[1.0, 0.0, 2.0, 2.0])),
        &[1, 0, 2, 2],
    );
    check(npy("|b1", false, &[4], &[1, 0, 1, 1]), &[1, 0, 1, 1]);
    let one_hot = [0., 1., 0., 1., 0., 0., 0., 0., 1., 0., 0., 1.];
    check(npy("<f4", false, &[4, 3], &f32s(&one_hot)), &[1, 0, 2, 2]);
    let columns = [0., 1., 0., 0., 1., 0., 0., 0., 0., 0., 1., 1.];
    check(npy("<f4", true, &[4, 3], &f32s(&columns)), &[1, 0, 2, 2]);

    let check = |labels: Vec<u8>, needles: &[&str]| {
        let mut all = vec!["y_train.npy"];
        all.extend(needles);
        refused(source(&images, &labels, &DataConfig::default()), &all);
    };
    check(
        npy("<i8", false, &[4], &i64s(&[0, 1, -1, 0])),
        &["whole numbers from 0", "-1 at index 2"],
    );
    check(
        npy("<f4", false, &[4], &f32s(&[0.0, 0.5, 1.0, 1.0])),
        &["0.5 at index 1"],
    );
    check(
        npy("<f4", false, &[4], &f32s(&[0.0, 1.0, 1.0, f32::NAN])),
        &["NaN at index 3"],
    );
    check(
        npy("<i8", false, &[4], &i64s(&[0, 1 << 40, 1, 0])),
        &["1099511627776"],
    );
    check(
        npy("<f4", false, &[4, 3], &f32s(&[1.0; 12])),
        &["a single 1", "row 0"],
    );
    check(
        npy("|u1", false, &[2, 2, 1], &[0; 4]),
        &["[n, classes]", "[2, 2, 1]"],
    );
    check(npy("|u1", false, &[3], &[0; 3]), &["4 images", "3 labels"]);
    check(
        npy("<U1", false, &[4], &[0; 16]),
        &["whole numbers or floats", "<U1"],
    );
}

#[test]
fn images_that_cannot_be_used() {
    let check = |images: Vec<u8>, needles: &[&str]| {
        let mut all = vec!["x_train.npy"];
        all.extend(needles);
        refused(source(&images, &labels(), &DataConfig::default()), &all);
    };
    let good = npy("|u1", false, &[4, 5, 5], &[1; 100]);
    check(good[..good.len() - 1].to_vec(), &["100 values", "99 bytes"]);
    check(good[..40].to_vec(), &["breaks off"]);
    check(good[..7].to_vec(), &["breaks off"]);
    check(Vec::new(), &["breaks off"]);
    check(b"no array at all".to_vec(), &["an npy array"]);
    check([good.clone(), vec![0]].concat(), &["more bytes"]);
    let wide: Vec<u8> = (0..100i32).flat_map(|i| (200 + i).to_le_bytes()).collect();
    check(
        npy("<i4", false, &[4, 5, 5], &wide),
        &["0 to 255", "256 at index 56"],
    );
    let mut floats = vec![0.5f32; 100];
    floats[7] = f32::INFINITY;
    let bytes: Vec<u8> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
    check(
        npy("<f4", false, &[4, 5, 5], &bytes),
        &["finite", "inf at [0, 1, 2]"],
    );
    check(npy("|b1", false, &[4, 5, 5], &[0; 100]), &["truth values"]);
    check(npy("<c8", false, &[4, 5, 5], &[0; 800]), &["<c8"]);
    // A claim of 10^15 values costs no memory.
    check(
        npy("|u1", false, &[1_000_000, 1000, 1_000_000], &[0; 10]),
        &["10 bytes"],
    );
    check(
        npy("<f8", false, &[usize::MAX, 3, 3], &[0; 10]),
        &["fits in memory"],
    );
    let mut version = good;
    version[6] = 9;
    check(version, &["version 9"]);
}

fn images(n: usize) -> Vec<u8> {
    npy("|u1", false, &[n, 5, 5], &vec![1; 25 * n])
}

fn classes(n: usize) -> Vec<u8> {
    let values: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
    npy("|u1", false, &[n], &values)
}

/// Numbers of training, validation and test images.
fn counts(path: &Path) -> (usize, usize, usize) {
    let source = opened(path);
    let splits = source.splits(0, 0.0, 0).unwrap();
    (
        splits.train.len(),
        splits.search.len(),
        source.test.as_ref().map_or(0, |test| test.len()),
    )
}

#[test]
fn names_in_folders_and_archives() {
    let check = |arrays: &[(&str, usize)], expected: (usize, usize, usize)| {
        let named: Vec<(&str, Vec<u8>)> = arrays
            .chunks(2)
            .flat_map(|pair| {
                [
                    (pair[0].0, images(pair[0].1)),
                    (pair[1].0, classes(pair[1].1)),
                ]
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in &named {
            write(&folder.path().join(format!("{name}.npy")), bytes);
        }
        assert_eq!(counts(folder.path()), expected, "{arrays:?} as npy");
        for deflated in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("set.npz");
            write(&file, &npz(&named, deflated));
            assert_eq!(counts(&file), expected, "{arrays:?} as npz");
            assert_eq!(
                counts(folder.path()),
                expected,
                "{arrays:?} as npz in a folder"
            );
        }
    };
    check(
        &[("x_train", 6), ("y_train", 6), ("x_test", 4), ("y_test", 4)],
        (6, 0, 4),
    );
    check(&[("X_train", 6), ("Y_train", 6)], (6, 0, 0));
    check(
        &[
            ("train_images", 6),
            ("train_labels", 6),
            ("val_images", 3),
            ("val_labels", 3),
            ("test_images", 4),
            ("test_labels", 4),
        ],
        (6, 3, 4),
    );
    // Without a test part, the validation part is it.
    check(
        &[
            ("train_x", 6),
            ("train_y", 6),
            ("valid_x", 3),
            ("valid_y", 3),
        ],
        (6, 0, 3),
    );
    // Without parts, a tenth of each class is set apart.
    check(&[("images", 40), ("labels", 40)], (36, 0, 4));
    check(&[("arr_0", 40), ("arr_1", 40)], (36, 0, 4));
    check(&[("data-train", 6), ("targets-train", 6)], (6, 0, 0));
}

#[test]
fn a_file_a_part() {
    let folder = tempfile::tempdir().unwrap();
    for (name, n) in [("train", 6), ("val", 3), ("test", 4)] {
        let bytes = npz(&[("images", images(n)), ("labels", classes(n))], true);
        write(&folder.path().join(format!("{name}.npz")), &bytes);
    }
    assert_eq!(counts(folder.path()), (6, 3, 4));
    std::fs::remove_file(folder.path().join("train.npz")).unwrap();
    refused(
        open(folder.path(), &DataConfig::default()),
        &["train.npz and test.npz", "val.npz"],
    );
}

#[test]
fn archives_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("set.npz");
    let check = |bytes: &[u8], needles: &[&str]| {
        write(&file, bytes);
        let mut all = vec!["set.npz"];
        all.extend(needles);
        refused(open(&file, &DataConfig::default()), &all);
    };
    let good = npz(&[("x", images(4)), ("y", classes(4))], true);
    check(&good[..good.len() / 2], &["whole npz file"]);
    check(b"", &["whole npz file"]);
    let cut = images(4)[..100].to_vec();
    check(
        &npz(&[("x", cut), ("y", classes(4))], true),
        &["x.npy", "breaks off"],
    );
    // A flipped byte in the packed values is noticed by the checksum or the unpacking.
    let mut flipped = npz(&[("x", images(4)), ("y", classes(4))], false);
    let place = flipped.len() / 4;
    flipped[place] ^= 0x55;
    write(&file, &flipped);
    assert!(open(&file, &DataConfig::default()).is_err());
    let other = folder.path().join("set.txt");
    write(&other, b"text");
    refused(
        open(&other, &DataConfig::default()),
        &["a folder or an npz file"],
    );
}

#[test]
fn class_names_of_arrays() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("x.npy"), &images(4));
    write(&folder.path().join("y.npy"), &classes(4));
    write(&folder.path().join("classes.txt"), b"cat\ndog\nbird\n");
    assert_eq!(
        opened(folder.path()).train.class_names(),
        ["cat", "dog", "bird"]
    );
    write(&folder.path().join("classes.txt"), b"cat\n");
    refused(
        open(folder.path(), &DataConfig::default()),
        &["classes.txt", "up to 1", "1 names"],
    );
    let parts = tempfile::tempdir().unwrap();
    write(&parts.path().join("x_train.npy"), &images(4));
    write(&parts.path().join("y_train.npy"), &classes(4));
    write(
        &parts.path().join("x_test.npy"),
        &npy("|u1", false, &[4, 6, 5], &[1; 120]),
    );
    write(&parts.path().join("y_test.npy"), &classes(4));
    refused(
        open(parts.path(), &DataConfig::default()),
        &["x_test.npy", "[5, 5, 1]", "[6, 5, 1]"],
    );
}

#[test]
fn headers_that_claim_too_much_or_nothing() {
    let check = |bytes: &[u8], needles: &[&str]| {
        let mut all = vec!["x_train.npy"];
        all.extend(needles);
        refused(source(bytes, &labels(), &DataConfig::default()), &all);
    };
    let with_text = |text: &str| {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend([1; 100]);
        bytes
    };
    // The length of version 2 has four bytes: 4 GiB from a file of 12.
    let long = [b"\x93NUMPY\x02\x00".as_slice(), &[0xff; 4]].concat();
    check(&long, &["at most 10000 bytes"]);
    // Twice the time with every bracket: the parser would not come back from either.
    for depth in [40, 9000] {
        let deep = format!("{{'descr': {}", "[".repeat(depth));
        check(&with_text(&deep), &["plain numbers"]);
    }
    let shaped = |descr: &str, shape: &str| {
        let rest = format!("'fortran_order': False, 'shape': {shape}");
        with_text(&format!("{{'descr': {descr}, {rest}}}\n"))
    };
    check(
        &shaped("'<f8'", "(4294967296, 4294967296)"),
        &["fits in memory"],
    );
    check(&shaped("'|O'", "(4, 5, 5)"), &["type '|O'"]);
    check(
        &shaped("[('a', '|u1')]", "(4, 5, 5)"),
        &["plain numbers", "[('a'"],
    );
    for (text, reason) in [
        ("{'descr': '<f4', 'shape': (4, 5, 5)}", "fortran_order"),
        ("{'fortran_order': True, 'shape': (4, 5, 5)}", "descr"),
        ("{'descr': '<f4', 'fortran_order': False}", "shape"),
        ("(4, 5, 5)", "dict"),
        ("", ""),
    ] {
        check(&with_text(text), &["the header of an npy array", reason]);
    }
    let negative = shaped("'<f4'", "(4, -5, 5)");
    check(&negative, &["the header of an npy array", "negative"]);
}
