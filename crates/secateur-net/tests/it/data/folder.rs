//! Folders of images.

use std::path::Path;

use secateur_net::data::{Colour, DataConfig, Dataset, Pixels, Resize, Source, open};

use super::make::{class_folders, jpeg, plain, png, png_of, webp, write};
use super::{opened, refused};

fn bytes(data: &dyn Dataset, index: usize) -> Vec<u8> {
    match data.image(index).unwrap() {
        Pixels::Bytes(bytes) => bytes.into_owned(),
        Pixels::Floats(_) => panic!("images are bytes"),
    }
}

/// The only image of a folder that holds `file`, as `[c, h, w]`.
fn read_as(file: &[u8], input: [usize; 3], resize: Resize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("train/a/0.png"), file);
    let source = opened(folder.path()).fitted(input, resize, Colour::Rgb);
    bytes(source.train.as_ref(), 0)
}

fn near(a: &[u8], b: &[u8], tolerance: u8) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= tolerance)
}

#[test]
fn jpeg_png_and_webp_in_class_folders() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let picture = |y: usize, x: usize| [(y * 20) as u8, (x * 20) as u8, 90];
    write(
        &dir.join("train/dog/1.jpg"),
        &jpeg([9, 8], &plain([200, 30, 60])),
    );
    write(
        &dir.join("train/dog/2.JPEG"),
        &jpeg([9, 8], &plain([10, 250, 60])),
    );
    write(
        &dir.join("train/cat/deep/er/b.webp"),
        &webp([9, 8], &picture),
    );
    write(&dir.join("train/cat/a.png"), &png([9, 8], &picture));
    // Named wrongly: the content counts.
    write(&dir.join("train/cat/z.jpg"), &png([9, 8], &picture));
    write(&dir.join("train/cat/notes.txt"), b"no image");
    write(&dir.join("train/cat/.hidden.png"), b"no image");
    write(&dir.join("test/dog/1.png"), &png([9, 8], &picture));
    let source = opened(dir);
    assert_eq!(source.kind, "image folder");
    assert_eq!(source.train.class_names(), ["cat", "dog"]);
    assert_eq!(source.class_counts(), [3, 2]);
    assert_eq!(source.own_shape().unwrap(), [9, 8, 3]);
    let train = source.train.as_ref();
    let labels: Vec<usize> = (0..5).map(|i| train.label(i)).collect();
    assert_eq!(labels, [0, 0, 0, 1, 1]);
    let expected: Vec<u8> = (0..72).flat_map(|i| picture(i / 8, i % 8)).collect();
    for lossless in 0..3 {
        assert_eq!(bytes(train, lossless), expected, "image {lossless}");
    }
    assert!(near(&bytes(train, 3), &[200, 30, 60].repeat(72), 3));
    assert!(near(&bytes(train, 4), &[10, 250, 60].repeat(72), 3));
    let test = source.test.clone().unwrap();
    assert_eq!((test.len(), test.label(0)), (1, 1));
    assert_eq!(source.notes.len(), 2, "{:?}", source.notes);
    assert!(source.notes[0].contains("1 file") && source.notes[0].contains("notes.txt"));
    assert!(source.notes[1].contains("1 of 2 classes") && source.notes[1].contains("`cat`"));
}

#[test]
fn classes_txt_gives_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    class_folders(&dir.join("train"), &["ant", "bee", "cow"], 2, [4, 4]);
    write(&dir.join("classes.txt"), b"cow\n\nant \ndodo\nbee\n");
    let source = opened(dir);
    assert_eq!(source.train.class_names(), ["cow", "ant", "dodo", "bee"]);
    assert_eq!(source.class_counts(), [2, 2, 0, 2]);
    assert!(source.notes[0].contains("1 of 4 classes") && source.notes[0].contains("`dodo`"));

    write(&dir.join("classes.txt"), b"ant\nbee\n");
    let open = || open(dir, &DataConfig::default());
    let error = refused(open(), &["`cow`", "`ant`, `bee`"]);
    assert!(error.hint().unwrap().contains("classes.txt"));
    write(&dir.join("classes.txt"), b"ant\nbee\nant\ncow");
    refused(open(), &["classes.txt", "`ant` twice"]);
    write(&dir.join("classes.txt"), b"\n \n");
    refused(open(), &["classes.txt", "no line"]);
}

