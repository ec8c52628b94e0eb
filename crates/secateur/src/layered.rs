//! Settings as tables, laid over each other before they are checked.

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
}
