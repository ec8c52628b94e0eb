//! A disk that fills up: a clear error, nothing half-written, and the run goes on once
//! there is room.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output};

use secateur_search::store::read_run;

use crate::common::{data_dir, net, path, prune_args, run, stderr, undisturbed};
use crate::resume::masks;

/// Runs the program with files limited to `bytes`: writing beyond fails as it does on a
/// full disk, for root as well.
fn limited(bytes: u64, args: &[String]) -> Output {
    // POSIX counts blocks of 512 bytes; the signal is ignored so that the write fails.
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"",
        bytes / 512
    );
    Command::new("sh")
        .args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_secateur"),
            "--threads",
            "2",
        ])
        .args(args)
        .output()
        .unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn refused(output: &Output) -> String {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("error: cannot write `"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[test]
fn a_run_keeps_its_last_checkpoint_and_goes_on() {
    let (whole, expected) = undisturbed();
    let run_of = |output: &Path| {
        output.with_file_name(format!(
            "{}.run",
            path(Path::new(output.file_name().unwrap()))
        ))
    };
    let last = std::fs::metadata(run_of(whole).join("checkpoint.bin"))
        .unwrap()
        .len();
    let folder = tempfile::tempdir().unwrap();
    let mut args = prune_args(folder.path(), "small");
    let run_dir = folder.path().join("small.onnx.run");
    // The checkpoint grows with the agent's memory, and with moments, until it no longer fits.
    let text = refused(&limited(last * 85 / 100, &args));
    assert!(text.contains("checkpoint.bin"), "{text}");
    assert!(text.contains("hint: make room on the disk"), "{text}");
    let kept = read_run(&run_dir).unwrap().1.len();
    assert!(
        kept >= 2 && kept < expected.len(),
        "{kept} pruning epochs were kept"
    );
    // Nothing but what belongs there.
    for name in files(&run_dir) {
        assert!(
            [
                "checkpoint.bin",
                "config.toml",
                "data.json",
                "header.json",
                "history.jsonl",
                "lock",
                "snapshots"
            ]
            .contains(&name.as_str()),
            "{name} was left"
        );
    }
    assert!(!folder.path().join("small.onnx").exists());

    // Still no room: still the same, and nothing is lost.
    args.push("--resume".to_string());
    let before = std::fs::read(run_dir.join("checkpoint.bin")).unwrap();
    refused(&limited(8 * 512, &args));
    assert_eq!(
        std::fs::read(run_dir.join("checkpoint.bin")).unwrap(),
        before
    );

    let done = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(&masks(&run_dir), expected);
    let bytes = |file: &Path| std::fs::read(file).unwrap();
    assert_eq!(bytes(&folder.path().join("small.onnx")), bytes(whole));
}

#[test]
fn results_and_reports_are_whole_or_not_there() {
    let (whole, _) = undisturbed();
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("net.onnx");
    std::fs::copy(net(), &output).unwrap();
    let size = std::fs::metadata(net()).unwrap().len();
    let train = [
        "train",
        "--data",
        path(&data_dir()),
        "--init",
        path(net()),
        "--epochs",
        "0.02",
        "-o",
        path(&output),
    ]
    .map(str::to_string);
    let text = refused(&limited(size / 2, &train));
    assert!(text.contains("net.onnx"), "{text}");
    assert_eq!(
        std::fs::read(&output).unwrap(),
        std::fs::read(net()).unwrap()
    );
    assert_eq!(files(folder.path()), ["net.onnx"]);

    // A report that does not fit leaves the old one.
    let run_dir = folder.path().join("run");
    std::fs::create_dir(&run_dir).unwrap();
    let from = whole.with_file_name("whole.onnx.run");
    for name in ["report.json", "report.html", "header.json", "history.jsonl"] {
        std::fs::copy(from.join(name), run_dir.join(name)).unwrap();
    }
    let page = std::fs::read(run_dir.join("report.html")).unwrap();
    let text = refused(&limited(
        1024,
        &["report".to_string(), path(&run_dir).to_string()],
    ));
    assert!(text.contains("report.html"), "{text}");
    assert_eq!(std::fs::read(run_dir.join("report.html")).unwrap(), page);
    assert_eq!(files(&run_dir).len(), 4);
}

#[test]
fn paths_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    let (inside, data) = (file.join("small.onnx"), data_dir());
    let good = folder.path().join("small.onnx");
    let prune = |output: &Path, run_dir: &Path| {
        run(&[
            "prune",
            path(net()),
            "--data",
            path(&data),
            "-o",
            path(output),
            "--run-dir",
            path(run_dir),
        ])
    };
    let text = refused(&prune(&inside, &folder.path().join("run")));
    assert!(text.contains(path(&inside)), "{text}");
    let text = refused(&prune(folder.path(), &folder.path().join("run")));
    assert!(text.contains("it is a folder"), "{text}");
    // A run folder below a file, and one where nobody may write, not even root.
    for run_dir in [file.join("run"), Path::new("/proc/none/run").to_path_buf()] {
        let output = prune(&good, &run_dir);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.starts_with("error: ") && text.contains(path(&run_dir)),
            "{text}"
        );
    }
    let text = refused(&run(&["train", "--data", path(&data), "-o", path(&inside)]));
    assert!(text.contains(path(&inside)), "{text}");
    assert_eq!(files(folder.path()), ["file"]);
}
