//! What each option of `prune` promises, held against the files that it writes.

use std::path::{Path, PathBuf};

use secateur::report::{NetworkFigures, RunReport, read_json};
use secateur_search::record::Stage;
use secateur_search::store::read_run;
use tempfile::TempDir;

use crate::common::{data_dir, net, path, prune, quick_config, run, stderr, undisturbed};
use crate::promises::size;

const CECA: &str = "{ kind = \"ceca\", budgets = [], max_drop = 0.0 }";
const AEC: &str = "{ kind = \"aec\", max_drop = 0.0 }";

/// A quick run with more settings under `[search]` and arguments.
struct Run {
    folder: TempDir,
    stdout: String,
}

impl Run {
    fn new(model: &Path, mode: &str, search: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = quick_config(folder.path(), mode);
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(
            &config,
            text.replace("[search]\n", &format!("[search]\n{search}\n")),
        )
        .unwrap();
        let output = folder.path().join("small.onnx");
        let data = data_dir();
        let mut all = vec!["prune", path(model), "--data", path(&data)];
        all.extend(["--config", path(&config), "-o", path(&output)]);
        all.extend(args);
        let done = run(&all);
        assert!(done.status.success(), "{args:?}: {}", stderr(&done));
        Self {
            stdout: String::from_utf8(done.stdout).unwrap(),
            folder,
        }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("small.onnx")
    }

    fn run_dir(&self) -> PathBuf {
        self.folder.path().join("small.onnx.run")
    }

    fn report(&self) -> RunReport {
        read_json(&self.run_dir().join("report.json")).unwrap()
    }

    fn verify(&self, original: &Path, file: &Path) {
        let verified = run(&["verify", path(original), path(file)]);
        assert_eq!(verified.status.code(), Some(0), "{}", stderr(&verified));
    }
}

#[test]
fn budgets_of_every_kind_are_met() {
    let before = size(net());
    for (metric, share) in [("macs", 0.3), ("kernels", 0.5), ("conv-params", 0.35)] {
        let run = Run::new(net(), CECA, "", &["--budget", &format!("{metric}={share}")]);
        let after = size(&run.output());
        let (now, full) = match metric {
            "macs" => (after.macs, before.macs),
            "kernels" => (after.kernels, before.kernels),
            _ => (after.conv_params, before.conv_params),
        };
        let remaining = now as f64 / full as f64;
        assert!(remaining <= share, "{metric}: {remaining} of {share}");
        // Used, not just met: a kernel is at most an eighth of a layer here.
        assert!(remaining > 0.6 * share, "{metric}: {remaining} of {share}");
        run.verify(net(), &run.output());
    }
}

/// Does another network beat this one in size or accuracy without losing in the other?
fn dominated(network: &NetworkFigures, all: &[NetworkFigures]) -> bool {
    let key = |n: &NetworkFigures| (n.size.params, n.search_quality);
    let (params, accuracy) = key(network);
    all.iter()
        .map(key)
        .any(|(p, a)| p <= params && a >= accuracy && (p < params || a > accuracy))
}

#[test]
fn without_a_budget_the_front_is_kept_and_the_smallest_within_the_drop_is_the_output() {
    let run = Run::new(
        net(),
        CECA,
        "front = [0.6, 0.3, 0.1]",
        &["--max-drop", "50"],
    );
    let report = run.report();
    assert!(!report.front.is_empty());
    for network in &report.front {
        assert!(!dominated(network, &report.front), "{}", network.label);
        let file = run.run_dir().join(&network.file);
        assert_eq!(size(&file).params, network.size.params, "{}", network.file);
        run.verify(net(), &file);
    }
    let mut files: Vec<String> = std::fs::read_dir(run.run_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".onnx"))
        .collect();
    files.sort();
    let mut named: Vec<String> = report.front.iter().map(|n| n.file.clone()).collect();
    named.sort();
    assert_eq!(files, named, "the front and nothing else");
    let within = |n: &&NetworkFigures| {
        n.search_quality >= report.before.search_quality - 0.5
            && n.confirm_quality >= report.before.confirm_quality - 0.5
    };
    let smallest = report
        .front
        .iter()
        .filter(within)
        .map(|n| n.size.params)
        .min()
        .unwrap();
    assert_eq!(report.after.len(), 1);
    assert_eq!(report.after[0].size.params, smallest);
    assert_eq!(size(&run.output()).params, smallest);
}

