//! Settings as tables, laid over each other before they are checked.

use secateur_search::config::GONE;
use toml::Table;

/// A table in which `"search.max_cost" = 1` is written out as `search = { max_cost = 1 }`.
pub fn nested(table: &Table) -> Table {
    let mut all = Table::new();
    for (key, value) in table {
        let value = match value {
            toml::Value::Table(inner) => toml::Value::Table(nested(inner)),
            other => other.clone(),
        };
        let mut parts = key.rsplit('.');
        let last = parts.next().unwrap_or_default();
        let mut whole = Table::from_iter([(last.to_string(), value)]);
        for part in parts {
            whole = Table::from_iter([(part.to_string(), toml::Value::Table(whole))]);
        }
        lay_over(&mut all, whole);
    }
    all
}

/// Lays `top` over `base`: settings one by one, but a mode as a whole.
pub fn lay_over(base: &mut Table, top: Table) {
    for (key, value) in top {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if key != "mode" => {
                lay_over(below, above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// What became of the first setting of an earlier version that a table names.
pub fn gone(table: &Table) -> Option<String> {
    let names = |key: &str| {
        let (section, name) = key.rsplit_once('.')?;
        let mut sections = section.split('.');
        let first = table.get(sections.next()?);
        sections
            .fold(first, |value, section| value?.get(section))?
            .get(name)
    };
    let (key, fate) = GONE.iter().find(|(key, _)| names(key).is_some())?;
    Some(format!("`{key}` is no setting any more: {fate}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_dots_are_sections() {
        let table: Table =
            "\"search.max_cost\" = 1\nsearch.policy = \"dqn\"\n\"a.b.c\" = 2\n[a]\nd = 3\n"
                .parse()
                .unwrap();
        let expected: Table =
            "search = { max_cost = 1, policy = \"dqn\" }\na = { b = { c = 2 }, d = 3 }"
                .parse()
                .unwrap();
        assert_eq!(nested(&table), expected);
    }

    #[test]
    fn what_became_of_a_setting_is_told() {
        let told = |text: &str| gone(&text.parse().unwrap()).unwrap();
        assert_eq!(
            told("[agent]\nhidden = 8\nhuber_delta = 2.0\n"),
            "`agent.huber_delta` is no setting any more: it is a constant now, 1"
        );
        let nested = told("[training.optimizer]\nbeta1 = 0.8\n");
        assert!(nested.contains("`training.optimizer.beta1`"), "{nested}");
        assert_eq!(gone(&"[agent]\nhiden = 8\n".parse().unwrap()), None);
    }
}
