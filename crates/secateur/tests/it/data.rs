//! Folders of images from training to the report.

use std::path::{Path, PathBuf};

use secateur_onnx::model::Model;
use serde_json::Value;

use crate::common::{path, quick_config, run, stderr};

/// `n` images of 12x12 a class: stripes across, along, or none, with noise.
pub fn folder(dir: &Path, part: &str, classes: &[&str], n: usize) {
    for (class, name) in classes.iter().enumerate() {
        let folder = dir.join(part).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..n {
            let pixels: Vec<u8> = (0..144)
                .flat_map(|p| {
                    let (y, x) = (p / 12, p % 12);
                    let stripe = [y % 4 < 2, x % 4 < 2, false][class % 3];
                    let noise = ((p * 31 + i * 17) % 40) as u8;
                    let light = if stripe { 200 } else { 30 };
                    [light + noise, light, 255 - light]
                })
                .collect();
            let file = std::fs::File::create(folder.join(format!("{i:03}.png"))).unwrap();
            let mut encoder = png::Encoder::new(file, 12, 12);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&pixels).unwrap();
        }
    }
}

fn train(data: &Path, output: &Path, extra: &[&str]) -> std::process::Output {
    let mut args = vec!["train", "--data", path(data), "--widths", "4,M,6,M"];
    args.extend(["--hidden", "8", "--epochs", "3", "--batch-size", "16"]);
    args.extend(["-o", path(output)]);
    args.extend(extra);
    run(&args)
}

