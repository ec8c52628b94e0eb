//! The commands from outside: what programs read, what help says, exit codes.

use std::path::{Path, PathBuf};

use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use serde_json::Value;

use crate::common::{command, data_dir, net, path, run, stderr, undisturbed};
use crate::message::with_graph;

fn run_dir() -> PathBuf {
    undisturbed().0.with_file_name("whole.onnx.run")
}

/// Runs with `--json`; stdout must hold one value and nothing else.
fn json(args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.push("--json");
    let output = run(&all);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {text}{}", stderr(&output)))
}

#[test]
fn programs_can_read_what_commands_print() {
    let (whole, _) = undisturbed();
    let folder = tempfile::tempdir().unwrap();
    let (data, run_dir) = (data_dir(), run_dir());
    let data = path(&data);

    let trained = folder.path().join("net.onnx");
    let value = json(&[
        "train",
        "--data",
        data,
        "--widths",
        "4,M",
        "--epochs",
        "0.02",
        "-o",
        path(&trained),
    ]);
    assert_eq!(value["output"], path(&trained));
    assert!(value["validation_quality"].as_f64().unwrap() > 0.0);
    assert_eq!(value["stopped"], false);

    let small = folder.path().join("small.onnx");
    let config = run_dir.join("config.toml");
    let value = json(&[
        "prune",
        path(net()),
        "--data",
        data,
        "--config",
        path(&config),
        "-o",
        path(&small),
    ]);
    assert!(value["after"][0]["test_quality"].as_f64().unwrap() > 0.3);
    assert_eq!(
        value["after"][0]["bytes"],
        std::fs::metadata(&small).unwrap().len()
    );

    let value = json(&["eval", path(whole), "--data", data]);
    assert_eq!(value["images"], 10_000);
    assert_eq!(value["classes"].as_array().unwrap().len(), 10);

    let value = json(&["inspect", path(net()), "--plan"]);
    assert_eq!(value["groups"][0]["producers"][0], "conv1");
    assert_eq!(value["trainable"], true);
    assert!(!value["plan"].as_array().unwrap().is_empty());

    let value = json(&["verify", path(net()), path(whole)]);
    let checks = value["checks"].as_array().unwrap();
    assert!(checks.len() >= 4 && checks.iter().all(|c| c["passed"] == true));

    let value = json(&[
        "bench",
        path(net()),
        path(whole),
        "--batch",
        "1",
        "--rounds",
        "2",
    ]);
    assert!(value[1]["latency"][0]["median_ms"].as_f64().unwrap() > 0.0);

    let value = json(&["report", path(&run_dir)]);
    assert_eq!(value["seed"], 0);
}

/// Compares with a stored text; `SECATEUR_UPDATE_SNAPSHOTS=1` stores it anew.
fn snapshot(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/help")
        .join(format!("{name}.txt"));
    if std::env::var_os("SECATEUR_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        stored == text,
        "the help of `{name}` has changed; if it is meant to, run the test with \
         SECATEUR_UPDATE_SNAPSHOTS=1. It is now:\n{text}"
    );
}

#[test]
fn help() {
    let commands = [
        "",
        "train",
        "prune",
        "eval",
        "inspect",
        "verify",
        "bench",
        "quantise",
        "report",
        "compare",
        "demo",
        "completions",
        "man",
    ];
    for name in commands {
        let mut command = command();
        // Where nothing is a terminal lines are wrapped at a fixed width.
        command
            .env("COLUMNS", "100")
            .stdin(std::process::Stdio::null());
        if !name.is_empty() {
            command.arg(name);
        }
        let output = command.arg("--help").output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            name.is_empty() || text.contains("Example"),
            "`{name}` shows no example"
        );
        snapshot(if name.is_empty() { "secateur" } else { name }, &text);
    }
}

#[test]
fn shells_and_manuals_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let output = run(&["man", "-o", path(&pages)]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let page = std::fs::read_to_string(pages.join("secateur-prune.1")).unwrap();
    assert!(page.contains(r"\-\-budget"), "{page}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = run(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            script.contains("max-drop") && script.contains("compare"),
            "{shell}"
        );
    }
    // A file where the folder should be stays.
    let output = run(&["man", "-o", path(&pages.join("secateur.1"))]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("it is no folder"));
}

