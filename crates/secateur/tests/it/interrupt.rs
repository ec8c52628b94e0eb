//! Ctrl-C: what was begun is finished and saved, and can be gone on with.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secateur::data::{self, DataConfig};
use secateur::prune::PruneError;
use secateur::{Files, Pruner};
use secateur_onnx::model::Model;
use secateur_search::config::PruneConfig;
use secateur_search::error::SearchError;
use secateur_search::record::Stage;
use secateur_search::search::{Observer, Progress};
use secateur_search::store::read_run;

use crate::common::{
    History, MODE, command, data_dir, net, path, prune_args, quick_config, run, stderr, undisturbed,
};
use crate::resume::{assert_ends_alike, masks, undisturbed_without_labels, unlabelled_args};

/// Sends SIGINT, as Ctrl-C does.
pub fn interrupt(child: &Child) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -INT {}", child.id())])
        .status()
        .unwrap();
    assert!(sent.success());
}

/// Has the process set its handler?
fn catches_interrupts(child: &Child) -> bool {
    const SIGINT: u64 = 1 << 1;
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
    let caught = status.ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    });
    caught.is_some_and(|signals| signals & SIGINT != 0)
}

pub fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

/// Waits until `ready`; a busy machine may take minutes over what is a matter of seconds.
pub fn wait_until(ready: impl Fn() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "nothing happened"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_ends_alike() {
    let (whole, expected) = undisturbed();
    let folder = tempfile::tempdir().unwrap();
    interrupt_until_done(prune_args(folder.path(), "small"), folder.path());
    assert_ends_alike(folder.path(), "small", whole, expected);
}

#[test]
fn an_interrupted_run_without_labels_ends_alike() {
    for mode in [MODE, "{ kind = \"aec\", max_drop = 60.0 }"] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, expected) = undisturbed_without_labels(folder.path(), mode);
        interrupt_until_done(unlabelled_args(folder.path(), "small"), folder.path());
        assert_ends_alike(folder.path(), "small", &whole, &expected);
    }
}

/// Stops a run that writes `small.onnx` in a folder again and again until it comes to its end.
fn interrupt_until_done(mut args: Vec<String>, folder: &Path) {
    let run_dir = folder.join("small.onnx.run");
    let history = run_dir.join("history.jsonl");
    let mut stops = 0;
    loop {
        let seen = lines(&history);
        let child = command()
            .args(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // In the first pruning epochs of this process, wherever they are.
        let done = || run_dir.join("report.html").exists();
        wait_until(|| lines(&history) > seen.max(1) || done());
        if done() {
            break;
        }
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let text = stderr(&output);
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), Some(130), "{text}");
        assert!(text.contains("stopping when the run is saved"), "{text}");
        assert!(text.contains("the run is saved in"), "{text}");
        assert!(
            text.contains("hint: run the same command with `--resume`"),
            "{text}"
        );
        assert!(
            !text.contains("error:"),
            "being stopped is no error: {text}"
        );
        assert!(!folder.join("small.onnx").exists());
        stops += 1;
        if stops == 1 {
            args.push("--resume".to_string());
        }
    }
    assert!(stops >= 2, "stopped {stops} times");
}

/// Asks to stop at a step of a recovery.
struct StopAtStep(usize, bool);

impl Observer for StopAtStep {
    fn step(&mut self, progress: &Progress) {
        self.1 = progress.stage == Stage::Recover && progress.step >= self.0;
    }

    fn stop_requested(&self) -> bool {
        self.1
    }
}

