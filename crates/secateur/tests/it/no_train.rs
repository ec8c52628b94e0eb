//! `prune --no-train`: budgets met from the weights alone, for any file.

use std::path::{Path, PathBuf};
use std::process::Output;

use secateur_onnx::model::Model;
use serde_json::Value;

use crate::common::{data_dir, net, path, run, stderr};
use crate::message::with_graph;
use crate::promises::size;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
        .join("model.onnx")
}

/// Prunes without training, to a budget.
fn pruned(model: &Path, budget: &str, output: &Path, extra: &[&str]) -> Output {
    let args = ["prune", path(model), "--no-train", "--budget", budget];
    run(&[&args[..], &["-o", path(output)], extra].concat())
}

#[test]
fn budgets_are_met_by_structures_of_every_kind() {
    for name in [
        "residual",
        "unet",
        "depthwise",
        "channel-shuffle",
        "se-gate",
    ] {
        let model = fixture(name);
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("small.onnx");
        let done = pruned(&model, "params=0.6", &output, &[]);
        assert!(done.status.success(), "{name}: {}", stderr(&done));
        let (before, after) = (size(&model), size(&output));
        assert!(
            after.params as f64 <= 0.6 * before.params as f64,
            "{name}: {} of {}",
            after.params,
            before.params
        );
        let verified = run(&["verify", path(&model), path(&output)]);
        assert!(verified.status.success(), "{name}: {}", stderr(&verified));
    }
}

#[test]
fn policies_choose_different_kernels_and_several_budgets_several_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for policy in ["l1-uniform", "l2-uniform", "l1-global", "random-uniform"] {
        let output = folder.path().join(format!("{policy}.onnx"));
        let args = ["prune", path(net()), "--no-train", "--policy", policy];
        let rest = ["--budget", "macs=0.7,0.4", "-o", path(&output)];
        let done = run(&[&args[..], &rest].concat());
        assert!(done.status.success(), "{policy}: {}", stderr(&done));
        for share in ["0.7", "0.4"] {
            let file = folder.path().join(format!("{policy}.macs-{share}.onnx"));
            let (before, after) = (size(net()), size(&file));
            let most = share.parse::<f64>().unwrap() * before.macs as f64;
            assert!(after.macs as f64 <= most, "{policy} {share}");
            files.push(std::fs::read(&file).unwrap());
        }
    }
    files.sort();
    files.dedup();
    assert!(files.len() >= 5, "only {} files differ", files.len());
}

#[test]
fn says_what_it_cannot_promise() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let fails = |args: &[&str], expected: &str| {
        let base = ["prune", path(net()), "--no-train", "-o", path(&output)];
        let done = run(&[&base[..], args].concat());
        assert!(!done.status.success(), "{args:?}");
        let text = stderr(&done);
        assert!(text.contains(expected), "{args:?}: {text}");
        assert!(!output.exists(), "{args:?}");
    };
    fails(
        &["--mode", "aec", "--budget", "macs=0.5"],
        "accuracy cannot be promised without data",
    );
    fails(&[], "--budget");
    fails(&["--budget", "macs=0.5", "--policy", "dqn"], "`dqn`");
    fails(&["--budget", "params=0.0001"], "cannot be reached");
}

/// Structures of every kind and storages of every kind, through the program itself.
#[test]
fn every_fixture_is_pruned_or_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut n_pruned = 0;
    for entry in std::fs::read_dir(fixtures).unwrap() {
        let model = entry.unwrap().path().join("model.onnx");
        if !model.exists() {
            continue;
        }
        let output = folder.path().join("small.onnx");
        let done = pruned(&model, "params=0.8", &output, &[]);
        let text = stderr(&done);
        if !done.status.success() {
            let reasons = ["cannot be reached", "no layer has kernels"];
            let known = reasons.iter().any(|reason| text.contains(reason));
            assert!(known, "{}: {text}", model.display());
            continue;
        }
        // 1 where tract cannot run it, 3 where it does not verify.
        let verified = run(&["verify", path(&model), path(&output)]);
        let text = String::from_utf8_lossy(&verified.stdout).into_owned() + &stderr(&verified);
        assert!(
            verified.status.code() != Some(3),
            "{}: {text}",
            model.display()
        );
        assert!(!text.contains("FAILED"), "{}: {text}", model.display());
        n_pruned += 1;
    }
    assert!(n_pruned >= 15, "only {n_pruned}");
}

