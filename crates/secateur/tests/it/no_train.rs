//! `prune --no-train`: budgets met from the weights alone, for any file.

use std::path::{Path, PathBuf};

use crate::common::{net, path, run, stderr};
use crate::promises::size;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
        .join("model.onnx")
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
        let args = [
            "prune",
            path(&model),
            "--no-train",
            "--budget",
            "params=0.6",
        ];
        let done = run(&[&args[..], &["-o", path(&output)]].concat());
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
    for policy in ["l1", "uniform-l2", "global-l1", "random"] {
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
