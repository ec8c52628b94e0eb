//! What lies in the folder of a run besides its results: what it was made of, the last error.

use std::io;
use std::path::Path;

use secateur_search::store::write_atomically;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::error::CompareError;

/// What a run was made of: one of other settings is not taken for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Checksum of the network's file, or how the network is built; `None` while it is not there.
    network: Option<String>,
    /// All settings, TOML.
    settings: String,
}

const RECORD: &str = "made-of.json";
const ERROR: &str = "error.txt";
/// In the folder of a search that was begun.
pub(super) const CHECKPOINT: &str = "checkpoint.bin";
/// End of the name of what a training said, beside the network.
pub(super) const TRAINED: &str = "train.json";
/// The same of a test.
pub(super) const TESTED: &str = "test.json";
/// What the commands of a run said.
pub(super) const LOG: &str = "log.txt";

impl Record {
    pub fn of_run(network: Option<String>, settings: String) -> Self {
        Self { network, settings }
    }

    pub fn of_network(build: &[(String, String)], settings: String) -> Self {
        let build = build.iter().map(|(key, value)| format!("{key} {value}"));
        Self {
            network: Some(build.collect::<Vec<_>>().join(", ")),
            settings,
        }
    }

    /// Refuses a folder that holds something else; one in which nothing was reached is fine.
    pub fn check(&self, folder: &Path) -> Result<(), CompareError> {
        let file = folder.join(RECORD);
        if !file.is_file() || !has_reached_something(folder)? {
            return Ok(());
        }
        let begun: Self = read_json(&file)?;
        let what = match (&begun.network, &self.network) {
            (Some(then), Some(now)) if then != now => {
                Some("it was begun with another network".into())
            }
            _ => difference(&begun.settings, &self.settings),
        };
        match what {
            None => Ok(()),
            Some(what) => Err(CompareError::OtherRun {
                folder: folder.to_path_buf(),
                what,
            }),
        }
    }

    pub fn write(&self, folder: &Path) -> Result<(), CompareError> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::from)?;
        Ok(write_atomically(&folder.join(RECORD), text.as_bytes())?)
    }
}

/// Is there a checkpoint of a search, or a trained network?
fn has_reached_something(folder: &Path) -> io::Result<bool> {
    if folder.join("run").join(CHECKPOINT).is_file() {
        return Ok(true);
    }
    for entry in fs_err::read_dir(folder)? {
        if entry?.file_name().to_string_lossy().ends_with(TRAINED) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The first setting that differs between two configs.
fn difference(then: &str, now: &str) -> Option<String> {
    if then == now {
        return None;
    }
    let table = |text: &str| text.parse::<Table>().unwrap_or_default();
    let (then, now) = (table(then), table(now));
    let all = settings("", &then).into_iter().chain(settings("", &now));
    let find = |table: &Table, key: &str| {
        let found = settings("", table).into_iter().find(|(own, _)| own == key);
        found.map_or_else(|| "not set".to_string(), |(_, value)| value)
    };
    all.map(|(key, _)| (find(&then, &key), find(&now, &key), key))
        .find(|(then, now, _)| then != now)
        .map(|(then, now, key)| format!("its `{key}` was {then}, now it is {now}"))
}

/// Every setting of a table with its value as text.
fn settings(section: &str, table: &Table) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (key, value) in table {
        let key = match section {
            "" => key.clone(),
            section => format!("{section}.{key}"),
        };
        match value {
            Value::Table(inner) => all.extend(settings(&key, inner)),
            value => all.push((key, value.to_string())),
        }
    }
    all
}

/// Reads what was written as JSON.
pub(super) fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, CompareError> {
    let text = fs_err::read_to_string(file)?;
    serde_json::from_str(&text).map_err(|error| CompareError::Damaged {
        file: file.to_path_buf(),
        reason: error.to_string(),
    })
}

/// The error that the last try ended with.
pub(super) fn last_error(folder: &Path) -> Option<String> {
    fs_err::read_to_string(folder.join(ERROR)).ok()
}

pub(super) fn keep_error(folder: &Path, error: &str) -> Result<(), CompareError> {
    Ok(write_atomically(&folder.join(ERROR), error.as_bytes())?)
}

pub(super) fn forget_error(folder: &Path) -> io::Result<()> {
    match fs_err::remove_file(folder.join(ERROR)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_is_refused_by_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        let record = |network: Option<&str>, settings: &str| {
            Record::of_run(network.map(str::to_string), settings.to_string())
        };
        let begun = record(Some("1"), "seed = 0\n[search]\nmax_cost = 0.5\n");
        assert!(begun.check(folder.path()).is_ok());
        begun.write(folder.path()).unwrap();
        // Before anything is reached.
        assert!(record(Some("2"), "").check(folder.path()).is_ok());
        std::fs::write(folder.path().join("small.train.json"), "{}").unwrap();
        assert!(begun.check(folder.path()).is_ok());
        // Before the network is trained.
        assert!(record(None, &begun.settings).check(folder.path()).is_ok());
        for (other, expected) in [
            (record(Some("2"), &begun.settings), "another network"),
            (
                record(Some("1"), "seed = 0\n[search]\nmax_cost = 0.25\n"),
                "its `search.max_cost` was 0.5, now it is 0.25",
            ),
            (
                record(Some("1"), "seed = 0\n[search]\nmax_cost = 0.5\nx = true\n"),
                "its `search.x` was not set, now it is true",
            ),
        ] {
            let error = other.check(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