/// A copy of the pruned file with something changed.
fn changed(folder: &Path, name: &str, change: impl FnOnce(&mut Model)) -> PathBuf {
    let mut model = Model::read(undisturbed().0).unwrap();
    change(&mut model);
    let file = folder.join(name);
    model.write(&file).unwrap();
    file
}

/// 130 is tested with the interrupts.
#[test]
fn exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, _) = undisturbed();
    let good = path(whole).to_string();
    let renamed = changed(folder.path(), "renamed.onnx", |model| {
        *model = with_graph(model, |graph| graph.node[0].set_name("other".to_string()));
    });
    let masks = Model::read(whole)
        .unwrap()
        .metadata("secateur.masks")
        .unwrap()
        .to_string();
    // One kernel more is claimed to be gone.
    let claims = changed(folder.path(), "claims.onnx", |model| {
        model.set_metadata("secateur.masks", masks.replacen("11", "01", 1));
    });
    let original = path(net());
    let missing = folder.path().join("none.onnx");
    let cases: &[(i32, &[&str])] = &[
        (0, &["--version"]),
        (0, &["verify", original, &good]),
        (1, &["inspect", path(&missing)]),
        (1, &["--threads", "0", "inspect", original]),
        (2, &[]),
        (2, &["prone"]),
        (2, &["prune", original]),
        (2, &["train", "--epochs", "many"]),
        (3, &["verify", original, path(&renamed)]),
        (3, &["verify", original, path(&claims)]),
    ];
    for (code, args) in cases {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_secateur"));
        let output = command.args(*args).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{args:?}: {}",
            stderr(&output)
        );
        if *code == 3 {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(text.contains("FAILED"), "{text}");
        }
    }
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let readme = include_str!("../../../../README.md");
    for code in ["0", "1", "2", "3", "130"] {
        assert!(
            help.contains(&format!("{code} ")),
            "--help lacks exit code {code}"
        );
        assert!(
            readme.contains(&format!("| {code} |")),
            "the README lacks exit code {code}"
        );
    }
}

#[test]
fn a_reader_that_goes_away_harms_nothing() {
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let (net, trained, data) = (net(), folder.path().join("t.onnx"), data_dir());
    let train = [
        "train",
        "--data",
        path(&data),
        "--widths",
        "4,M",
        "--epochs",
        "0.02",
        "-o",
    ];
    let mut train: Vec<&str> = train.to_vec();
    train.push(path(&trained));
    for args in [vec!["inspect", "--plan", path(net)], train] {
        let mut child = command()
            .args(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("panicked"), "{}", stderr(&output));
    }
    assert!(trained.exists(), "the file is written whoever reads");
}

/// Weights and metadata, without the wall-clock time.
fn contents(file: &Path) -> Vec<u8> {
    let mut model = Model::read(file).unwrap();
    assert!(model.metadata("secateur.training_seconds").is_some());
    model.set_metadata("secateur.training_seconds", String::new());
    model.to_bytes().unwrap()
}

#[test]
fn the_same_seed_and_threads_train_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, seed: &str| {
        let file = folder.path().join(name);
        let output = run(&[
            "train",
            "--data",
            path(&data_dir()),
            "--widths",
            "8,M,12,M",
            "--epochs",
            "0.1",
            "--max-shift",
            "1",
            "--seed",
            seed,
            "-o",
            path(&file),
        ]);
        assert!(output.status.success(), "{}", stderr(&output));
        contents(&file)
    };
    let (a, b, other) = (
        train("a.onnx", "3"),
        train("b.onnx", "3"),
        train("c.onnx", "4"),
    );
    assert!(a == b, "two trainings with one seed differ");
    assert!(a != other, "another seed trains another network");
    let graph = Graph::from_model(&Model::read(folder.path().join("a.onnx")).unwrap()).unwrap();
    let names = graph.initializers.keys().map(String::as_str);
    assert!(graph.find_non_finite(names).is_none());
}
