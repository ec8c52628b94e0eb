//! Bad input ends in one clear error, never in a panic or a half-written file.

use std::path::{Path, PathBuf};

use secateur_onnx::model::Model;

use crate::common::{command, data_dir, net, path, prune_args, run, stderr, undisturbed};
use crate::message::with_graph;
use crate::resume::masks;

/// Runs, expects exit code 1 and all of `needles` on stderr.
fn check(args: &[&str], needles: &[&str]) {
    let output = run(args);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(text.starts_with("error: "), "{args:?}: {text}");
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    for needle in needles {
        assert!(
            text.contains(needle),
            "{args:?}: `{needle}` is not in: {text}"
        );
    }
}

fn prune_with(model: &Path, data: &Path, extra: &[&str], needles: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("small.onnx");
    let mut args = vec![
        "prune",
        path(model),
        "--data",
        path(data),
        "-o",
        path(&output),
    ];
    args.extend(extra);
    check(&args, needles);
    assert!(!output.exists(), "nothing was written");
}

#[test]
fn models() {
    let folder = tempfile::tempdir().unwrap();
    let data = data_dir();
    let missing = folder.path().join("none.onnx");
    prune_with(&missing, &data, &[], &["none.onnx", "No such file"]);

    let text = folder.path().join("text.onnx");
    std::fs::write(&text, "this is no model").unwrap();
    prune_with(&text, &data, &[], &["text.onnx", "expected an ONNX model"]);
    check(&["inspect", path(&text)], &["expected an ONNX model"]);

    let bytes = std::fs::read(net()).unwrap();
    let cut = folder.path().join("cut.onnx");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    prune_with(&cut, &data, &[], &["cut.onnx", "hint: "]);
}

#[test]
fn validation_images() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.onnx");
    let mut model = Model::read(net()).unwrap();
    model.set_metadata("secateur.split", "[0,0]");
    model.write(&file).unwrap();
    // Trained on all images: nothing would hold a pruned network to anything.
    let needles = [
        "0 validation samples",
        "each part needs some",
        "--validation",
    ];
    prune_with(&file, &data_dir(), &[], &needles);
    // A network that kept images apart keeps to them, and says so.
    let data = data_dir();
    let mut args = vec!["eval", path(net()), "--data", path(&data)];
    args.extend(["--split", "validation", "--validation", "100", "--json"]);
    let output = run(&args);
    let text = stderr(&output);
    assert!(output.status.success(), "{text}");
    let notes = text + &String::from_utf8_lossy(&output.stdout);
    assert!(notes.contains("`validation` 100 is not used"), "{notes}");
    assert!(notes.contains("\"images\": 5000"), "{notes}");
}

#[test]
fn an_operator_without_training_rule_in_front_of_all_is_named_by_inspect() {
    let folder = tempfile::tempdir().unwrap();
    let mut name = String::new();
    let model = with_graph(&Model::read(net()).unwrap(), |graph| {
        let mut nodes = graph.node.iter_mut();
        let relu = nodes.find(|n| n.op_type() == "Relu").unwrap();
        relu.set_op_type("Unheard".to_string());
        name = relu.name().to_string();
    });
    let file = folder.path().join("unheard.onnx");
    model.write(&file).unwrap();
    prune_with(
        &file,
        &data_dir(),
        &[],
        &["no layer has kernels that may be removed", "inspect"],
    );
    let inspected = run(&["inspect", path(&file)]);
    assert!(inspected.status.success(), "{}", stderr(&inspected));
    let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
    let stop = format!("`{name}` (Unheard has no training rule)");
    assert!(said.contains(&stop), "{said}");
}

