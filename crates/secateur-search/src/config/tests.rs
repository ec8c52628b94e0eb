//! docs/algorithm.md lists every constant with the default that the code has, and every number
//! has a range.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::ranges::{self, MAX_SEED};
use super::{Budget, Metric, Mode, PruneConfig};

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

/// Numbers of a JSON value, with the way to each in front, as in a config.
fn number_keys(value: &Value, way: &str, keys: &mut Vec<String>) {
    match value {
        Value::Number(_) => keys.push(way.to_string()),
        Value::Array(items) if items.iter().any(Value::is_number) => keys.push(way.to_string()),
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if way.is_empty() { "" } else { "." };
                number_keys(field, &format!("{way}{dot}{name}"), keys);
            }
        }
        _ => {}
    }
}

#[test]
fn every_number_has_a_range_that_its_default_is_in() {
    let mut config = PruneConfig::new(Mode::default());
    config.data.validation = Some(100);
    config.data.image_size = Some([8, 8]);
    config.check().unwrap();
    let mut expected = Vec::new();
    number_keys(&serde_json::to_value(&config).unwrap(), "", &mut expected);
    expected.retain(|key| !key.ends_with("seed"));
    expected.sort();
    let rows = ranges::rows(&config);
    let mut keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    for row in rows {
        assert!(!row.range.contains(f64::NAN), "{}", row.key);
        assert!(!row.range.contains(f64::NEG_INFINITY), "{}", row.key);
        // Where no bound is a bound too.
        let unbounded = ["search.max_imbalance", "search.rescue_margin"].contains(&row.key);
        assert_eq!(row.range.contains(f64::INFINITY), unbounded, "{}", row.key);
    }
}

#[test]
fn ranges_say_what_they_hold() {
    use ranges::{BATCH, EPOCHS, NOT_ALL, RATE, Range, TRUE_SHARE, ZOOM};
    let any = Range::from_to(1.0, f32::INFINITY);
    for (range, text, inside, outside) in [
        (BATCH, "1 to 65536", [1.0, 65_536.0], [0.0, 65_537.0]),
        (
            EPOCHS,
            "above 0 and at most 100000",
            [1e-3, 1e5],
            [0.0, 1e30],
        ),
        (
            RATE,
            "above 0 and finite",
            [1e-9, 1e30],
            [0.0, f64::INFINITY],
        ),
        (
            NOT_ALL,
            "at least 0 and below 1",
            [0.0, 0.999],
            [-1e-9, 1.0],
        ),
        (TRUE_SHARE, "above 0 and below 1", [1e-9, 0.999], [0.0, 1.0]),
        (
            any,
            "at least 1, or inf",
            [1.0, f64::INFINITY],
            [0.999, f64::NAN],
        ),
        (ZOOM, "0 to 0.9", [0.0, f64::from(0.9f32)], [-0.1, 0.91]),
    ] {
        assert_eq!(range.to_string(), text);
        for number in inside {
            assert!(range.contains(number), "{number} in {text}");
        }
        for number in outside {
            assert!(!range.contains(number), "{number} not in {text}");
        }
    }
}

#[test]
fn what_no_run_can_use_is_refused_by_name_value_and_range() {
    let check = |change: &dyn Fn(&mut PruneConfig), expected: &str| {
        let mut config = PruneConfig::new(Mode::default());
        change(&mut config);
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, format!("cannot prune: {expected}"));
    };
    check(
        &|c| c.agent.hidden = 0,
        "`agent.hidden` is 0, expected 1 to 4096",
    );
    check(
        &|c| c.agent.hidden = 100_000,
        "`agent.hidden` is 100000, expected 1 to 4096",
    );
    check(
        &|c| c.agent.batch_size = 0,
        "`agent.batch_size` is 0, expected 1 to 65536",
    );
    check(
        &|c| c.training.batch_size = 0,
        "`training.batch_size` is 0, expected 1 to 65536",
    );
    check(
        &|c| c.agent.gamma = f32::NAN,
        "`agent.gamma` is NaN, expected 0 to 1",
    );
    check(
        &|c| c.agent.learning_rate = f32::INFINITY,
        "`agent.learning_rate` is inf, expected above 0 and at most 1",
    );
    check(
        &|c| c.reward.accuracy = f32::NAN,
        "`reward.accuracy` is NaN, expected -1000 to 1000",
    );
    check(
        &|c| c.reward.above_scale = 0.0,
        "`reward.above_scale` is 0.0, expected above 0 and at most 1000",
    );
    check(
        &|c| c.reward.dense = 1e38,
        "`reward.dense` is 1e38, expected -1000 to 1000",
    );
    check(
        &|c| c.data.confirm_share = 0.0,
        "`data.confirm_share` is 0.0, expected above 0 and below 1",
    );
    check(
        &|c| c.search.front = vec![0.5, 1.0],
        "`search.front` is [0.5, 1.0], expected above 0 and below 1",
    );
    check(
        &|c| c.search.slice_steps = [400, 8],
        "`search.slice_steps` is [400, 8], expected the least steps of a slice, then the most",
    );
    check(
        &|c| c.training.optimizer.momentum = 1.0,
        "`training.optimizer.momentum` is 1.0, expected at least 0 and below 1",
    );
    check(
        &|c| c.mode = Mode::Aec { max_drop: -1.0 },
        "`mode.max_drop` is -1.0, expected 0 to 100",
    );
    let budgets = |budgets: &[(Metric, f64)]| Mode::Ceca {
        budgets: budgets
            .iter()
            .map(|&(metric, remaining)| Budget { metric, remaining })
            .collect(),
        max_drop: 0.0,
    };
    check(
        &|c| c.mode = budgets(&[(Metric::Params, 1.5)]),
        "`mode.budgets.remaining` is [1.5], expected above 0 and below 1",
    );
    check(
        &|c| c.mode = budgets(&[(Metric::Params, 0.5), (Metric::Macs, 0.5)]),
        "`mode.budgets` is both params and macs, expected budgets of one kind in one run",
    );
    // The largest that can be written to a config and read again.
    check(
        &|c| c.seed = MAX_SEED + 1,
        "`seed` is 9223372036854775808, expected 0 to 9223372036854775807, the largest integer \
         of a config",
    );
    let mut config = PruneConfig::new(Mode::default());
    config.seed = MAX_SEED;
    config.check().unwrap();
}

#[test]
fn a_mode_names_only_what_differs_and_nothing_else() {
    let mode = |text: &str| serde_json::from_str::<Mode>(text);
    assert_eq!(mode(r#"{"kind": "aec"}"#).unwrap(), Mode::default());
    let ceca = Mode::Ceca {
        budgets: Vec::new(),
        max_drop: Mode::CECA_DROP,
    };
    assert_eq!(mode(r#"{"kind": "ceca"}"#).unwrap(), ceca);
    for (text, unknown) in [
        (r#"{"kind": "aec", "drop": 1.0}"#, "`drop`"),
        (r#"{"kind": "aec", "budgets": []}"#, "`budgets`"),
        (
            r#"{"kind": "ceca", "budgets": [{"metric": "macs", "remaining": 0.5, "of": 1}]}"#,
            "`of`",
        ),
    ] {
        let error = mode(text).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
        assert!(error.contains(unknown), "{error}");
    }
}