#[test]
fn parts_by_their_usual_names() {
    let check = |parts: &[(&str, usize)], expected: (usize, usize, usize)| {
        let folder = tempfile::tempdir().unwrap();
        for (part, n) in parts {
            class_folders(&folder.path().join(part), &["a", "b"], *n, [3, 3]);
        }
        let source = opened(folder.path());
        let splits = source.splits(0, 0.5, 7).unwrap();
        let n_test = source.test.as_ref().map_or(0, |test| test.len());
        let n_validation = splits.search.len() + splits.confirm.len();
        assert_eq!(
            (splits.train.len(), n_validation, n_test),
            expected,
            "{parts:?}"
        );
        // The given validation part lies behind the training part.
        let behind = |i: &usize| *i >= splits.train.len();
        assert!(splits.search.iter().chain(&splits.confirm).all(behind));
    };
    check(&[("train", 5), ("test", 2)], (10, 0, 4));
    check(&[("train", 5), ("val", 3), ("test", 2)], (10, 6, 4));
    check(
        &[("training", 5), ("validation", 3), ("testing", 2)],
        (10, 6, 4),
    );
    // Without a test part, the validation part is it.
    check(&[("train", 5), ("valid", 3)], (10, 0, 6));
    check(&[("train", 5)], (10, 0, 0));
}

#[test]
fn without_parts_a_test_part_is_set_apart_by_seed() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(folder.path(), &["a", "b"], 20, [3, 3]);
    let open = |test_seed| {
        let config = DataConfig {
            test_seed,
            test_share: 0.2,
            ..DataConfig::default()
        };
        open(folder.path(), &config).unwrap()
    };
    let pixels = |source: &Source| -> Vec<Vec<u8>> {
        let test = source.test.as_ref().unwrap();
        (0..test.len()).map(|i| bytes(test.as_ref(), i)).collect()
    };
    let source = open(1);
    assert_eq!(source.class_counts(), [16, 16]);
    assert_eq!(source.test.as_ref().unwrap().len(), 8);
    assert!(
        source.notes[0].contains("8 of 40 images are set apart"),
        "{:?}",
        source.notes
    );
    assert_eq!(pixels(&open(1)), pixels(&source));
    assert_ne!(pixels(&open(2)), pixels(&source));
    // No image is in both.
    let train: Vec<Vec<u8>> = (0..32).map(|i| bytes(source.train.as_ref(), i)).collect();
    assert!(pixels(&source).iter().all(|image| !train.contains(image)));
}

#[test]
fn grey_and_colour_become_what_the_network_takes() {
    use png::{BitDepth, ColorType};
    let grey = png_of(
        [1, 2],
        ColorType::Grayscale,
        BitDepth::Eight,
        None,
        &[10, 250],
    );
    let crop = Resize::default();
    assert_eq!(read_as(&grey, [3, 1, 2], crop), [10, 10, 10, 250, 250, 250]);
    assert_eq!(read_as(&grey, [1, 1, 2], crop), [10, 250]);
    let colour = png([1, 2], &|_, x| [[255, 0, 0], [10, 20, 30]][x]);
    assert_eq!(read_as(&colour, [1, 1, 2], crop), [76, 18]);
    let alpha = [1, 2, 3, 0, 4, 5, 6, 255];
    let rgba = png_of([1, 2], ColorType::Rgba, BitDepth::Eight, None, &alpha);
    assert_eq!(read_as(&rgba, [3, 1, 2], crop), [1, 2, 3, 4, 5, 6]);
    let grey_alpha = png_of(
        [1, 2],
        ColorType::GrayscaleAlpha,
        BitDepth::Eight,
        None,
        &[7, 0, 9, 255],
    );
    assert_eq!(read_as(&grey_alpha, [1, 1, 2], crop), [7, 9]);
    assert_eq!(read_as(&grey_alpha, [3, 1, 2], crop), [7, 7, 7, 9, 9, 9]);
    let deep = [0x80, 0xff, 0x12, 0x34];
    let sixteen = png_of([1, 2], ColorType::Grayscale, BitDepth::Sixteen, None, &deep);
    assert_eq!(read_as(&sixteen, [1, 1, 2], crop), [0x80, 0x12]);
    let palette = [9, 8, 7, 1, 2, 3];
    let indexed = png_of(
        [1, 2],
        ColorType::Indexed,
        BitDepth::Eight,
        Some(&palette),
        &[1, 0],
    );
    assert_eq!(read_as(&indexed, [3, 1, 2], crop), [1, 2, 3, 9, 8, 7]);
    // Grey files alone make a grey data set; one in colour makes it colour.
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("train/a/0.png"), &grey);
    assert_eq!(opened(folder.path()).own_shape().unwrap(), [1, 2, 1]);
    write(&folder.path().join("train/b/0.png"), &colour);
    assert_eq!(opened(folder.path()).own_shape().unwrap(), [1, 2, 3]);
}