#[test]
fn weights_that_are_not_finite_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (value, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "infinity")] {
        let model = Model::read(net()).unwrap();
        let graph = secateur_onnx::graph::Graph::from_model(&model).unwrap();
        let mut values = graph.initializers["conv2.weight"]
            .as_f32()
            .unwrap()
            .into_owned();
        values[5] = value;
        let bad = model
            .with_weights(&[("conv2.weight".to_string(), values)].into())
            .unwrap();
        let file = folder.path().join(format!("{word}.onnx"));
        bad.write(&file).unwrap();
        prune_with(&file, &data_dir(), &[], &["conv2.weight", word, "index 5"]);
        let data = data_dir();
        check(
            &["eval", path(&file), "--data", path(&data)],
            &["conv2.weight", word],
        );
    }
    // Finite weights whose outputs overflow.
    let model = Model::read(net()).unwrap();
    let graph = secateur_onnx::graph::Graph::from_model(&model).unwrap();
    let huge = |name: &str| {
        let values = graph.initializers[name].as_f32().unwrap();
        let values: Vec<f32> = values.iter().map(|v| v * 1e30).collect();
        (name.to_string(), values)
    };
    let names = graph.initializers.keys();
    let linear = names.filter(|name| name.starts_with("classifier") || name.starts_with("fc"));
    let bad = model
        .with_weights(&linear.map(|name| huge(name)).collect())
        .unwrap();
    let file = folder.path().join("huge.onnx");
    bad.write(&file).unwrap();
    let needles = ["loss on the validation samples is", "hint: "];
    prune_with(&file, &data_dir(), &[], &needles);
}

/// The search goes well, the recovery does not.
#[test]
fn a_run_that_diverges_keeps_its_last_good_state() {
    let folder = tempfile::tempdir().unwrap();
    let mut args = prune_args(folder.path(), "small");
    let config = folder.path().join("run.toml");
    let quick = std::fs::read_to_string(&config).unwrap();
    let wild = format!("{quick}[training]\nrecover_lr = 1e25\n");
    std::fs::write(&config, wild).unwrap();
    let stopped = command().args(&args).output().unwrap();
    let text = stderr(&stopped);
    assert_eq!(stopped.status.code(), Some(1), "{text}");
    for needle in [
        "training diverged at step",
        "not finite",
        "the state before it is kept in",
        "hint: lower `recover_lr`",
        "--resume",
    ] {
        assert!(text.contains(needle), "`{needle}` is not in: {text}");
    }
    assert!(!folder.path().join("small.onnx").exists());

    // With a rate that holds (the default, named: what is not named stays as it was) it goes
    // on as if nothing had been.
    let tame = format!("{quick}[training]\nrecover_lr = 0.05\n");
    std::fs::write(&config, tame).unwrap();
    args.push("--resume".to_string());
    let done = command().args(&args).output().unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
    let (whole, expected) = undisturbed();
    assert_eq!(&masks(&folder.path().join("small.onnx.run")), expected);
    let bytes = |file: &Path| std::fs::read(file).unwrap();
    assert_eq!(bytes(&folder.path().join("small.onnx")), bytes(whole));
}

#[test]
fn training_that_diverges_stops_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("bad.onnx");
    check(
        &[
            "train",
            "--data",
            path(&data_dir()),
            "--widths",
            "4,M",
            "--epochs",
            "0.1",
            "--lr",
            "1e20",
            "-o",
            path(&output),
        ],
        &[
            "diverged",
            "not finite",
            "learning rate",
            "nothing was written",
        ],
    );
    assert!(!output.exists());
}

#[test]
fn budgets_out_of_range() {
    let data = data_dir();
    let prune = |extra: &[&str], needles: &[&str]| prune_with(net(), &data, extra, needles);
    prune(&["--budget", "params=1.5"], &["1.5", "between 0 and 1"]);
    prune(&["--budget", "flops=0.5"], &["flops", "macs"]);
    prune(
        &["--mode", "aec", "--budget", "params=0.5"],
        &["--mode ceca"],
    );
    prune(
        &["--budget", "params=0.001"],
        &["params=0.001 cannot be reached", "hint: ask for params="],
    );
    prune(
        &["--policy", "magic"],
        &["magic", "`dqn`", "random", "`l2-uniform`"],
    );
    prune(&["--ignore", "conv9"], &["conv9", "`conv1`"]);
}

