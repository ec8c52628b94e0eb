//! docs/algorithm.md lists every constant with the default that the code has.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Mode, PruneConfig};

const DOCS: &str = include_str!("../../../../docs/algorithm.md");

/// The defaults as they are written in a config, by section.
fn defaults() -> BTreeMap<&'static str, Map<String, Value>> {
    // As text and back, so that an f32 reads as it is written: 0.02, not 0.0199999.
    let config = PruneConfig::new(Mode::Aec { max_drop: 0.0 });
    let text = serde_json::to_string(&config).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    let section = |value: &Value| value.as_object().unwrap().clone();
    let mut training = section(&value["training"]);
    let optimizer = training.remove("optimizer").unwrap();
    BTreeMap::from([
        ("data", section(&value["data"])),
        ("training", training),
        ("training.optimizer", section(&optimizer)),
        ("search", section(&value["search"])),
        ("agent", section(&value["agent"])),
        ("reward", section(&value["reward"])),
    ])
}

/// Is the documented text this value?
fn says(text: &str, value: &Value) -> bool {
    match value {
        Value::String(word) => text == word,
        Value::Number(number) => text
            .replace(',', "")
            .parse::<f64>()
            .is_ok_and(|documented| Some(documented) == number.as_f64()),
        other => serde_json::from_str::<Value>(text).is_ok_and(|documented| &documented == other),
    }
}

#[test]
fn every_constant_is_listed_with_its_default_and_a_reason() {
    for (section, constants) in defaults() {
        let heading = format!("`[{section}]` in the config:");
        let (_, text) = DOCS
            .split_once(&heading)
            .unwrap_or_else(|| panic!("docs/algorithm.md has no table `[{section}]`"));
        let rows = text
            .lines()
            .skip_while(|line| !line.starts_with('|'))
            .take_while(|line| line.starts_with('|'))
            .skip(2);
        let mut listed = Vec::new();
        for row in rows {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, default, reason] = cells[..] else {
                panic!("`[{section}]`: not three columns: {row}");
            };
            let name = name.split('`').nth(1).expect("a name in backticks");
            let value = constants
                .get(name)
                .unwrap_or_else(|| panic!("`[{section}]` has no `{name}`"));
            assert!(
                says(default, value),
                "`{name}` of `[{section}]` is {value}, documented as {default}"
            );
            assert!(!reason.is_empty(), "`{name}` has no reason");
            listed.push(name);
        }
        for name in constants.keys() {
            assert!(
                listed.contains(&name.as_str()),
                "`{name}` of `[{section}]` is not listed"
            );
        }
        assert_eq!(
            listed.len(),
            constants.len(),
            "`[{section}]` lists one twice"
        );
    }
}

/// In running text: a name in backticks and its default in brackets behind it.
#[test]
fn the_text_agrees_with_the_tables() {
    let defaults = defaults();
    let mut compared = 0;
    for (at, _) in DOCS.match_indices("` (") {
        let name = DOCS[..at].rsplit('`').next().unwrap();
        let given = DOCS[at + 3..].split([')', ',', ' ']).next().unwrap();
        if given.parse::<f64>().is_err() {
            continue;
        }
        let values: Vec<&Value> = defaults.values().filter_map(|s| s.get(name)).collect();
        if !values.is_empty() {
            assert!(
                values.iter().any(|value| says(given, value)),
                "the text says `{name}` ({given}), the default is {values:?}"
            );
            compared += 1;
        }
    }
    assert!(compared >= 8, "only {compared} were found");
}

#[test]
fn a_config_names_only_what_differs() {
    let config: PruneConfig = serde_json::from_str(r#"{"training": {"lr": 0.01}}"#).unwrap();
    let mut expected = PruneConfig::new(Mode::default());
    expected.training.lr = 0.01;
    assert_eq!(config, expected);
}