#[test]
fn bytes_are_those_of_external_data_too_and_the_given_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let from = fixture("external-data");
    let mut bytes = 0;
    for entry in std::fs::read_dir(from.parent().unwrap()).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|e| e != "py") {
            bytes += std::fs::copy(&file, folder.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    let model = folder.path().join("model.onnx");
    let before = std::fs::read(&model).unwrap();
    // By its own name, or by the one that a budget gets where there are several.
    let second = folder.path().join("big.params-0.5.onnx");
    std::fs::copy(&model, &second).unwrap();
    let big = folder.path().join("big.onnx");
    for (given, budget, output) in [
        (&model, "params=0.6", &model),
        (&second, "params=0.6,0.5", &big),
    ] {
        let refused = pruned(given, budget, output, &[]);
        assert_eq!(refused.status.code(), Some(1));
        let text = stderr(&refused);
        assert!(text.contains("it is the network to prune"), "{text}");
        assert_eq!(std::fs::read(given).unwrap(), before);
    }

    let output = folder.path().join("small.onnx");
    let done = pruned(&model, "params=0.6", &output, &["--json"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["before"]["bytes"], bytes);
    let length = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
    let after = length("small.onnx") + length("small.onnx.data");
    assert_eq!(report["after"][0]["bytes"], after);
    assert!(report["after"][0]["not_run"].is_null(), "{report}");
}

#[test]
fn a_share_of_unknown_multiply_adds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (model, output) = (folder.path().join("a.onnx"), folder.path().join("b.onnx"));
    let changed = with_graph(&Model::read(fixture("plain")).unwrap(), |graph| {
        graph.value_info.clear();
        let mut nodes = graph.node.iter_mut();
        let relu = nodes.find(|n| n.op_type() == "Relu").unwrap();
        relu.set_op_type("Unheard".to_string());
    });
    changed.write(&model).unwrap();
    let refused = pruned(&model, "macs=0.5", &output, &[]);
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(text.contains("a share of the MACs"), "{text}");
    assert!(!output.exists());
    let inspected = run(&["inspect", path(&model)]);
    let text = stderr(&inspected);
    assert!(text.contains("MACs leave out"), "{text}");
}

#[test]
fn masks_of_another_network_are_named_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let model = fixture("residual");
    let done = pruned(&model, "params=0.6", &output, &[]);
    assert!(done.status.success(), "{}", stderr(&done));
    let other = fixture("plain");
    let verified = run(&["verify", path(&other), path(&output)]);
    assert_eq!(verified.status.code(), Some(1));
    let text = stderr(&verified);
    assert!(text.contains("made from another network"), "{text}");
}

#[test]
fn calibration_brings_the_outputs_nearer_and_the_file_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let data = data_dir();
    let args = ["--calibrate", "--calibration-images", "128", "--json"];
    let data = ["--data", path(&data)];
    let done = pruned(net(), "macs=0.5", &output, &[&args[..], &data].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let calibrated = &report["after"][0]["calibrated"];
    let error = &calibrated["outputs"][0];
    let figure = |name: &str| error[name].as_f64().unwrap();
    assert!(figure("solved") < figure("cut"), "{error}");
    assert_eq!(calibrated["inputs"], 128);
    let agreement = &calibrated["kept"][0];
    assert_eq!(agreement["name"], "agreement");
    let share = |key: &str| agreement[key].as_f64().unwrap();
    assert!(share("solved") > share("cut"), "{agreement}");
    let layers = calibrated["layers"].as_array().unwrap();
    assert!(!layers.is_empty());
    let verified = run(&["verify", path(net()), path(&output)]);
    assert!(verified.status.success(), "{}", stderr(&verified));
}

#[test]
fn data_without_calibration_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let data = data_dir();
    let done = pruned(net(), "macs=0.5", &output, &["--data", path(&data)]);
    assert!(!done.status.success() && !output.exists());
    assert!(
        stderr(&done).contains("add `--calibrate`"),
        "{}",
        stderr(&done)
    );
    let alone = pruned(net(), "macs=0.5", &output, &["--calibrate"]);
    assert!(stderr(&alone).contains("--data"), "{}", stderr(&alone));
}