#[test]
fn images_get_the_networks_size() {
    // Left third red, middle green, right blue; the middle square of it is green.
    let picture = |_: usize, x: usize| [[255, 0, 0], [0, 255, 0], [0, 0, 255]][x / 12];
    let file = png([12, 36], &picture);
    let crop = read_as(&file, [3, 4, 4], Resize::Crop(1.0));
    // As after scaling all of it: the filter of the outer columns reaches over the window's
    // edge, by (1 - 2/3) / 3 = 1/9 of its weight.
    let row = [28, 227, 0, 0, 255, 0, 0, 255, 0, 0, 227, 28];
    assert_eq!(crop, row.repeat(4));
    let stretch = read_as(&file, [3, 2, 3], Resize::Stretch);
    // The triangle of a column reaches 12 pixels to both sides: 3/4 of it lie on the column's
    // own third and 1/8 on each neighbour, of which the outer columns have only one.
    let row = [219, 36, 0, 32, 191, 32, 0, 36, 219].repeat(2);
    assert!(near(&stretch, &row, 1), "{stretch:?}");
    // A share below 1 cuts away the border.
    let frame = |y: usize, x: usize| {
        let inside = (4..28).contains(&y) && (4..28).contains(&x);
        if inside { [0, 0, 200] } else { [255; 3] }
    };
    let file = png([32, 32], &frame);
    let all = read_as(&file, [3, 8, 8], Resize::Crop(1.0));
    assert!(all[0] > 100, "the frame is in it: {}", all[0]);
    let middle = read_as(&file, [3, 8, 8], Resize::Crop(0.5));
    assert_eq!(middle, [0, 0, 200].repeat(64));
    // Upwards as well.
    let small = png([1, 1], &plain([9, 8, 7]));
    assert_eq!(
        read_as(&small, [3, 5, 3], Resize::Crop(1.0)),
        [9, 8, 7].repeat(15)
    );
    assert_eq!(read_as(&small, [1, 2, 2], Resize::Stretch), [8; 4]);
}

#[test]
fn sizes_that_differ_need_a_size() {
    let folder = tempfile::tempdir().unwrap();
    class_folders(&folder.path().join("train"), &["a"], 2, [4, 6]);
    class_folders(&folder.path().join("train"), &["b"], 2, [8, 6]);
    let source = opened(folder.path());
    let error = refused(source.own_shape(), &["4x6", "8x6"]);
    assert!(error.hint().unwrap().contains("`image_size`"));
    let fitted = source.fitted([3, 5, 5], Resize::default(), Colour::Rgb);
    assert_eq!(bytes(fitted.train.as_ref(), 3).len(), 75);
    let config = DataConfig {
        image_size: Some([7, 9]),
        ..DataConfig::default()
    };
    let source = open(folder.path(), &config).unwrap();
    assert_eq!(source.own_shape().unwrap(), [7, 9, 3]);
    assert_eq!(bytes(source.train.as_ref(), 0).len(), 189);
}

#[test]
fn folders_that_cannot_be_used() {
    let check = |make: &dyn Fn(&Path), needles: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        refused(open(folder.path(), &DataConfig::default()), needles);
    };
    let classes = |dir: &Path| class_folders(dir, &["a", "b"], 2, [3, 3]);
    check(
        &|dir| {
            classes(&dir.join("train"));
            std::fs::create_dir(dir.join("train/c")).unwrap();
        },
        &["train/c", "no images"],
    );
    check(
        &|dir| {
            classes(&dir.join("train"));
            write(&dir.join("train/c/readme.txt"), b"soon");
        },
        &["train/c", "no images"],
    );
    check(
        &|dir| std::fs::create_dir(dir.join("train")).unwrap(),
        &["train", "no images"],
    );
    check(
        &|dir| {
            classes(&dir.join("train"));
            class_folders(&dir.join("test"), &["b", "zebra"], 1, [3, 3]);
        },
        &["test", "`zebra`", "`a`, `b`"],
    );
    check(
        &|dir| {
            classes(&dir.join("train"));
            std::fs::create_dir_all(dir.join("test/a")).unwrap();
        },
        &["test/a", "no images"],
    );
    check(
        &|dir| write(&dir.join("notes.txt"), b"no image"),
        &["train/<class>/<image>", "notes.txt"],
    );
    check(&|_| {}, &["it is empty"]);
    check(
        &|dir| write(&dir.join("train/a/0.jpg"), b"no image"),
        &["train/a/0.jpg", "no JPEG, PNG or WebP"],
    );
}
