//! Comparisons: made once, gone on with after a kill, shared out, and told where runs fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::common::{command, data_dir, net, path, stderr};
#[cfg(target_os = "linux")]
use crate::interrupt::{interrupt, wait_until};

/// The experiment that is shipped for this.
fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/mnist-tiny.toml")
}

fn compare(experiment: &Path, rest: &[&str]) -> Output {
    let mut command = command();
    command.args(["compare", path(experiment)]).args(rest);
    command.output().unwrap()
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Settings of runs of a few seconds, and a given network.
fn quick(folder: &Path, rest: &str) -> PathBuf {
    let file = folder.join("quick.toml");
    let text = format!(
        "{rest}\n[settings.search]\nexchange_epochs = 1\n\
         recover_steps = 8\nrecover_tries = 1\nmax_cost = 100.0\n\
         agent_updates = 4\nablation_images = 0\n[[network]]\nname = \"small\"\ndata = {:?}\nfile = {:?}\n",
        path(&data_dir()),
        path(net())
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Rows by policy, promise and seed, without what depends on time and place.
fn figures(comparison: &Value) -> BTreeMap<String, Value> {
    let rows = comparison["rows"].as_array().unwrap();
    let row = |row: &Value| {
        let key = format!("{} {} {}", row["policy"], row["promise"], row["seed"]);
        let mut row = row.clone();
        let fields = row.as_object_mut().unwrap();
        for passing in ["seconds", "clock", "folder"] {
            fields.remove(passing);
        }
        (key, row)
    };
    rows.iter().map(row).collect()
}

fn of(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap()
}

#[test]
fn an_experiment_is_made_once_whatever_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    #[cfg(target_os = "linux")]
    stop_twice(&out);
    let done = compare(&tiny(), &["-o", path(&out)]);
    assert!(done.status.success(), "{}", stderr(&done));
    let comparison = json(&out.join("compare.json"));
    let rows = figures(&comparison);
    assert_eq!(rows.len(), 8, "{rows:?}");
    assert_eq!(comparison["missing"].as_array().unwrap().len(), 0);
    let text = String::from_utf8(done.stdout).unwrap();
    for needle in [
        "tiny, params=0.3",
        "l2-uniform",
        "no-exchange",
        "scratch",
        "dqn ahead by",
    ] {
        assert!(text.contains(needle), "{text}");
    }

    // The mean difference is that of the pairs.
    let row = |policy: &str, seed: u64| &rows[&format!("\"{policy}\" \"params=0.3\" {seed}")];
    for line in comparison["groups"][0]["lines"].as_array().unwrap() {
        let policy = line["policy"].as_str().unwrap();
        if policy == "dqn" {
            assert_eq!(line["quality_ahead"], Value::Null);
            continue;
        }
        let differences = [0, 1].map(|seed| {
            100.0 * (of(row("dqn", seed), "validation") - of(row(policy, seed), "validation"))
        });
        let mean = differences.iter().sum::<f64>() / 2.0;
        assert!(
            (of(&line["quality_ahead"], "mean") - mean).abs() < 1e-9,
            "{policy}"
        );
        let (low, high) = (
            differences[0].min(differences[1]),
            differences[0].max(differences[1]),
        );
        let interval = &line["quality_ahead"]["interval"];
        assert!(
            (interval[0].as_f64().unwrap() - low).abs() < 1e-9,
            "{policy}"
        );
        assert!(
            (interval[1].as_f64().unwrap() - high).abs() < 1e-9,
            "{policy}"
        );
    }
    // New weights have the shape, and cost as much.
    for seed in [0, 1] {
        let (found, new) = (row("dqn", seed), row("scratch", seed));
        assert_eq!(found["params"], new["params"]);
        let (cost, own) = (of(found, "cost"), of(new, "cost"));
        assert!((own - cost).abs() < 0.02 * (1.0 + cost), "{own} of {cost}");
        assert_ne!(found["validation"], new["validation"]);
    }

    // Nothing is left to do; test figures are there when they are asked for.
    let again = compare(&tiny(), &["-o", path(&out), "--test"]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert!(!stderr(&again).contains("begins"), "{}", stderr(&again));
    let tested = json(&out.join("compare.json"));
    assert_eq!(figures(&tested), rows);
    let mean = |comparison: &Value| of(&comparison["groups"][0]["lines"][0], "quality");
    let tests = [0, 1].map(|seed| of(row("dqn", seed), "test"));
    assert!((mean(&tested) - (tests[0] + tests[1]) / 2.0).abs() < 1e-9);

    // Other settings are another experiment.
    let other = folder.path().join("mnist-tiny.toml");
    let text = std::fs::read_to_string(tiny()).unwrap();
    let text = text.replace("../data/mnist", path(&data_dir()));
    std::fs::write(
        &other,
        text.replace("agent_updates = 8", "agent_updates = 9"),
    )
    .unwrap();
    let refused = compare(&other, &["-o", path(&out)]);
    assert_eq!(refused.status.code(), Some(1));
    let text = stderr(&refused);
    assert!(
        text.contains("its `search.agent_updates` was 8, now it is 9"),
        "{text}"
    );
    assert!(
        text.contains("hint: name another folder with `-o`"),
        "{text}"
    );
}

/// Kills a comparison in the middle, then interrupts the next one.
#[cfg(target_os = "linux")]
fn stop_twice(out: &Path) {
    let start = || {
        command()
            .args(["compare", path(&tiny()), "-o", path(out), "--jobs", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let run = |policy: &str| {
        out.join("runs/tiny/params-0.3")
            .join(policy)
            .join("seed-0/run")
    };
    let mut killed = start();
    wait_until(|| run("dqn").join("checkpoint.bin").exists());
    killed.kill().unwrap();
    killed.wait().unwrap();

    // What the killed one had begun goes on by itself, and is left alone meanwhile.
    let stopped = start();
    wait_until(|| run("l2-uniform").join("checkpoint.bin").exists());
    interrupt(&stopped);
    let stopped = stopped.wait_with_output().unwrap();
    let text = stderr(&stopped);
    assert_eq!(stopped.status.code(), Some(130), "{text}");
    assert!(text.contains("hint: the same command goes on"), "{text}");
}

#[test]
fn a_run_that_fails_is_told_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = quick(
        folder.path(),
        "seeds = [0]\npromises = [\"params=0.3\", \"params=0.0001\"]\npolicies = [\"l2-uniform\"]\n\
         variant = [{ name = \"scratch\", shape_of = \"l2-uniform\" }]",
    );
    let out = folder.path().join("out");
    let failed = compare(&file, &["-o", path(&out), "--json"]);
    let text = stderr(&failed);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(text.contains("error: 2 of the runs failed"), "{text}");
    let comparison: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(figures(&comparison).len(), 2);
    let failures = comparison["failures"].as_array().unwrap();
    let error = failures[0]["error"].as_str().unwrap();
    assert!(
        error.contains("cannot be reached") && error.contains("hint: "),
        "{error}"
    );
    assert_eq!(
        failures[1]["error"],
        "not begun: small params=0.0001 l2-uniform seed 0 failed"
    );
    for name in ["table.md", "runs.csv", "compare.html"] {
        assert!(out.join(name).is_file(), "{name}");
    }
}

#[test]
fn shards_make_together_what_one_makes() {
    let folder = tempfile::tempdir().unwrap();
    let file = quick(
        folder.path(),
        "seeds = [0, 1]\npromises = [\"params=0.3\"]\npolicies = [\"l2-uniform\", \"random-uniform\"]\n\
         against = \"random-uniform\"",
    );
    let out = |name: &str| folder.path().join(name);
    let listed = compare(&file, &["-o", path(&out("whole")), "--dry-run"]);
    let text = String::from_utf8(listed.stdout.clone()).unwrap();
    assert_eq!(
        text.matches("secateur --threads 2 prune").count(),
        4,
        "{text}"
    );
    assert!(!out("whole").exists());
    for (name, shard) in [("one", "1/2"), ("two", "2/2")] {
        let part = compare(&file, &["-o", path(&out(name)), "--shard", shard]);
        assert!(part.status.success(), "{}", stderr(&part));
        assert_eq!(figures(&json(&out(name).join("compare.json"))).len(), 2);
    }
    let (one, two, both) = (out("one"), out("two"), out("both"));
    let merged = compare(
        &file,
        &["--merge", path(&one), path(&two), "-o", path(&both)],
    );
    assert!(merged.status.success(), "{}", stderr(&merged));
    let whole = compare(&file, &["-o", path(&out("whole"))]);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let (merged, whole) = (
        json(&both.join("compare.json")),
        json(&out("whole").join("compare.json")),
    );
    assert_eq!(figures(&merged), figures(&whole));
    assert_eq!(figures(&whole).len(), 4);
    let ahead = |comparison: &Value| comparison["overall"][0]["budgets"].clone();
    assert_eq!(ahead(&merged), ahead(&whole));
    assert_eq!(ahead(&whole)["pairs"], 2);
    assert_eq!(whole["overall"][0]["policy"], "l2-uniform");
}

#[test]
fn an_experiment_that_says_something_wrong_is_refused_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    let good = "seeds = [0]\npromises = [\"params=0.3\"]\npolicies = [\"dqn\"]\n\
                [[network]]\nname = \"a\"\ndata = \"d\"\nfile = \"a.onnx\"\n";
    for (from, to, expected) in [
        (
            "seeds = [0]",
            "seeds = []",
            "line 1: `seeds`: expected one or more",
        ),
        (
            "seeds = [0]",
            "sedes = [0]",
            "line 1: unknown field `sedes`",
        ),
        (
            "params=0.3",
            "flops=0.3",
            "line 2: `promises`: `flops=0.3`: unknown metric",
        ),
        (
            "[\"params=0.3\"]",
            "[\"params=0.3\", \"params=0.3\"]",
            "line 2: `promises`: `params=0.3` stands twice",
        ),
        (
            "\"dqn\"",
            "\"dqn\", \"l3-uniform\"",
            "line 3: `l3-uniform` on `a`: unknown policy `l3-uniform`",
        ),
        (
            "file = \"a.onnx\"",
            "",
            "line 5: network `a`: expected `file`, or a table `train`",
        ),
        ("name = \"a\"", "name = \"a/b\"", "line 5: the name `a/b`"),
        (
            "file = \"a.onnx\"",
            "train = { epoch = 1 }",
            "line 7: `train` of `a`: unknown field `epoch`",
        ),
        (
            "[[network]]",
            "[settings]\nsearch.max_costs = 1\n[[network]]",
            "line 3: `dqn` on `a`: unknown field `max_costs`",
        ),
        (
            "[[network]]",
            "[settings.search]\ndescent_epochs = 1\n[[network]]",
            "line 3: `dqn` on `a`: `search.descent_epochs` is no setting any more",
        ),
        (
            "[[network]]",
            "[settings]\nseed = 1\n[[network]]",
            "line 4: `seed` in `settings`: it is set by `seeds`",
        ),
        (
            "[[network]]",
            "[[ablation]]\nname = \"v\"\nset = { search.max_cost = -1 }\n[[network]]",
            "line 5: `dqn+v` on `a`: `search.max_cost` is -1.0",
        ),
        (
            "[[network]]",
            "[[variant]]\nname = \"v\"\nshape_of = \"x\"\n[[network]]",
            "line 6: `x` is none of the policies",
        ),
    ] {
        std::fs::write(&file, good.replacen(from, to, 1)).unwrap();
        let refused = compare(&file, &["-o", path(&folder.path().join("out"))]);
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(text.contains(expected), "{expected}: {text}");
        assert!(
            text.contains("wrong.toml`, line ") && text.contains("hint: docs/compare.md"),
            "{text}"
        );
    }
    // Data that are not there are told before anything begins.
    std::fs::write(&file, good).unwrap();
    let refused = compare(&file, &["-o", path(&folder.path().join("out"))]);
    let text = stderr(&refused);
    assert!(
        text.contains("cannot compare on `a`: there is no data"),
        "{text}"
    );
    assert!(!folder.path().join("out").exists());
}
