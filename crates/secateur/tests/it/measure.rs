//! A measure of the user's own (`--metric`): what it decides, and what becomes of a run in which it
//! fails. Scripts are small ones for `sh`.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use secateur::prelude::*;
use secateur::report::read_json;
use secateur_search::store::read_run;
use tempfile::TempDir;

use crate::common::{MODE, command, data_dir, net, path, quick_config, run, stderr};
use crate::interrupt::{interrupt, lines, wait_until};
use crate::promises::size;

const AEC: &str = "{ kind = \"aec\", max_drop = 0.0 }";

/// Writes down which file it was asked of, and gives its size in bytes: the smaller a network, the
/// smaller the number. `{before}` is done first.
const BYTES: &str = r#"cd "$(dirname "$0")" || exit 9
echo "$1" >> log
n=$(wc -l < log)
{before}
echo "measuring"
printf 'bytes = %s\n' "$(wc -c < "$1")"
"#;

/// A folder with spaces in its name that holds a script, a config and a run.
struct Place {
    folder: TempDir,
    mode: &'static str,
}

impl Place {
    fn new(mode: &'static str, before: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("my own measure ")
            .tempdir()
            .unwrap();
        let place = Self { folder, mode };
        std::fs::write(place.file("val.sh"), BYTES.replace("{before}", before)).unwrap();
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn metric(&self) -> String {
        format!("sh '{}' {{model}}", path(&self.file("val.sh")))
    }

    /// Arguments of a run by the script, or by another command.
    fn args(&self, metric: &str, more: &[&str]) -> Vec<String> {
        let config = quick_config(self.folder.path(), self.mode);
        let data = data_dir();
        let output = self.file("small.onnx");
        let mut all = vec!["prune", path(net()), "--data", path(&data)];
        all.extend(["--config", path(&config), "-o", path(&output)]);
        all.extend(["--metric", metric]);
        all.extend(more);
        all.into_iter().map(str::to_string).collect()
    }

    fn run(&self, metric: &str, more: &[&str]) -> Output {
        command().args(self.args(metric, more)).output().unwrap()
    }

    fn spawn(&self, more: &[&str]) -> Child {
        command()
            .args(self.args(&self.metric(), more))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run_dir(&self) -> PathBuf {
        self.file("small.onnx.run")
    }

    fn report(&self) -> RunReport {
        read_json(&self.run_dir().join("report.json")).unwrap()
    }

    /// The files that the script was asked of, by their names.
    fn asked(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.file("log")).unwrap();
        let name = |line: &str| Path::new(line).file_name().unwrap().to_owned();
        log.lines()
            .map(|line| name(line).into_string().unwrap())
            .collect()
    }
}

fn bytes(file: &Path) -> f64 {
    std::fs::metadata(file).unwrap().len() as f64
}

#[test]
fn the_smallest_network_whose_number_holds_is_written_and_reported() {
    let place = Place::new(AEC, "");
    let done = place.run(&place.metric(), &["--metric-lower-is-better"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let report = place.report();
    let measure = report.measure.as_ref().unwrap();
    assert_eq!(measure.command, Some(place.metric()));
    assert_eq!(measure.floor, Some(measure.given));
    assert!(
        report.mode.contains("may rise by at most 0"),
        "{}",
        report.mode
    );
    assert_eq!(report.floor, None);
    // Seldom: the given network, then each of the two recoveries.
    let asked = place.asked();
    assert_eq!(asked[0], "given.onnx");
    assert_eq!(asked.len(), 1 + measure.readings.len());
    assert_eq!(measure.readings.len(), 2);
    assert!(
        measure
            .readings
            .iter()
            .all(|reading| reading.holds == Some(true))
    );
    // The result is the smaller of them, and what was measured is what was written.
    let file = place.file("small.onnx");
    let least = measure
        .readings
        .iter()
        .map(|r| r.number)
        .fold(f64::INFINITY, f64::min);
    assert_eq!(bytes(&file), least);
    assert_eq!(report.after[0].measure, Some(least));
    assert_eq!(report.before.measure, Some(measure.given));
    assert!(size(&file).params < size(net()).params);
    assert!(!place.run_dir().join("measure").exists(), "it is temporary");
    let text = stderr(&done);
    assert!(
        text.contains("measure: ") && text.contains("for the given network"),
        "{text}"
    );
    let page = std::fs::read_to_string(place.run_dir().join("report.html")).unwrap();
    assert!(page.contains("By its own measure") && page.contains("lower is better"));
    let stdout = String::from_utf8(done.stdout).unwrap();
    assert!(stdout.contains("\nmeasure "), "{stdout}");
    documented(&place);
}

/// docs/run-folder.md names the fields.
fn documented(place: &Place) {
    let docs = include_str!("../../../../docs/run-folder.md");
    let (_, docs) = docs.split_once("## The measure in `report.json`").unwrap();
    let text = std::fs::read_to_string(place.run_dir().join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let fields = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let measure = &report["measure"];
    for field in [fields(measure), fields(&measure["readings"][0])].concat() {
        assert!(
            docs.contains(&format!("`{field}`")),
            "`{field}` is not documented"
        );
    }
}

#[test]
fn a_broken_floor_gives_the_given_network_back_with_the_drop_that_would_do() {
    // Bytes, the more the better: whatever is smaller has fewer.
    let place = Place::new(AEC, "");
    let done = place.run(&place.metric(), &[]);
    assert!(done.status.success(), "{}", stderr(&done));
    let report = place.report();
    assert_eq!(report.after[0].record, None);
    assert_eq!(
        report.after[0].measure,
        Some(report.before.measure.unwrap())
    );
    assert_eq!(size(&place.file("small.onnx")), size(net()));
    let said = report.warnings.join("\n");
    let (_, advice) = said.split_once("with `max_drop` ").expect(&said);
    let drop = advice.split(' ').next().unwrap();

    let missed = drop.parse::<f64>().unwrap();
    let numbers = report
        .measure
        .unwrap()
        .readings
        .into_iter()
        .map(|r| r.number);
    let nearest = numbers.fold(0.0, f64::max);
    assert!(nearest >= report.before.measure.unwrap() - missed);

    // The drop is in bytes, of which there are more than a hundred.
    assert!(missed > 100.0);
    let place = Place::new(AEC, "");
    let done = place.run(&place.metric(), &["--max-drop", "1000000"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let report = place.report();
    assert!(report.after[0].size.params < report.before.size.params);
    let text = stderr(&place.run("", &["--max-drop", "1000000"]));
    assert!(text.contains("holds `{model}`"), "{text}");
}

#[test]
fn where_size_is_promised_the_results_are_measured_and_nothing_else() {
    let place = Place::new(MODE, "");
    let done = place.run(&place.metric(), &[]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(place.asked().len(), 2);
    let report = place.report();
    assert_eq!(
        report.after[0].measure,
        Some(bytes(&place.file("small.onnx")))
    );
    let measure = report.measure.unwrap();
    assert_eq!((measure.floor, measure.readings[0].holds), (None, None));
}

#[test]
fn a_command_that_does_not_work_is_told_before_the_search_begins() {
    let place = Place::new(AEC, "");
    for (metric, needles) in [
        (
            "python3 val.py",
            &["no word of it holds `{model}`", "hint: write `{model}`"][..],
        ),
        (
            "sh -c 'exit 0 {model}",
            &["a quote in it is not closed", "hint: "],
        ),
        (
            "no-such-program-anywhere {model}",
            &[
                "cannot run",
                "`no-such-program-anywhere`",
                "no shell runs the command",
            ],
        ),
        (
            "sh -c 'echo half; echo boom >&2; exit 3' {model}",
            &[
                "exit status: 3",
                "last on stdout:\n    half",
                "last on stderr:\n    boom",
                "given.onnx",
            ],
        ),
        (
            "sh -c 'kill -9 $$' {model}",
            &["signal: 9", "it printed nothing"],
        ),
        (
            "sh -c 'echo 0.5; echo all done' {model}",
            &[
                "does not end in a number",
                "    all done",
                "hint: let the command print",
            ],
        ),
        (
            "sh -c 'echo mAP: nan' {model}",
            &["it printed NaN, expected a finite number"],
        ),
        ("sh -c 'echo inf' {model}", &["it printed inf"]),
        ("true {model}", &["stdout is empty", "it printed nothing"]),
    ] {
        let failed = place.run(metric, &[]);
        let text = stderr(&failed);
        assert_eq!(failed.status.code(), Some(1), "{metric}: {text}");
        for needle in needles {
            assert!(text.contains(needle), "{metric}: no `{needle}` in {text}");
        }
        assert!(text.contains("hint: "), "{text}");
        assert!(!place.file("small.onnx").exists());
        assert!(!place.run_dir().join("checkpoint.bin").exists(), "{metric}");
    }
    // The folder is not in the way of another try, and the network that it failed on is there.
    assert!(place.run_dir().join("measure/given.onnx").exists());
    let refused = run(&[
        "prune",
        path(net()),
        "--no-train",
        "--budget",
        "params=0.5",
        "--metric",
        "val {model}",
        "-o",
        path(&place.file("small.onnx")),
    ]);
    assert!(stderr(&refused).contains("cannot use `--metric` with `--no-train`"));
}

/// Does the process of this number still run? One that has ended may wait to be noticed.
fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
    let ended = |text: &str| text.lines().any(|line| line.starts_with("State:\tZ"));
    status.is_ok_and(|text| !ended(&text))
}

fn content(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let place = Place::new(AEC, "echo waiting; sleep 600 & echo $! > pid; wait");
    let started = Instant::now();
    let failed = place.run(&place.metric(), &["--metric-timeout", "5"]);
    let text = stderr(&failed);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(
        text.contains("took more than 5 s") && text.contains("    waiting"),
        "{text}"
    );
    assert!(
        text.contains("`--metric-timeout` gives it more seconds"),
        "{text}"
    );
    assert!(started.elapsed() < Duration::from_secs(300));
    wait_until(|| !runs(&content(&place.file("pid"))));

    // One that prints without end fills neither memory nor disk.
    let text = stderr(&place.run("yes {model}", &["--metric-timeout", "1"]));
    assert!(
        text.contains("took more than 1 s") && text.contains("given.onnx"),
        "{text}"
    );

    // What it leaves in the background holds nobody up.
    let left = "sh -c 'sleep 600 & echo $! > \"$0\"; echo half a number' ";
    let metric = format!("{left} '{}' {{model}}", path(&place.file("left")));
    let told = stderr(&place.run(&metric, &[]));
    assert!(told.contains("does not end in a number"), "{told}");
    let pid = content(&place.file("left"));
    assert!(runs(&pid), "it is none of our business");
    let ended = std::process::Command::new("kill").arg(pid.trim()).status();
    assert!(ended.unwrap().success());
}

/// Fails, or hangs, at the second network, until it is mended.
fn unless_mended(what: &str) -> String {
    format!("if [ $n = 2 ] && [ ! -e mended ]; then\n{what}\nfi")
}

#[test]
fn after_a_failure_the_run_goes_on_with_the_numbers_that_it_has() {
    let place = Place::new(AEC, &unless_mended("echo out of memory >&2; exit 7"));
    let failed = place.run(&place.metric(), &["--metric-lower-is-better"]);
    let text = stderr(&failed);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(text.contains("the run up to here is kept in"), "{text}");
    assert!(text.contains("    out of memory"), "{text}");
    assert!(
        text.contains("then run the same command with `--resume`"),
        "{text}"
    );
    let asked = place.asked();
    assert!(place.run_dir().join("measure").join(&asked[1]).exists());
    let epochs = read_run(&place.run_dir()).unwrap().1;

    // As long as it is not mended it fails again, and another command is another run.
    let again = place.run(&place.metric(), &["--metric-lower-is-better", "--resume"]);
    assert_eq!(
        again.status.code(),
        Some(0),
        "only the second call fails: {}",
        stderr(&again)
    );
    let report = place.report();
    assert_eq!(place.asked()[1..3], [asked[1].clone(), asked[1].clone()]);
    assert_eq!(
        place.asked().len(),
        2 + report.measure.as_ref().unwrap().readings.len()
    );
    let history = read_run(&place.run_dir()).unwrap().1;
    assert_eq!(history[..epochs.len()], epochs, "no epoch was repeated");
    assert!(report.after[0].size.params < report.before.size.params);
}

#[test]
fn another_measure_is_another_run() {
    let place = Place::new(AEC, &unless_mended("exit 7"));
    assert_eq!(place.run(&place.metric(), &[]).status.code(), Some(1));
    let other = place.run("val {model}", &["--resume"]);
    let text = stderr(&other);
    assert!(text.contains("`measure.command` was"), "{text}");
    let other = place.run(&place.metric(), &["--resume", "--metric-lower-is-better"]);
    let text = stderr(&other);
    assert!(
        text.contains("`measure.lower_is_better` was false"),
        "{text}"
    );
}

#[test]
fn stopped_or_killed_in_a_measurement_it_goes_on_there() {
    let hang = unless_mended("echo $$ > pid; sleep 600 & echo $! >> pid; wait");
    let place = Place::new(AEC, &hang);
    let pid = place.file("pid");
    let child = place.spawn(&["--metric-lower-is-better"]);
    wait_until(|| lines(&pid) == 2);
    let started = Instant::now();
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{told}");
    assert!(started.elapsed() < Duration::from_secs(60), "at once");
    assert!(
        told.contains("hint: run the same command with `--resume`"),
        "{told}"
    );
    wait_until(|| !content(&pid).lines().any(runs));
    let epochs = read_run(&place.run_dir()).unwrap().1;

    // Once more, and now it is killed; what it waited for goes on.
    std::fs::remove_file(&pid).unwrap();
    std::fs::write(place.file("log"), "given.onnx\n").unwrap();
    let mut child = place.spawn(&["--metric-lower-is-better", "--resume"]);
    wait_until(|| lines(&pid) == 2);
    child.kill().unwrap();
    child.wait().unwrap();
    for left in content(&pid).lines() {
        // The shell may have ended by itself.
        let _ = std::process::Command::new("kill").arg(left).output();
    }

    std::fs::write(place.file("mended"), "").unwrap();
    let done = place.run(&place.metric(), &["--metric-lower-is-better", "--resume"]);
    assert!(done.status.success(), "{}", stderr(&done));
    let history = read_run(&place.run_dir()).unwrap().1;
    assert_eq!(history[..epochs.len()], epochs, "no epoch was repeated");
    assert!(!place.run_dir().join("measure").exists());
    let report = place.report();
    assert!(report.after[0].size.params < report.before.size.params);
}

#[test]
fn in_the_library_a_function_measures() {
    let source = data::open(&data_dir(), &DataConfig::default()).unwrap();
    let model = Model::read(net()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(quick_config(folder.path(), AEC)).unwrap();
    let mut config: PruneConfig = toml::from_str(&text).unwrap();
    config.mode = Mode::Aec { max_drop: 1000.0 };
    config.measure.lower_is_better = true;
    let mut asked = Vec::new();
    let measure = |file: &Path| {
        asked.push(file.to_path_buf());
        // The file is whole.
        Model::read(file).map(|_| bytes(file))
    };
    let pruner = Pruner::with_config(config.clone()).measure(measure);
    let pruned = pruner.run(&model, &source, &mut ()).unwrap();
    let measure = pruned.report.measure.unwrap();
    assert_eq!(measure.command, None);
    assert_eq!(asked.len(), 1 + measure.readings.len());
    assert!(
        asked.iter().all(|file| !file.exists()),
        "they are temporary"
    );
    assert!(pruned.networks[0].measure.unwrap() < measure.given);

    let failing = |_: &Path| Err::<f64, _>("no device is free");
    let failed = Pruner::with_config(config).measure(failing);
    let text = failed
        .run(&model, &source, &mut ())
        .err()
        .unwrap()
        .to_string();
    assert_eq!(text, "cannot measure the given network: no device is free");
}
