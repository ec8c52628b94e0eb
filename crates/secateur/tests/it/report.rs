//! The page of a run, written anew.

use crate::common::{path, run, stderr, undisturbed};

#[test]
fn a_folder_without_a_run_is_called_that() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nope");
    for target in [folder.path(), &missing] {
        for more in [&[][..], &["--json"][..]] {
            let output = run(&[&["report", path(target)], more].concat());
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains("it is no run folder"), "{text}");
            assert!(text.contains("hint: name the folder"), "{text}");
        }
    }
    std::fs::write(missing.with_file_name("header.json"), "{}").unwrap();
    let text = stderr(&run(&["report", path(folder.path())]));
    assert!(text.contains("its run is not finished"), "{text}");
}

#[test]
fn the_page_adds_up_and_names_what_the_results_keep() {
    let (whole, _) = undisturbed();
    let folder = tempfile::tempdir().unwrap();
    let from = whole.with_file_name("whole.onnx.run");
    for name in ["report.json", "header.json", "history.jsonl"] {
        std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    let page = folder.path().join("report.html");
    let written = |change: &dyn Fn(&mut serde_json::Value)| {
        let file = folder.path().join("report.json");
        let mut report = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        change(&mut report);
        std::fs::write(&file, report.to_string()).unwrap();
        let output = run(&["report", path(folder.path())]);
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::read_to_string(&page).unwrap()
    };
    let text = written(&|_| {});
    assert!(text.contains("the teacher's scores, before the first epoch"));
    assert!(!text.contains("--resume") && !text.contains(", result keeps"));

    // Another network is the result than the one tried last; the run was resumed.
    let report = std::fs::read(from.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let other = match report["layers"][0]["kept"][0].as_u64().unwrap() {
        8 => 7,
        _ => 8,
    };
    let text = written(&|report| {
        report["layers"][0]["kept"] = vec![other].into();
        report["command"] = "secateur prune 'my net.onnx' -o b.onnx --resume".into();
    });
    assert!(text.contains(&format!(", result keeps {other} of 8")));
    let again = format!(
        "secateur prune 'my net.onnx' -o b.onnx --config {0}/config.toml --run-dir {0}-again",
        path(folder.path())
    );
    assert!(text.contains(&again), "no `{again}`");

    // Written before qualities had a name.
    let text = written(&|report| {
        report.as_object_mut().unwrap().remove("quality_name");
        for network in ["before", "after"] {
            let network = match &mut report[network] {
                serde_json::Value::Array(all) => &mut all[0],
                one => one,
            };
            for part in ["test", "search", "confirm"] {
                let network = network.as_object_mut().unwrap();
                let value = network.remove(&format!("{part}_quality")).unwrap();
                network.insert(format!("{part}_accuracy"), value);
            }
        }
    });
    assert!(text.contains("test accuracy"));
}
