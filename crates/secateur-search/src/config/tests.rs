//! Every number has a range, and what no run can use is refused.

use serde_json::Value;

use secateur_net::settings::Settings;

use super::{Budget, GONE, Metric, Mode, PruneConfig};

const MAX_SEED: u64 = i64::MAX as u64;

#[test]
fn a_config_names_only_what_differs() {
    let config: PruneConfig =
        serde_json::from_str(r#"{"training": {"distillation": 0.25}}"#).unwrap();
    let mut expected = PruneConfig::new(Mode::default());
    expected.training.distillation = Some(0.25);
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
    config.training.recover_lr = Some(0.1);
    config.training.recover_max_shift = Some(1);
    config.training.recover_max_rotation = Some(5.0);
    config.training.recover_max_zoom = Some(0.1);
    config.training.distillation = Some(0.5);
    config.check().unwrap();
    let mut expected = Vec::new();
    number_keys(&serde_json::to_value(&config).unwrap(), "", &mut expected);
    expected.retain(|key| !key.ends_with("seed"));
    assert!(expected.len() >= 40, "{expected:?}");
    let declared = PruneConfig::declared();
    for key in expected {
        let setting = declared.iter().find(|setting| setting.key == key);
        let range = setting.and_then(|setting| setting.range);
        let range = range.unwrap_or_else(|| panic!("`{key}` has no range"));
        assert!(!range.contains(f64::NAN), "{key}");
        assert!(!range.contains(f64::NEG_INFINITY), "{key}");
        assert!(!range.contains(f64::INFINITY), "{key}");
    }
}

#[test]
fn what_is_gone_is_no_setting_any_more() {
    let declared = PruneConfig::declared();
    for (key, _) in GONE {
        assert!(declared.iter().all(|setting| setting.key != key), "{key}");
    }
}

#[test]
fn what_no_run_can_use_is_refused_by_name_value_and_range() {
    let check = |change: &dyn Fn(&mut PruneConfig), expected: &str| {
        let mut config = PruneConfig::new(Mode::default());
        change(&mut config);
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, expected);
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
        &|c| c.reward.quality = f32::NAN,
        "`reward.quality` is NaN, expected -1000 to 1000",
    );
    check(
        &|c| c.search.max_cost = 0.0,
        "`search.max_cost` is 0.0, expected above 0 and at most 1000000000",
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
        &|c| c.search.recover_steps = Some(0),
        "`search.recover_steps` is 0, expected 1 to 10000000",
    );
    check(
        &|c| c.data.validation = Some(1),
        "`data.validation` is 1, expected 2 or more: one to search by and one to confirm",
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
        &|c| {
            c.mode = budgets(&[
                (Metric::Params, 0.5),
                (Metric::Macs, 0.5),
                (Metric::Params, 0.1),
            ])
        },
        "`mode.budgets` is budgets of several metrics, params twice, expected budgets of one \
         metric, or one of each metric",
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

#[test]
fn a_run_that_must_cost_more_than_it_may_says_so_before_it_begins() {
    let mut config = PruneConfig::new(Mode::Ceca {
        budgets: Budget::parse_list("macs=0.5,0.3").unwrap(),
        max_drop: Mode::CECA_DROP,
    });
    config.search.max_cost = 0.2;
    assert_eq!(config.least_cost_note(), None);
    config.search.max_cost = 0.15;
    let note = config.least_cost_note().unwrap();
    assert!(note.contains("`max_cost` (15.0 %)"), "{note}");
    config.mode = Mode::Aec { max_drop: 1.0 };
    assert_eq!(config.least_cost_note(), None);
}