#[test]
fn where_no_recovery_holds_a_network_with_solved_weights_is_returned() {
    // It may not learn, and goes far down at once, with no way back: no recovery holds the
    // accuracy.
    let folder = tempfile::tempdir().unwrap();
    let config = quick_config(folder.path(), AEC);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text
        .replace("exchange_epochs = 2", "exchange_epochs = 0")
        .replace("recover_tries = 2", "recover_tries = 1")
        .replace("[search]\n", "[search]\naec_target = 0.02\n")
        + "[training]\nrecover_lr = 1e-9\nrecover_max_shift = 0\n";
    std::fs::write(&config, text).unwrap();
    let output = folder.path().join("small.onnx");
    let done = prune(net(), &config, &output);
    assert!(done.status.success(), "{}", stderr(&done));
    let stdout = String::from_utf8_lossy(&done.stdout);
    assert!(
        stdout.contains("was not taken") && !stdout.contains("returned unchanged"),
        "{stdout}"
    );
    let (kept, given) = (size(&output).params, size(net()).params);
    assert!(given / 10 < kept && kept < given, "{kept} of {given}");
    let run_dir = output.with_file_name("small.onnx.run");
    let (_, history) = read_run(&run_dir).unwrap();
    let stages: Vec<Stage> = history.iter().map(|record| record.stage).collect();
    let first = stages
        .iter()
        .position(|&stage| stage == Stage::Solve)
        .unwrap();
    assert_eq!(stages[first - 1], Stage::Recover);
    assert!(stages[first..].iter().all(|&stage| stage == Stage::Solve));
}

#[test]
fn unreachable_budgets_name_what_bounds_them_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let data = data_dir();
    for (args, needles) in [
        (
            vec!["--budget", "params=0.05", "--ignore", "fc1"],
            vec![
                "params=0.05 cannot be reached",
                "`fc1` is ignored holds",
                "hint: ask for params=",
            ],
        ),
        (
            vec!["--budget", "macs=0.2,0.05", "--ignore", "conv*"],
            vec![
                "macs=0.2 cannot be reached",
                "`conv1` is ignored",
                "`conv2` is ignored",
            ],
        ),
        (
            vec!["--budget", "kernels=0.2", "--round-to", "4"],
            vec![
                "kernels=0.2 cannot be reached",
                "4 kernels a layer leave 0.",
            ],
        ),
    ] {
        let mut all = vec![
            "prune",
            path(net()),
            "--data",
            path(&data),
            "-o",
            path(&output),
        ];
        all.extend(&args);
        let refused = run(&all);
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {text}");
        for needle in needles {
            assert!(
                text.contains(needle),
                "{args:?}: `{needle}` is not in: {text}"
            );
        }
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "no run was begun"
    );
}

#[test]
fn round_to_keeps_multiples() {
    let args = ["--budget", "params=0.45", "--round-to", "4"];
    let run = Run::new(net(), CECA, "", &args);
    let report = run.report();
    let mut cut = 0;
    for layer in report
        .layers
        .iter()
        .filter(|layer| layer.name != "classifier")
    {
        assert!(
            layer.kept[0] % 4 == 0 || layer.kept[0] == layer.width,
            "{} keeps {} of {}",
            layer.name,
            layer.kept[0],
            layer.width
        );
        cut += layer.width - layer.kept[0];
    }
    assert!(cut > 0);
    assert!(size(&run.output()).params as f64 <= 0.45 * size(net()).params as f64);
}