#[test]
fn arguments_that_no_command_can_use() {
    // Nothing is read: none of the files exist.
    let check = |args: &[&str], needles: &[&str]| {
        let output = run(args);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        for needle in needles {
            assert!(
                text.contains(needle),
                "{args:?}: `{needle}` is not in: {text}"
            );
        }
    };
    let train = ["train", "--data", "none", "-o", "none.onnx"];
    let train = |extra: &[&str], needle: &str| check(&[&train[..], extra].concat(), &[needle]);
    for epochs in ["0", "1e30", "nan", "inf", "-1"] {
        let epochs = format!("--epochs={epochs}");
        let needles = ["--epochs", "above 0 and at most 100000"];
        train(&[&epochs], needles[1]);
        check(&["demo", "--data", "none", &epochs], &needles);
    }
    train(&["--lr", "0"], "above 0 and finite");
    train(&["--weight-decay", "nan"], "0 to 1");
    train(&["--weight-decay", "2"], "0 to 1");
    train(&["--smoothing", "1"], "at least 0 and below 1");
    train(&["--max-rotation", "181"], "0 to 180");
    train(&["--max-zoom", "0.95"], "0 to 0.9");
    train(&["--batch-size", "0"], "1 to 65536");
    train(&["--hidden", "8,0"], "1 to 65536");

    let prune = ["prune", "none.onnx", "--data", "none", "-o", "small.onnx"];
    let prune = |extra: &[&str], needles: &[&str]| check(&[&prune[..], extra].concat(), needles);
    prune(&["--max-drop=-1"], &["--max-drop", "0 to 100"]);
    prune(&["--max-drop", "nan"], &["--max-drop", "0 to 100"]);
    prune(&["--round-to", "0"], &["--round-to", "1 to 65536"]);
    prune(
        &["--max-drop", "1", "--budget", "params=0.5"],
        &["--max-drop", "cannot be used with", "--budget"],
    );
    let no_train = ["prune", "none.onnx", "--no-train", "-o", "small.onnx"];
    check(
        &[&no_train[..], &["--budget", "macs=0.5", "--round-to", "0"]].concat(),
        &["--round-to", "1 to 65536"],
    );

    // The `config.toml` of a run could not hold it.
    let seed = ["--seed", "9223372036854775808"];
    let needle = "expected a whole number, 0 to 9223372036854775807";
    train(&seed, needle);
    prune(&seed, &[needle]);
    check(&["demo", seed[0], seed[1]], &[needle]);
}

#[test]
fn settings_that_no_run_can_use_are_refused_before_the_data_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("run.toml"), folder.path().join("none"));
    let refused = |text: &str, extra: &[&str], needles: &[&str]| {
        std::fs::write(&config, text).unwrap();
        let args = [&["--config", path(&config)], extra].concat();
        prune_with(net(), &data, &args, needles);
    };
    for (text, needle) in [
        (
            "[agent]\nhidden = 0\n",
            "`agent.hidden` is 0, expected 1 to 4096",
        ),
        (
            "[agent]\ngamma = nan\n",
            "`agent.gamma` is NaN, expected 0 to 1",
        ),
        ("[reward]\ndense = 1e39\n", "`reward.dense` is inf"),
        (
            "[data]\nconfirm_share = 1.0\n",
            "`data.confirm_share` is 1.0",
        ),
        (
            "[mode]\nkind = \"aec\"\nmax_drop = 101.0\n",
            "`mode.max_drop` is 101.0",
        ),
        (
            "[mode]\nkind = \"aec\"\ndrop = 1.0\n",
            "unknown field `drop`",
        ),
        (
            "seed = 9223372036854775808\n",
            "`seed` is 9223372036854775808, expected 0 to 9223372036854775807",
        ),
    ] {
        refused(text, &[], &["cannot use config", "run.toml", needle]);
    }
    // An argument is held to the range of its setting.
    refused("", &["--validation", "1"], &["`data.validation` is 1"]);
    // A setting of an earlier version: what is there instead.
    let needles = [
        "unknown field `slice_steps`",
        "hint: `search.slice_steps` is no setting any more",
        "weights are solved after each cut now",
    ];
    refused("[search]\nslice_steps = [4, 6]\n", &[], &needles);
    // The promise alone is enough, and then the data are looked for.
    refused("[mode]\nkind = \"aec\"\n", &[], &["no such file or folder"]);
    refused(
        "[mode]\nkind = \"ceca\"\n",
        &[],
        &["no such file or folder"],
    );

    let budget = "[mode]\nkind = \"ceca\"\nbudgets = [{ metric = \"macs\", remaining = 0.5 }]\n";
    refused(
        budget,
        &["--max-drop", "1"],
        &[
            "cannot use `--max-drop` with the budgets of the config",
            "hint: ",
        ],
    );
    let needles = [
        "cannot use an agent with the policy `random-global`",
        "hint: ",
    ];
    refused(
        "[search]\npolicy = \"random-global\"\n",
        &["--agent", "a"],
        &needles,
    );
    refused("", &["--agent", "a", "--policy", "random-global"], &needles);
}

