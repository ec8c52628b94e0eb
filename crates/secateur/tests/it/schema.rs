//! docs/run-folder.md says what run folders hold, no more and no less.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::common::undisturbed;

const DOCS: &str = include_str!("../../../../docs/run-folder.md");

/// Rows of the table after `heading`: cells of two columns.
fn table(heading: &str) -> Vec<(&'static str, &'static str)> {
    let (_, text) = DOCS.split_once(heading).expect("the heading");
    let rows: Vec<_> = text
        .lines()
        .skip_while(|line| !line.starts_with("| "))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    assert!(!rows.is_empty(), "no table after {heading}");
    rows
}

/// Words in backticks.
fn words(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_string)
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_field_of_the_history() {
    let fields = table("## A line of `history.jsonl`");
    let documented = documented("## A line of `history.jsonl`");
    let meaning = |name: &str| -> BTreeSet<String> {
        let row = fields
            .iter()
            .find(|(names, _)| words(names).contains(&name.to_string()));
        words(row.unwrap().1).into_iter().collect()
    };
    let run_dir = undisturbed().0.with_file_name("whole.onnx.run");
    let text = std::fs::read_to_string(run_dir.join("history.jsonl")).unwrap();
    let (mut reactivations, mut cuts) = (0, 0);
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(keys(&record), documented);
        assert_eq!(keys(&record["size"]), meaning("size"));
        assert_eq!(keys(&record["reward"]), meaning("reward"));
        let stage = record["stage"].as_str().unwrap().to_string();
        assert!(meaning("stage").contains(&stage), "stage {stage}");
        let kernel =
            |value: &Value| assert_eq!(format!("{:?}", keys(value)), r#"{"group", "index"}"#);
        for off in record["turned_off"].as_array().unwrap() {
            kernel(off);
            cuts += 1;
        }
        for back in record["reactivated"].as_array().unwrap() {
            let documented = words(fields.iter().find(|f| f.0 == "`reactivated`").unwrap().1);
            assert_eq!(documented[0], "{kernel, health, by}");
            assert_eq!(format!("{:?}", keys(back)), r#"{"by", "health", "kernel"}"#);
            kernel(&back["kernel"]);
            assert!(documented[1..].contains(&back["by"].as_str().unwrap().to_string()));
            reactivations += 1;
        }
    }
    assert!(
        cuts > 0 && reactivations > 0,
        "{cuts} cuts, {reactivations} back: nothing was compared"
    );
}

/// Fields of the table after `heading`.
fn documented(heading: &str) -> BTreeSet<String> {
    let rows = table(heading);
    rows.iter().flat_map(|(name, _)| words(name)).collect()
}

#[test]
fn every_field_of_the_report() {
    let run_dir = undisturbed().0.with_file_name("whole.onnx.run");
    let text = std::fs::read_to_string(run_dir.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(keys(&report), documented("## `report.json`"));
    assert_eq!(report["quality_name"], "accuracy");
    let heading = "## A network of `report.json`";
    let rows = table(heading);
    let row = |name: &str| -> BTreeSet<String> {
        let row = rows
            .iter()
            .find(|(names, _)| words(names).contains(&name.to_string()));
        words(row.unwrap().1).into_iter().collect()
    };
    for network in [&report["before"], &report["after"][0]] {
        assert_eq!(keys(network), documented(heading));
        assert_eq!(keys(&network["size"]), row("size"));
        assert_eq!(keys(&network["latency"][0]), row("latency"));
    }
    let difference = &report["after"][0]["test_difference"];
    assert_eq!(keys(difference), row("test_difference"));
}

#[test]
fn every_field_of_the_examples() {
    let run_dir = undisturbed().0.with_file_name("whole.onnx.run");
    let text = std::fs::read_to_string(run_dir.join("examples/list.json")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(keys(&list), documented("## `examples/list.json`"));
    let shown = list["shown"].as_array().unwrap();
    assert!(!shown.is_empty());
    for sample in shown {
        let heading = "## A sample of `examples/list.json`";
        assert_eq!(keys(sample), documented(heading));
    }
}

#[test]
fn every_file_of_the_folder() {
    let documented: BTreeSet<String> = table("# The run folder")
        .iter()
        .flat_map(|(name, _)| words(name))
        .map(|name| name.split('/').next().unwrap().to_string())
        .collect();
    let run_dir = undisturbed().0.with_file_name("whole.onnx.run");
    let found: BTreeSet<String> = std::fs::read_dir(run_dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    // `recovery.bin` is gone when the recovery has ended.
    let others = ["measure", "latency.json", "recovery.bin"];
    let optional = |name: &String| name.ends_with(".onnx") || others.contains(&name.as_str());
    let documented: BTreeSet<String> = documented.into_iter().filter(|n| !optional(n)).collect();
    assert_eq!(found, documented);
}