#[test]
fn a_run_that_was_stopped_in_a_recovery_goes_on_with_its_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(quick_config(folder.path(), MODE)).unwrap();
    let config: PruneConfig = toml::from_str(&text).unwrap();
    let source = data::open(&data_dir(), &DataConfig::default()).unwrap();
    let begin = |name: &str, resume: bool, observer: &mut dyn Observer| {
        let mut files = Files::new(net(), folder.path().join(name));
        files.resume = resume;
        let pruner = Pruner::with_config(config.clone());
        pruner.run_files(&files, &source, observer)
    };
    begin("whole.onnx", false, &mut ()).unwrap();
    let (_, history) = read_run(&folder.path().join("whole.onnx.run")).unwrap();
    let expected: History = history.into_iter().map(|record| record.masks).collect();

    let kept = folder.path().join("small.onnx.run/recovery.bin");
    for (resume, stop) in [(false, 2), (true, 3), (true, 5)] {
        let stopped = begin("small.onnx", resume, &mut StopAtStep(stop, false));
        assert!(
            matches!(
                stopped,
                Err(PruneError::Search(SearchError::Interrupted { .. }))
            ),
            "{stop}: {stopped:?}"
        );
        assert!(kept.exists(), "{stop}");
    }
    let mut seen = FirstStep::default();
    begin("small.onnx", true, &mut seen).unwrap();
    assert_eq!(seen.0, Some(6), "steps are taken once");
    assert!(!kept.exists());
    let whole = folder.path().join("whole.onnx");
    assert_ends_alike(folder.path(), "small", &whole, &expected);

    // Trained by other settings than it was begun with, it begins anew.
    begin("slow.onnx", false, &mut StopAtStep(4, false)).unwrap_err();
    let mut slower = config.clone();
    slower.training.recover_lr = Some(0.01);
    let mut files = Files::new(net(), folder.path().join("slow.onnx"));
    files.resume = true;
    let mut seen = FirstStep::default();
    let pruner = Pruner::with_config(slower);
    pruner.run_files(&files, &source, &mut seen).unwrap();
    assert_eq!(seen.0, Some(1));

    // What is kept of a recovery may be damaged: it begins anew.
    begin("other.onnx", false, &mut StopAtStep(4, false)).unwrap_err();
    std::fs::write(folder.path().join("other.onnx.run/recovery.bin"), b"secatr").unwrap();
    let mut seen = FirstStep::default();
    begin("other.onnx", true, &mut seen).unwrap();
    assert_eq!(seen.0, Some(1));
    assert_ends_alike(folder.path(), "other", &whole, &expected);
}

/// The first step of a recovery that it is told of.
#[derive(Default)]
struct FirstStep(Option<usize>);

impl Observer for FirstStep {
    fn step(&mut self, progress: &Progress) {
        if progress.stage == Stage::Recover {
            self.0.get_or_insert(progress.step);
        }
    }
}

#[test]
fn training_keeps_what_it_reached_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("net.onnx");
    let child = command()
        .args(["train", "--data", path(&data_dir()), "--widths", "8,M,12,M"])
        .args(["--epochs", "1000", "--json", "-o", path(&output)])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(|| catches_interrupts(&child));
    // Time for some steps; none is fine too.
    std::thread::sleep(Duration::from_millis(700));
    interrupt(&child);
    let done = child.wait_with_output().unwrap();
    let text = stderr(&done);
    assert_eq!(done.status.code(), Some(130), "{text}");
    assert!(text.contains("stopping after this step"), "{text}");
    assert!(
        text.contains("hint: to train on") && text.contains("--init"),
        "{text}"
    );
    let summary: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["stopped"], true);
    let model = Model::read(&output).unwrap();
    assert!(model.metadata("secateur.training_sample_macs").is_some());
    let on = folder.path().join("on.onnx");
    let more = run(&[
        "train",
        "--data",
        path(&data_dir()),
        "--init",
        path(&output),
        "--epochs",
        "0.02",
        "-o",
        path(&on),
    ]);
    assert!(more.status.success(), "{}", stderr(&more));
}

#[test]
fn a_run_goes_on_by_its_own_settings_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let args = prune_args(folder.path(), "small");
    let run_dir = folder.path().join("small.onnx.run");
    let child = command()
        .args(&args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(|| lines(&run_dir.join("history.jsonl")) > 1);
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));

    let output = folder.path().join("small.onnx");
    let resume = |extra: &[&str], data: &Path| {
        let mut command = command();
        command
            .args(["prune", path(net()), "--data", path(data)])
            .args(["--resume", "-o", path(&output)])
            .args(extra);
        command.output().unwrap()
    };
    let other = quick_config(folder.path(), "{ kind = \"aec\", max_drop = 1.0 }");
    for (extra, needle) in [
        (["--seed", "7"], "`seed` was 0, now it is 7"),
        (["--budget", "params=0.5"], "`mode` was"),
        (["--config", path(&other)], "`mode` was"),
        (["--policy", "random-global"], "`policy` was \"dqn\""),
    ] {
        let refused = resume(&extra, &data_dir());
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{extra:?}: {text}");
        assert!(
            text.contains("cannot resume") && text.contains(needle),
            "{text}"
        );
        assert!(text.contains("hint: "), "{text}");
    }
    // Another network of the same layers.
    let stranger = folder.path().join("stranger.onnx");
    let trained = run(&[
        "train",
        "--data",
        path(&data_dir()),
        "--widths",
        "8,M,12,M",
        "--hidden",
        "16",
        "--epochs",
        "0.02",
        "--seed",
        "5",
        "-o",
        path(&stranger),
    ]);
    assert!(trained.status.success(), "{}", stderr(&trained));
    let refused = run(&[
        "prune",
        path(&stranger),
        "--data",
        path(&data_dir()),
        "--resume",
        "-o",
        path(&output),
    ]);
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("begun with another network"), "{text}");

    // Without the config: the run knows its own.
    let done = resume(&[], &data_dir());
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(&masks(&run_dir), undisturbed().1);
}
