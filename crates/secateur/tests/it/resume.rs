//! A killed run goes on with the same decisions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secateur_search::store::read_run;

use crate::common::{
    History, MODE, command, data_dir, net, path, prune_args, quick_config, run, stderr, undisturbed,
};
use crate::unlabelled::flat;

pub fn masks(run_dir: &Path) -> History {
    let (_, history) = read_run(run_dir).unwrap();
    history.into_iter().map(|record| record.masks).collect()
}

#[test]
fn killed_at_any_moment_it_takes_the_same_decisions() {
    let (whole, expected) = undisturbed();
    assert!(expected.len() > 6);
    let folder = tempfile::tempdir().unwrap();
    let kills = kill_until_done(
        &prune_args(folder.path(), "killed"),
        &folder.path().join("killed.onnx.run"),
    );
    assert!(kills >= 2, "the run was killed {kills} times");
    assert_ends_alike(folder.path(), "killed", whole, expected);
}

/// Without labels, networks are held against the given one.
#[test]
fn killed_without_labels_it_takes_the_same_decisions() {
    for mode in [MODE, "{ kind = \"aec\", max_drop = 60.0 }"] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, expected) = undisturbed_without_labels(folder.path(), mode);
        let kills = kill_until_done(
            &unlabelled_args(folder.path(), "killed"),
            &folder.path().join("killed.onnx.run"),
        );
        // How often a quick run can be killed depends on the machine; once shows what is asked.
        assert!(kills >= 1, "{mode}: the run was not killed");
        assert_ends_alike(folder.path(), "killed", &whole, &expected);
    }
}

/// The given network agrees with itself on any data: other data must be told by themselves.
#[test]
fn without_labels_it_goes_on_with_the_same_data_alone() {
    let folder = tempfile::tempdir().unwrap();
    undisturbed_without_labels(folder.path(), MODE);
    let run_dir = folder.path().join("whole.onnx.run");
    let resume = |data: &Path| {
        let mut args = unlabelled_args(folder.path(), "whole");
        let at = args.iter().position(|arg| arg == "--data").unwrap();
        args[at + 1] = path(data).to_string();
        args.push("--resume".to_string());
        command().args(args).output().unwrap()
    };
    let refused = |data: &Path, reason: &str| {
        let output = resume(data);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("cannot resume") && text.contains(reason),
            "{text}"
        );
        assert!(
            text.contains("hint: resume with the model, the data"),
            "{text}"
        );
    };
    let before = masks(&run_dir);
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let fewer = flat(&other, 30);
    refused(&fewer, "it was begun with ");

    // As many images of the same names, all of them the same.
    let photos = folder.path().join("photos");
    let alike = folder.path().join("alike");
    std::fs::create_dir(&alike).unwrap();
    for entry in std::fs::read_dir(&photos).unwrap() {
        let name = entry.unwrap().file_name();
        std::fs::copy(photos.join("plain000.png"), alike.join(name)).unwrap();
    }
    refused(&alike, "other data of the same size");
    assert_eq!(masks(&run_dir), before);
    let done = resume(&photos);
    assert!(done.status.success(), "{}", stderr(&done));
}

/// The arguments of [`undisturbed_without_labels`], for another output.
pub fn unlabelled_args(folder: &Path, name: &str) -> Vec<String> {
    let (photos, config) = (folder.join("photos"), folder.join("run.toml"));
    let output = folder.join(format!("{name}.onnx"));
    let mut all = vec!["prune", path(net()), "--data", path(&photos)];
    all.extend(["--config", path(&config), "-o", path(&output)]);
    all.into_iter().map(str::to_string).collect()
}

/// The file and the history of a quick run on images without classes, left alone.
pub fn undisturbed_without_labels(folder: &Path, mode: &str) -> (PathBuf, History) {
    flat(folder, 40);
    quick_config(folder, mode);
    let done = command()
        .args(unlabelled_args(folder, "whole"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
    let history = masks(&folder.join("whole.onnx.run"));
    (folder.join("whole.onnx"), history)
}

/// Fails unless a run that was disturbed took the same decisions and wrote the same file.
pub fn assert_ends_alike(folder: &Path, name: &str, whole: &Path, expected: &History) {
    assert_eq!(&masks(&folder.join(format!("{name}.onnx.run"))), expected);
    let bytes = |file: &Path| std::fs::read(file).unwrap();
    assert_eq!(
        bytes(whole),
        bytes(&folder.join(format!("{name}.onnx"))),
        "the written files are the same"
    );
}

/// Kills a run again and again until it comes to its end; how often it was killed.
fn kill_until_done(args: &[String], run_dir: &Path) -> usize {
    // Killed again and again, each time a little later; much later if it got nowhere.
    let mut patience = Duration::from_millis(250);
    let mut reached = 0;
    let mut kills = 0;
    for _ in 0..200 {
        let mut command = command();
        command.args(args);
        if run_dir.join("checkpoint.bin").exists() {
            command.arg("--resume");
        } else if run_dir.exists() {
            // Killed before the first checkpoint: nothing to resume, starting anew is allowed.
            std::fs::remove_dir_all(run_dir).unwrap();
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
    kills
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
