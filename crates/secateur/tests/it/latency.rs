//! Engines by name, times of layers, budgets of latency. No figure of time is looked at: machines
//! are busy.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::common::{command, path, stderr};

/// A small network, and a cache folder of its own.
struct Place {
    folder: tempfile::TempDir,
    model: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("net.onnx");
        let mut config = secateur::arch::VggConfig::new([1, 16, 16], 4);
        config.stages = secateur::arch::VggConfig::parse_stages("24,M,40,M").unwrap();
        config.hidden = vec![16];
        let network = secateur::arch::vgg_like(&config, 3).unwrap();
        network.write(&model).unwrap();
        Self { folder, model }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = command();
        command.env("XDG_CACHE_HOME", self.cache()).args(args);
        command.output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.run(args);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn model(&self) -> &str {
        path(&self.model)
    }
}

#[test]
fn engines_are_taken_by_name_and_named() {
    let place = Place::new();
    for (engine, named) in [("tract", "tract, 1 thread"), ("own", "secateur's own")] {
        let rows = place.json(&[
            "bench",
            place.model(),
            "--engine",
            engine,
            "--batch",
            "1,2",
            "--rounds",
            "2",
            "--json",
        ]);
        let latency = rows[0]["latency"].as_array().unwrap();
        assert_eq!(latency.len(), 2);
        for row in latency {
            assert!(row["engine"].as_str().unwrap().starts_with(named), "{row}");
            assert!(row["min_ms"].as_f64().unwrap() <= row["median_ms"].as_f64().unwrap());
        }
    }
}

#[test]
fn engines_that_are_not_there_are_errors_with_a_way_out() {
    let place = Place::new();
    let missing = place.folder.path().join("libonnxruntime.so");
    for args in [
        &["--engine", "onnxruntime"][..],
        &["--ort-lib", path(&missing)],
        &["--engine", "tract", "--ort-lib", path(&missing)],
    ] {
        let mut all = vec!["bench", place.model()];
        all.extend(args);
        let output = place.run(&all);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("cannot use the engine `onnxruntime`"),
            "{text}"
        );
        assert!(text.contains("names no file"), "{text}");
        assert!(text.contains("hint: "), "{text}");
    }
}

#[test]
fn times_of_layers_are_kept_for_the_next_time() {
    let place = Place::new();
    let args = [
        "inspect",
        place.model(),
        "--latency",
        "--engine",
        "tract",
        "--json",
    ];
    let table = |value: &Value| value["latency"]["layers"].clone();
    let first = table(&place.json(&args));
    let heads: Vec<&str> = first
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["op_type"].as_str().unwrap())
        .collect();
    assert_eq!(heads.iter().filter(|head| **head == "Conv").count(), 2);
    // Inputs by five widths, outputs by five: fewer where blocks make them the same.
    let times = first[2]["times"].as_array().unwrap();
    assert!((4..=25).contains(&times.len()), "{times:?}");
    let kept = walk(&place.cache());
    assert_eq!(kept.len(), 1, "{kept:?}");
    // What is known is not measured again, so that it is the same to the last digit.
    assert_eq!(table(&place.json(&args)), first);
    // A damaged cache is measured anew.
    std::fs::write(&kept[0], "{").unwrap();
    assert_eq!(
        table(&place.json(&args)).as_array().unwrap().len(),
        heads.len()
    );
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found
}

#[test]
fn budgets_of_latency_are_measured_beside_the_given_network() {
    let place = Place::new();
    let small = place.folder.path().join("small.onnx");
    for (budget, allowed) in [("latency=0.7", 0.7), ("latency=0.8+params=0.5", 0.8)] {
        let report = place.json(&[
            "prune",
            place.model(),
            "--no-train",
            "--engine",
            "tract",
            "--latency-batch",
            "2",
            "--budget",
            budget,
            "-o",
            path(&small),
            "--json",
        ]);
        let after = &report["after"][0];
        assert_eq!(after["budget"], budget);
        let timed = &after["timed"];
        assert_eq!(timed["allowed"], allowed);
        assert_eq!(timed["batch"], 2);
        assert!(timed["engine"].as_str().unwrap().starts_with("tract"));
        assert!(timed["ms"].as_f64().unwrap() > 0.0);
        let params = |of: &Value| of["size"]["params"].as_f64().unwrap();
        assert!(params(after) < params(&report["before"]));
        if budget.contains("params") {
            assert!(params(after) <= 0.5 * params(&report["before"]));
        }
        let notes = report["notes"].to_string();
        assert!(
            notes.contains("latency is counted by times of layers in tract"),
            "{notes}"
        );
    }
}

#[test]
fn times_are_no_budget_where_the_network_is_faster() {
    let place = Place::new();
    let small = place.folder.path().join("small.onnx");
    let output = place.run(&[
        "prune",
        place.model(),
        "--no-train",
        "--engine",
        "tract",
        "--budget",
        "latency=1000ms",
        "-o",
        path(&small),
    ]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("below the given network's, which takes"),
        "{text}"
    );
    assert!(!small.exists());
}
