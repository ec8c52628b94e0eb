//! Data without labels: folders of images that are no classes, arrays for a network's inputs.

use std::path::{Path, PathBuf};

use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde_json::Value;

use crate::common::{command, net, path, quick_config, run, stderr};
use crate::data::folder;

fn json(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Grey images of 28x28, `n` of each of three kinds, without classes.
pub fn flat(dir: &Path, n: usize) -> PathBuf {
    let (classes, photos) = (dir.join("classes"), dir.join("photos"));
    folder(&classes, "all", &["across", "along", "plain"], n);
    std::fs::create_dir(&photos).unwrap();
    for class in ["across", "along", "plain"] {
        for i in 0..n {
            let from = classes.join(format!("all/{class}/{i:03}.png"));
            std::fs::rename(from, photos.join(format!("{class}{i:03}.png"))).unwrap();
        }
    }
    photos
}

/// An array of floats between 0 and 1.
fn array(shape: &[usize]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    let values = (0..shape.iter().product::<usize>()).map(|i| (i * 7919 % 1000) as f32 / 1000.0);
    bytes.extend(values.flat_map(f32::to_le_bytes));
    bytes
}

const MODE: &str =
    "{ kind = \"ceca\", budgets = [{ metric = \"params\", remaining = 0.6 }], max_drop = 0.0 }";

fn prune(dir: &Path, data: &Path) -> (PathBuf, std::process::Output) {
    let small = dir.join("small.onnx");
    let config = quick_config(dir, MODE);
    let mut args = vec!["prune", path(net()), "--data", path(data)];
    args.extend(["--config", path(&config), "-o", path(&small)]);
    let output = run(&args);
    (small, output)
}

fn parameters(model: &Path) -> usize {
    let graph = Graph::from_model(&Model::read(model).unwrap()).unwrap();
    graph
        .initializers
        .values()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum()
}

#[test]
fn a_network_is_pruned_on_images_without_classes() {
    let dir = tempfile::tempdir().unwrap();
    let photos = flat(dir.path(), 40);
    let (small, output) = prune(dir.path(), &photos);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("108 training images, 12 for the test, without labels"),
        "{said}"
    );
    assert!(said.contains("agreement"), "{said}");
    assert!(parameters(&small) < parameters(net()));

    for command in ["train", "eval"] {
        let mut args = vec![command];
        if command == "eval" {
            args.push(path(net()));
        }
        let other = dir.path().join("other.onnx");
        args.extend(["--data", path(&photos)]);
        if command == "train" {
            args.extend(["-o", path(&other)]);
        }
        let output = run(&args);
        let text = stderr(&output);
        assert!(!output.status.success());
        assert!(
            text.contains("have no labels") && text.contains("hint: "),
            "{text}"
        );
        assert!(!other.exists());
    }
    let shown = json(&run(&[
        "inspect",
        path(net()),
        "--data",
        path(&photos),
        "--json",
    ]));
    assert_eq!(shown["classes"].as_array().unwrap().len(), 0);
    assert_eq!(shown["fit"]["validation"], serde_json::json!([11, 11]));
    assert_eq!(shown["fit"]["test"], 12);
}

#[test]
fn a_network_is_pruned_on_arrays_by_the_name_of_its_input() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("arrays");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("input.npy"), array(&[120, 1, 28, 28])).unwrap();
    let (small, output) = prune(dir.path(), &data);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("108 training samples, 12 for the test, without labels"),
        "{said}"
    );
    assert!(parameters(&small) < parameters(net()));
    let report: Value = serde_json::from_str(
        &std::fs::read_to_string(dir.path().join("small.onnx.run/report.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(
        report["data"]["normalisation"]["mean"],
        serde_json::json!([])
    );

    let output = run(&["inspect", path(net()), "--data", path(&data)]);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("values as they are") && !said.contains("image"),
        "{said}"
    );

    std::fs::write(data.join("input.npy"), array(&[120, 1, 28, 27])).unwrap();
    let (small, output) = (
        dir.path().join("none.onnx"),
        command()
            .args(["prune", path(net()), "--data", path(&data), "-o"])
            .arg(dir.path().join("none.onnx"))
            .output()
            .unwrap(),
    );
    let text = stderr(&output);
    assert!(
        text.contains("input.npy") && text.contains("[120, 1, 28, 27]"),
        "{text}"
    );
    assert!(!small.exists());
}

/// Files for one sample at a time: the graph squeezes the batch away, or there is no axis for one.
#[test]
fn networks_of_one_sample_are_pruned_by_many() {
    for (idea, sample, macs) in [
        ("one-sample", &[3, 8, 8][..], 13_248),
        ("no-batch", &[20, 9], 4_920),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (data, small) = (
            folder.path().join("x.npy"),
            folder.path().join("small.onnx"),
        );
        std::fs::write(&data, array(&[&[60], sample].concat())).unwrap();
        let model = crate::no_train::fixture(idea);
        let mode = MODE.replace("params", "macs").replace("0.6", "0.7");
        let config = quick_config(folder.path(), &mode);
        let mut args = vec!["prune", path(&model), "--data", path(&data), "--json"];
        args.extend(["--config", path(&config), "-o", path(&small)]);
        let report = json(&run(&args));
        assert_eq!(report["quality_name"], "explained share", "{idea}");
        assert_eq!(report["before"]["size"]["macs"], macs, "{idea}");
        let after = &report["after"][0];
        assert!(
            after["size"]["macs"].as_f64().unwrap() <= 0.7 * f64::from(macs),
            "{idea}"
        );
        assert!(
            after["test_quality"].as_f64().unwrap() > 0.5,
            "{idea}: {after}"
        );

        // What was learnt of the data stays with the file.
        let evaluated = run(&[
            "eval",
            path(&small),
            "--original",
            path(&model),
            "--data",
            path(&data),
            "--json",
        ]);
        let quality = json(&evaluated)["quality"].as_f64().unwrap();
        assert!(
            (quality - after["test_quality"].as_f64().unwrap()).abs() < 1e-4,
            "{idea}"
        );
        let mut calibrated = vec![
            "prune",
            path(&model),
            "--data",
            path(&data),
            "--no-train",
            "--calibrate",
        ];
        let solved = folder.path().join("solved.onnx");
        calibrated.extend(["--budget", "macs=0.7", "-o", path(&solved)]);
        let done = run(&calibrated);
        assert!(done.status.success(), "{idea}: {}", stderr(&done));
    }
}
