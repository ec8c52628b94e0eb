//! A killed run goes on with the same decisions.

use std::path::Path;
use std::time::Instant;

use secateur::search::run_dir::read_run;

use crate::common::{command, data_dir, net, path, quick_config, run, stderr};

const MODE: &str =
    "{ kind = \"ceca\", budgets = [{ metric = \"params\", remaining = 0.3 }], max_drop = 0.0 }";

fn masks(run_dir: &Path) -> Vec<Vec<String>> {
    let (_, history) = read_run(run_dir).unwrap();
    history.into_iter().map(|record| record.masks).collect()
}

#[test]
fn killed_at_any_moment_it_takes_the_same_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let config = quick_config(folder.path(), MODE);
    let args = |name: &str| -> Vec<String> {
        let output = folder.path().join(format!("{name}.onnx"));
        [
            "prune",
            path(net()),
            "--data",
            path(&data_dir()),
            "--config",
            path(&config),
            "-o",
            path(&output),
        ]
        .map(str::to_string)
        .to_vec()
    };
    let started = Instant::now();
    let undisturbed = command().args(args("whole")).output().unwrap();
    let whole = started.elapsed();
    assert!(undisturbed.status.success(), "{}", stderr(&undisturbed));
    let expected = masks(&folder.path().join("whole.onnx.run"));
    assert!(expected.len() > 6);

    // Killed again and again, each time a little later, in shares of the whole run so that
    // a busy machine changes nothing.
    let run_dir = folder.path().join("killed.onnx.run");
    let mut kills = 0;
    for attempt in 0..60u32 {
        let mut command = command();
        command.args(args("killed"));
        if run_dir.join("checkpoint.bin").exists() {
            command.arg("--resume");
        } else if run_dir.exists() {
            // Killed before the first checkpoint: nothing to resume, starting anew is allowed.
            std::fs::remove_dir_all(&run_dir).unwrap();
        }
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole.mul_f64(0.15 + 0.04 * f64::from(attempt)));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 2, "the run was killed {kills} times");
    assert_eq!(masks(&run_dir), expected);
    let (a, b) = ("whole.onnx", "killed.onnx");
    let bytes = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes(a), bytes(b), "the written files are the same");
}

#[test]
fn a_finished_or_missing_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let resumed = run(&[
        "prune",
        path(net()),
        "--data",
        path(&data_dir()),
        "-o",
        path(&output),
        "--resume",
    ]);
    assert_eq!(resumed.status.code(), Some(1));
    let text = stderr(&resumed);
    assert!(
        text.contains("holds no run") && text.contains("hint: leave out `--resume`"),
        "{text}"
    );
}