#[test]
fn ignored_layers_stay_as_they_are() {
    let args = ["--budget", "params=0.5", "--ignore", "conv*"];
    let run = Run::new(net(), CECA, "", &args);
    for layer in run.report().layers {
        let whole = layer.kept[0] == layer.width;
        match layer.name.as_str() {
            "conv1" | "conv2" => assert!(whole, "{} was ignored", layer.name),
            "fc1" => assert!(!whole, "fc1 is all that is left to cut"),
            _ => {}
        }
    }
    let (_, history) = read_run(&run.run_dir()).unwrap();
    let touched = |group: usize| history.iter().any(|r| r.masks[group].contains('0'));
    assert!(!touched(0) && !touched(1), "not even for an epoch");
}

#[test]
fn an_agent_of_another_network_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.onnx");
    let trained = run(&[
        "train",
        "--data",
        path(&data_dir()),
        "--widths",
        "6,M,10,M",
        "--hidden",
        "12",
        "--epochs",
        "0.1",
        "-o",
        path(&other),
    ]);
    assert!(trained.status.success(), "{}", stderr(&trained));
    let agent = undisturbed()
        .0
        .with_file_name("whole.onnx.run")
        .join("agent.safetensors");
    let budget = ["--budget", "params=0.4"];
    let fresh = Run::new(&other, CECA, "", &budget);
    let with = Run::new(
        &other,
        CECA,
        "",
        &[budget[0], budget[1], "--agent", path(&agent)],
    );
    with.verify(&other, &with.output());
    assert!(with.stdout.contains("test accuracy"));
    let first = |run: &Run| read_run(&run.run_dir()).unwrap().1.remove(0);
    let (fresh, with) = (first(&fresh), first(&with));
    assert_ne!(
        fresh.q_advantage, with.q_advantage,
        "it brings its own opinion"
    );
    // It has explored enough in its own run.
    assert_eq!(fresh.stage, Stage::Explore);
    assert_eq!(with.stage, Stage::Exploit);
    assert!(with.epsilon < fresh.epsilon);

    let learnt = folder.path().join("mine.safetensors");
    let into = |more: &[&str]| {
        let arguments = [
            &["--budget", "params=0.4", "--learn-into", path(&learnt)],
            more,
        ]
        .concat();
        Run::new(&other, CECA, "", &arguments)
    };
    let begun = into(&[]);
    let after_first = std::fs::read(&learnt).unwrap();
    let kept = std::fs::read(begun.run_dir().join("agent.safetensors")).unwrap();
    assert_eq!(after_first, kept);
    let second = into(&["--seed", "3"]);
    assert_ne!(std::fs::read(&learnt).unwrap(), after_first);
    let explored = |run: &Run| read_run(&run.run_dir()).unwrap().1[0].epsilon;
    assert!(
        explored(&second) < explored(&begun),
        "it goes on where it was"
    );

    let (small, data) = (folder.path().join("small.onnx"), data_dir());
    for (more, needle) in [
        (
            &["--learn-into", path(&small)][..],
            "another file of the run",
        ),
        (&["--learn-into", path(&other)], "another file of the run"),
        (&["--learn-into", path(folder.path())], "it is a folder"),
        (
            &["--learn-into", "/nowhere/at/all"],
            "cannot keep what the agent learns",
        ),
        (
            &["--learn-into", "a", "--policy", "random-global"],
            "does not learn",
        ),
        (
            &["--learn-into", "a", "--no-train", "--budget", "params=0.5"],
            "an agent with `--no-train`",
        ),
    ] {
        let front = ["prune", path(&other), "-o", path(&small)];
        let data: &[&str] = match more.contains(&"--no-train") {
            true => &[],
            false => &["--data", path(&data)],
        };
        let refused = run(&[&front[..], data, more].concat());
        let text = stderr(&refused);
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(text.contains(needle) && text.contains("hint: "), "{text}");
        assert!(
            !small.exists() && !small.with_file_name("small.onnx.run").exists(),
            "{text}"
        );
    }
    let refused = run(&[
        "prune",
        path(&other),
        "--data",
        path(&data),
        "-o",
        path(&small),
        "--agent",
        path(&other),
    ]);
    let text = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("cannot read agent") && text.contains("other.onnx"),
        "{text}"
    );
}
