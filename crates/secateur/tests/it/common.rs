//! A small trained network, and calls of the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

pub fn data_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/mnist")
}

/// The program without ONNX Runtime, which this machine may have or not.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_secateur"));
    command.args(["--threads", "2"]).env("ORT_DYLIB_PATH", "");
    command
}

pub fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

/// A network of 8 and 12 kernels, trained for a tenth of an epoch; made once.
pub fn net() -> &'static Path {
    static NET: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = NET.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("net.onnx");
        let output = run(&[
            "train",
            "--data",
            path(&data_dir()),
            "--widths",
            "8,M,12,M",
            "--hidden",
            "16",
            "--epochs",
            "0.15",
            "-o",
            path(&file),
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        (folder, file)
    });
    file
}

/// Settings of a run of a few seconds. It explores much, so that kernels come back too.
pub fn quick_config(folder: &Path, mode: &str) -> PathBuf {
    let file = folder.join("run.toml");
    let text = format!(
        "mode = {mode}\n[search]\nexchange_epochs = 2\n\
         recover_steps = 12\nrecover_tries = 2\nmax_cost = 100.0\n\
         agent_updates = 8\nablation_images = 20\n[agent]\nbatch_size = 16\nepsilon_start = 0.95\nexploration_share = 0.8\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// One budget; the run of the tests that disturb it.
pub const MODE: &str =
    "{ kind = \"ceca\", budgets = [{ metric = \"params\", remaining = 0.3 }], max_drop = 0.0 }";

/// Arguments that prune `model` by a config.
fn arguments(model: &Path, config: &Path, output: &Path) -> Vec<String> {
    let data = data_dir();
    let mut all = vec!["prune", path(model), "--data", path(&data)];
    all.extend(["--config", path(config), "-o", path(output)]);
    all.into_iter().map(str::to_string).collect()
}

/// Prunes `model` by a config.
pub fn prune(model: &Path, config: &Path, output: &Path) -> Output {
    command()
        .args(arguments(model, config, output))
        .output()
        .unwrap()
}

/// Arguments of a quick run in `folder` that writes `name.onnx`.
pub fn prune_args(folder: &Path, name: &str) -> Vec<String> {
    let config = quick_config(folder, MODE);
    arguments(net(), &config, &folder.join(format!("{name}.onnx")))
}

/// The masks of every pruning epoch, as the history has them.
pub type History = Vec<Vec<String>>;

/// The file and the history of that run, left alone; made once.
pub fn undisturbed() -> (&'static Path, &'static History) {
    static RUN: OnceLock<(TempDir, PathBuf, History)> = OnceLock::new();
    let (_, file, history) = RUN.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let done = command()
            .args(prune_args(folder.path(), "whole"))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
        let history = crate::resume::masks(&folder.path().join("whole.onnx.run"));
        let file = folder.path().join("whole.onnx");
        (folder, file, history)
    });
    (file, history)
}
