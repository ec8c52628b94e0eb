//! Settings as arguments of a function, by name.
//!
//! An argument is called as the setting's flag, `max_shift` for `--max-shift`, or as the setting
//! where it has no flag; those of the agent and the reward, which have names of their own kind,
//! carry their section: `agent_batch_size`. The name in a config is understood too, where only one
//! setting has it.

use secateur_net::settings::{Setting, Settings};
use secateur_search::config::GONE;
use thiserror::Error;

/// Sections whose settings carry its name.
const APART: [&str; 2] = ["agent", "reward"];
/// How alike a name must be to be meant, by Jaro and Winkler: of typing errors, one or two letters.
const ALIKE: f64 = 0.85;

/// A name that no setting has.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no setting `{name}`")]
pub struct UnknownSetting {
    /// As given.
    pub name: String,
    /// What became of it, or what may be meant.
    pub hint: Option<String>,
}

/// What a setting is called as an argument.
pub fn keyword(setting: &Setting) -> String {
    let (section, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
    let flag = setting.flag.and_then(|flag| flag.split(' ').next());
    match flag {
        Some(flag) => flag.trim_start_matches("--").replace('-', "_"),
        None if APART.contains(&section) => format!("{section}_{name}"),
        None => name.to_string(),
    }
}

/// The settings of a section that are arguments: the promise has arguments of its own.
pub fn arguments<S: Settings>() -> Vec<Setting> {
    let mut all = S::declared();
    all.retain(|setting| !setting.key.starts_with("mode."));
    all
}

/// The setting that an argument names.
///
/// # Errors
/// [`UnknownSetting`] with the one that may be meant.
pub fn named<S: Settings>(name: &str) -> Result<Setting, UnknownSetting> {
    let all = arguments::<S>();
    if let Some(found) = all.iter().find(|setting| keyword(setting) == name) {
        return Ok(found.clone());
    }
    let own = |setting: &&Setting| setting.key.rsplit('.').next() == Some(name);
    let mut same = all.iter().filter(own);
    match (same.next(), same.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ => Err(UnknownSetting {
            name: name.to_string(),
            hint: gone(name).or_else(|| meant(name, &all)),
        }),
    }
}

/// What became of a setting of an earlier version.
fn gone(name: &str) -> Option<String> {
    let (key, fate) = GONE
        .iter()
        .find(|(key, _)| key.rsplit('.').next() == Some(name))?;
    Some(format!("`{key}` is no setting any more: {fate}"))
}

fn meant(name: &str, all: &[Setting]) -> Option<String> {
    let alike = |setting: &Setting| {
        let word = keyword(setting);
        (strsim::jaro_winkler(name, &word), word)
    };
    let best = all.iter().map(alike).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then(|| format!("`{}` may be meant", best.1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::data::DataConfig;
    use crate::layered::LookConfig;
    use crate::train::TrainConfig;
    use secateur_search::config::PruneConfig;

    #[test]
    fn every_setting_has_an_argument_of_its_own() {
        fn check<S: Settings>() {
            let all = arguments::<S>();
            let names: BTreeSet<String> = all.iter().map(keyword).collect();
            assert_eq!(names.len(), all.len(), "{names:?}");
            for setting in all {
                assert_eq!(named::<S>(&keyword(&setting)), Ok(setting));
            }
        }
        check::<PruneConfig>();
        check::<TrainConfig>();
        check::<DataConfig>();
        check::<LookConfig>();
    }

    #[test]
    fn names_of_configs_are_understood_where_one_setting_has_them() {
        let key = |name: &str| named::<PruneConfig>(name).map(|setting| setting.key);
        for (name, expected) in [
            ("max_shift", "training.recover_max_shift"),
            ("recover_max_shift", "training.recover_max_shift"),
            ("batch_size", "training.batch_size"),
            ("agent_batch_size", "agent.batch_size"),
            ("optimizer", "training.optimizer.kind"),
            ("momentum", "training.optimizer.momentum"),
            ("quality", "reward.quality"),
            ("metric_timeout", "measure.timeout"),
        ] {
            assert_eq!(key(name), Ok(expected.to_string()));
        }
    }

    #[test]
    fn what_may_be_meant_is_told() {
        let hint = |name: &str| named::<PruneConfig>(name).unwrap_err().hint;
        assert_eq!(hint("max_cots").unwrap(), "`max_cost` may be meant");
        assert!(hint("slice_steps").unwrap().contains("no setting any more"));
        assert_eq!(hint("zebra"), None);
    }
}
