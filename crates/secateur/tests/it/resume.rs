//! A killed run goes on with the same decisions.

use std::path::Path;
use std::time::Duration;

use secateur_search::store::read_run;

use crate::common::{History, command, data_dir, net, path, prune_args, run, stderr, undisturbed};

pub fn masks(run_dir: &Path) -> History {
    let (_, history) = read_run(run_dir).unwrap();
    history.into_iter().map(|record| record.masks).collect()
}

#[test]
fn killed_at_any_moment_it_takes_the_same_decisions() {
    let (whole, expected) = undisturbed();
    assert!(expected.len() > 6);
    let folder = tempfile::tempdir().unwrap();

    // Killed again and again, each time a little later; much later if it got nowhere.
    let mut patience = Duration::from_millis(250);
    let mut reached = 0;
    let run_dir = folder.path().join("killed.onnx.run");
    let mut kills = 0;
    for _ in 0..200 {
        let mut command = command();
        command.args(prune_args(folder.path(), "killed"));
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
        std::thread::sleep(patience);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let lines = std::fs::read_to_string(run_dir.join("history.jsonl"))
            .map_or(0, |text| text.lines().count());
        patience = if lines > reached {
            patience + Duration::from_millis(67)
        } else {
            patience.mul_f32(1.3)
        };
        reached = lines;
    }
    assert!(kills >= 2, "the run was killed {kills} times");
    assert_eq!(&masks(&run_dir), expected);
    let bytes = |file: &Path| std::fs::read(file).unwrap();
    assert_eq!(
        bytes(whole),
        bytes(&folder.path().join("killed.onnx")),
        "the written files are the same"
    );
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
