//! Settings laid over each other before they are checked: tables of configs, the promise, and
//! single settings by their words.

mod budget;
mod keywords;
mod look;
mod prune;

use std::path::{Path, PathBuf};

use secateur_net::settings::{SettingError, Settings};
use secateur_onnx::OnnxError;
use secateur_search::config::{GONE, PruneConfig};
use secateur_search::policy::PolicyError;
use thiserror::Error;
use toml::Table;

use crate::runtime::RuntimeError;

pub use budget::parse_budgets;
pub use keywords::{UnknownSetting, arguments, keyword, named};
pub use look::LookConfig;
pub use prune::{ModeName, Promise, prune_config};

/// What keeps settings from being used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LayeredError {
    /// A config that cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// A config that says what cannot be.
    #[error("cannot use config `{}`: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
        /// What the user can do about it.
        hint: Option<String>,
    },
    /// Settings that do not go together.
    #[error("cannot use the settings: {0}")]
    Together(String),
    /// A budget for the other promise.
    #[error("cannot use a budget with mode `aec`: a budget is the promise of mode `ceca`")]
    BudgetWithAec,
    /// Two sayings of how small outputs are.
    #[error(
        "cannot use a drop with the budgets of the config: they alone say how small the outputs are"
    )]
    DropWithBudgets,
    /// What is no budget.
    #[error("cannot use the budget `{text}`: {reason}")]
    Budget {
        /// As given.
        text: String,
        /// What was expected.
        reason: String,
    },
    /// A network that a budget in milliseconds asks to time.
    #[error("cannot time `{}`: {reason}", path.display())]
    NotTimed {
        /// The network.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Its file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The engine that it is timed in.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A value that no run can use.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl LayeredError {
    fn config(path: &Path, reason: &dyn std::fmt::Display, hint: Option<String>) -> Self {
        Self::Config {
            path: path.to_path_buf(),
            reason: reason.to_string().trim_end().to_string(),
            hint,
        }
    }
}

/// A setting and the words that it is set from, as a command line has them.
pub type Given = (String, Vec<String>);

/// Lays single settings over a section.
///
/// # Errors
/// [`SettingError`] for the first that cannot be set so.
pub fn over<S: Settings>(mut section: S, given: &[Given]) -> Result<S, SettingError> {
    for (key, words) in given {
        let set = section.set(key, words);
        set.map_err(|expected| SettingError {
            setting: key.clone(),
            value: format!("`{}`", words.join(" ")),
            expected: expected.trim_start_matches("expected ").to_string(),
        })?;
    }
    Ok(section)
}

/// The config of a run as a table, once it is known to be one: errors name the line, or the
/// setting and its range.
///
/// # Errors
/// [`LayeredError`] naming the file.
pub fn read_config(path: &Path) -> Result<Table, LayeredError> {
    let text = fs_err::read_to_string(path)?;
    let config: PruneConfig = toml::from_str(&text).map_err(|error| {
        let hint = text.parse().ok().as_ref().and_then(gone);
        LayeredError::config(path, &error, hint)
    })?;
    config
        .check()
        .map_err(|error| LayeredError::config(path, &error, error.hint()))?;
    text.parse()
        .map_err(|error: toml::de::Error| LayeredError::config(path, &error, None))
}

/// A section of settings from a file, or from a table in one.
///
/// # Errors
/// [`LayeredError`] naming the file.
pub fn read_section<S: Settings + serde::de::DeserializeOwned>(
    path: &Path,
    table: Option<&str>,
) -> Result<S, LayeredError> {
    let fail = |error: toml::de::Error| LayeredError::config(path, &error, None);
    let text = fs_err::read_to_string(path)?;
    let section: S = match table {
        None => toml::from_str(&text).map_err(fail)?,
        Some(name) => {
            let mut all: Table = text.parse().map_err(fail)?;
            let own = all.remove(name);
            let own = own.unwrap_or(toml::Value::Table(Table::new()));
            own.try_into().map_err(fail)?
        }
    };
    section
        .check_ranges()
        .map_err(|error| LayeredError::config(path, &error, error.hint()))?;
    Ok(section)
}

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