/// Copies MNIST with one file changed.
fn broken_data(
    name: &str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(data_dir()).unwrap() {
        let entry = entry.unwrap().path();
        let to = folder.path().join(entry.file_name().unwrap());
        std::fs::copy(&entry, &to).unwrap();
    }
    let file = folder.path().join(name);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, change(bytes)).unwrap();
    let path = folder.path().to_path_buf();
    (folder, path)
}

/// IDX labels, plain.
fn labels(magic: [u8; 4], promised: u32, values: &[u8]) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(promised.to_be_bytes());
    bytes.extend(values);
    bytes
}

#[test]
fn data() {
    let folder = tempfile::tempdir().unwrap();
    prune_with(
        net(),
        &folder.path().join("none"),
        &[],
        &["no such file or folder"],
    );
    prune_with(
        net(),
        folder.path(),
        &[],
        &["train-images-idx3-ubyte", "it is empty"],
    );

    let name = "train-labels-idx1-ubyte.gz";
    let cases: [(&str, Vec<u8>, &[&str]); 4] = [
        (
            "wrong magic",
            labels([0, 0, 8, 3], 4, &[0; 4]),
            &["magic number"],
        ),
        (
            "truncated",
            labels([0, 0, 8, 1], 10, &[0; 4]),
            &["10 items", "got 4"],
        ),
        (
            "counts differ",
            labels([0, 0, 8, 1], 4, &[0; 4]),
            &["60000 images", "4 labels"],
        ),
        ("short", vec![0, 0], &["IDX labels"]),
    ];
    for (_, bytes, needles) in cases {
        let (_keep, dir) = broken_data(name, |_| bytes);
        let mut all = vec![name];
        all.extend(needles);
        prune_with(net(), &dir, &[], &all);
    }
    let (_keep, dir) = broken_data(name, |bytes| bytes[..bytes.len() / 2].to_vec());
    prune_with(net(), &dir, &[], &[name, "gzip"]);
    let (_keep, dir) = broken_data(name, |_| {
        let mut values = vec![0u8; 60_000];
        values[77] = 200;
        labels([0, 0, 8, 1], 60_000, &values)
    });
    prune_with(net(), &dir, &[], &["item 77", "label 200", "10 classes"]);
    // A test part without its labels is no data set without a test part.
    let (_keep, dir) = broken_data("t10k-labels-idx1-ubyte.gz", |bytes| bytes.to_vec());
    std::fs::remove_file(dir.join("t10k-labels-idx1-ubyte.gz")).unwrap();
    let needles = ["t10k-images-idx3-ubyte", "no `t10k-labels-idx1-ubyte`"];
    prune_with(net(), &dir, &[], &needles);
}

#[test]
fn labels_beyond_the_classes_of_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let config = secateur_onnx::arch::VggConfig::new([1, 28, 28], 7);
    let file = folder.path().join("seven.onnx");
    secateur_onnx::arch::vgg_like(&config, 0)
        .unwrap()
        .write(&file)
        .unwrap();
    let data = data_dir();
    let needles = ["the training data", "label", "7 classes"];
    prune_with(&file, &data, &[], &needles);
    let output = folder.path().join("out.onnx");
    let (data, file) = (path(&data), path(&file));
    check(
        &["train", "--init", file, "--data", data, "-o", path(&output)],
        &needles,
    );
    check(&["eval", file, "--data", data], &["label", "7 classes"]);
    assert!(!output.exists());
}

#[test]
fn images_of_another_shape() {
    let folder = tempfile::tempdir().unwrap();
    let model =
        secateur_onnx::arch::vgg_like(&secateur_onnx::arch::VggConfig::new([3, 32, 32], 10), 0)
            .unwrap();
    let file = folder.path().join("cifar.onnx");
    model.write(&file).unwrap();
    prune_with(&file, &data_dir(), &[], &["3x32x32", "1x28x28"]);
}

#[test]
fn a_run_folder_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let held = secateur_search::store::RunDir::open(&folder.path().join("run")).unwrap();
    prune_with(
        net(),
        &data_dir(),
        &["--run-dir", path(held.path())],
        &["another process works in it", "hint: wait"],
    );
}

#[test]
fn verify_refuses_files_that_prune_did_not_write() {
    check(
        &["verify", path(net()), path(net())],
        &["does not say which kernels"],
    );
}