/// A data folder with one damaged image, and a network trained on it.
fn trained(dir: &Path) -> (PathBuf, PathBuf) {
    let data = dir.join("data");
    folder(&data, "train", &["across", "along", "plain"], 30);
    folder(&data, "test", &["across", "along", "plain"], 10);
    std::fs::write(
        data.join("train/along/broken.jpg"),
        [0xff, 0xd8, 0xff, 0xe0],
    )
    .unwrap();
    let net = dir.join("net.onnx");
    let flags = [
        "--flip",
        "--max-shift",
        "1",
        "--normalise",
        "half",
        "--colour",
        "bgr",
    ];
    let output = train(&data, &net, &flags);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stderr(&output);
    for needle in ["left out", "broken.jpg"] {
        assert!(text.contains(needle), "`{needle}` is not in: {text}");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for needle in ["3 classes: across, along, plain", "1 image left out"] {
        assert!(text.contains(needle), "`{needle}` is not in: {text}");
    }
    (data, net)
}

fn json(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_folder_from_training_to_the_report() {
    let dir = tempfile::tempdir().unwrap();
    let (data, net) = trained(dir.path());
    let model = Model::read(&net).unwrap();
    let carried = |key: &str| model.metadata(key).unwrap().to_string();
    assert_eq!(
        carried("secateur.normalisation"),
        r#"{"mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}"#
    );
    assert_eq!(
        carried("secateur.preprocessing"),
        r#"{"resize":"crop","colour":"bgr"}"#
    );
    assert_eq!(carried("secateur.classes"), r#"["across","along","plain"]"#);

    // What the model carries is what `eval` uses: another colour order is another result.
    let eval = |extra: &[&str]| {
        let mut args = vec!["eval", path(&net), "--data", path(&data), "--json"];
        args.extend(extra);
        json(&run(&args))
    };
    let result = eval(&[]);
    assert_eq!(result["images"], 30);
    assert_eq!(result["classes"][1]["name"], "along");
    assert_eq!(eval(&["--colour", "bgr", "--normalise", "half"]), result);
    assert_ne!(eval(&["--colour", "rgb"])["loss"], result["loss"]);
    assert_ne!(eval(&["--normalise", "none"])["loss"], result["loss"]);
    let streamed = eval(&["--cache-mib", "0"]);
    assert_eq!(streamed, result, "decoded beside the work");

    let shown = json(&run(&[
        "inspect",
        path(&net),
        "--data",
        path(&data),
        "--json",
    ]));
    assert_eq!(shown["classes"][1]["train"], 31);
    assert_eq!(
        shown["fit"]["skipped"][0]["path"],
        path(&data.join("train/along/broken.jpg"))
    );

    let small = dir.path().join("small.onnx");
    let mode =
        r#"{ kind = "ceca", budgets = [{ metric = "params", remaining = 0.6 }], max_drop = 0.0 }"#;
    let config = quick_config(dir.path(), mode);
    let output = run(&[
        "prune",
        path(&net),
        "--data",
        path(&data),
        "--flip",
        "--config",
        path(&config),
        "-o",
        path(&small),
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("1 image cannot be decoded"), "{text}");
    let run_dir = dir.path().join("small.onnx.run");
    let report = std::fs::read_to_string(run_dir.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let figures = &report["data"];
    assert_eq!(figures["kind"], "image folder");
    assert_eq!(figures["colour"], "bgr");
    assert_eq!(figures["n_test"], 30);
    assert_eq!(figures["skipped"].as_array().unwrap().len(), 1);
    let n = |key: &str| figures[key].as_u64().unwrap();
    assert_eq!(n("n_train") + n("n_search") + n("n_confirm"), 90);
    let page = std::fs::read_to_string(run_dir.join("report.html")).unwrap();
    assert!(page.contains("broken.jpg") && page.contains("1 of at most 10 images"));
    let written = Model::read(&small).unwrap();
    assert_eq!(
        written.metadata("secateur.classes"),
        model.metadata("secateur.classes")
    );
}

#[test]
fn data_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let (data, net) = trained(dir.path());
    let check = |data: &Path, extra: &[&str], needles: &[&str]| {
        let mut args = vec!["eval", path(&net), "--data", path(data)];
        args.extend(extra);
        let output = run(&args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        for needle in needles {
            assert!(text.contains(needle), "`{needle}` is not in: {text}");
        }
    };
    check(
        &data,
        &[
            "--max-skipped",
            "0",
            "--split",
            "train",
            "--normalise",
            "measured",
        ],
        &[
            "more than 0 images",
            "broken.jpg",
            "hint: ",
            "--max-skipped",
        ],
    );
    check(
        &data,
        &["--normalise", "0.5/0.5"],
        &["3 means", "0.5/0.5", "hint: name one of"],
    );
    let more = dir.path().join("more");
    folder(&more, "train", &["across", "along", "plain", "round"], 8);
    check(
        &more,
        &[],
        &["item 24", "label 3 (class `round`)", "3 classes", "hint: "],
    );
    std::fs::write(data.join("classes.txt"), "plain\nalong\nacross\n").unwrap();
    check(
        &data,
        &[],
        &[
            "output 0 of the network is `across`",
            "`plain`",
            "classes.txt",
        ],
    );
    // A class that is missing moves the others to numbers of other classes.
    let fewer = dir.path().join("fewer");
    folder(&fewer, "train", &["along", "plain"], 8);
    check(
        &fewer,
        &[],
        &[
            "output 0 of the network is `across`",
            "class 0 of the data is `along`",
            "hint: ",
        ],
    );
    // Without parts, a model remembers which images were set apart.
    let plain = dir.path().join("plain");
    folder(&plain, ".", &["across", "along"], 20);
    let other = dir.path().join("other.onnx");
    let output = train(&plain, &other, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("4 of 40 images are set apart"));
    let config = dir.path().join("other.toml");
    std::fs::write(
        &config,
        "mode = { kind = \"aec\", max_drop = 0.0 }\n[data]\ntest_seed = 5\n",
    )
    .unwrap();
    let output = run(&[
        "prune",
        path(&other),
        "--data",
        path(&plain),
        "--config",
        path(&config),
        "-o",
        path(&dir.path().join("x.onnx")),
    ]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("by seed 5 are set apart")
            && text.contains("it was 10 % of each class or folder by seed 0"),
        "{text}"
    );
}
