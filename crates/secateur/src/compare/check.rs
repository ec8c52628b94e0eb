//! Checks an experiment file; every error names the line.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::{Spanned, Table};

use super::error::CompareError;
use super::experiment::{Experiment, Kind, MEMORY_GIB, Network, THREADS};
use super::file::{ExperimentFile, NetworkFile, Text};
use super::promise::Promise;
use super::recipe::Recipe;
use crate::layered::{lay_over, nested};

/// Checks what was read, with its text at hand to tell lines.
pub(super) struct Check<'a> {
    pub text: &'a Text<'a>,
}

impl Check<'_> {
    pub fn error(&self, span: Range<usize>, reason: String) -> CompareError {
        self.text.error(Some(span), reason)
    }

    pub fn experiment(&self, raw: &ExperimentFile) -> Result<Experiment, CompareError> {
        let seeds = raw.seeds.get_ref().clone();
        let unique: BTreeSet<u64> = seeds.iter().copied().collect();
        if seeds.is_empty() || unique.len() < seeds.len() {
            let reason = "`seeds`: expected one or more, each once".to_string();
            return Err(self.error(raw.seeds.span(), reason));
        }
        let (policies, places) = self.contenders(raw)?;
        let against = match &raw.against {
            None => 0,
            Some(name) => self.named(&policies, name)?,
        };
        let shared = self.settings_table("settings", raw.settings.as_ref())?;
        let mut networks = Vec::new();
        let mut names = BTreeSet::new();
        for network in &raw.network {
            self.name(&network.name, &mut names)?;
            networks.push(self.network(network, &raw.promises, &shared)?);
        }
        if networks.is_empty() {
            return Err(self
                .text
                .error(None, "there is no `[[network]]`".to_string()));
        }
        let experiment = Experiment {
            file: self.text.file.to_path_buf(),
            about: raw.about.clone(),
            seeds,
            threads: self.above_zero("threads", raw.threads.as_ref(), THREADS, |&n| n > 0)?,
            memory_gib: self.above_zero(
                "memory_gib",
                raw.memory_gib.as_ref(),
                MEMORY_GIB,
                |&gib| gib > 0.0 && gib.is_finite(),
            )?,
            policies,
            against,
            networks,
        };
        self.runs(&experiment, &places)?;
        Ok(experiment)
    }

    /// A path of the file, which starts at its folder.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder().join(path)
    }

    fn folder(&self) -> &Path {
        self.text.file.parent().unwrap_or(Path::new(""))
    }

    fn above_zero<T: Copy + std::fmt::Debug>(
        &self,
        key: &str,
        given: Option<&Spanned<T>>,
        default: T,
        fits: impl Fn(&T) -> bool,
    ) -> Result<T, CompareError> {
        match given {
            None => Ok(default),
            Some(value) if fits(value.get_ref()) => Ok(*value.get_ref()),
            Some(value) => {
                let reason = format!("`{key}` is {:?}, expected more than 0", value.get_ref());
                Err(self.error(value.span(), reason))
            }
        }
    }

    /// A name that can be a folder, and is not taken.
    pub fn name(
        &self,
        name: &Spanned<String>,
        names: &mut BTreeSet<String>,
    ) -> Result<(), CompareError> {
        let text = name.get_ref();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
            let reason = format!("the name `{text}`: expected letters, digits, `-`, `_`, `+`, `.`");
            return Err(self.error(name.span(), reason));
        }
        if !names.insert(text.clone()) {
            return Err(self.error(name.span(), format!("the name `{text}` stands twice")));
        }
        Ok(())
    }

    /// Settings for runs, without what the experiment itself says.
    pub fn settings_table(
        &self,
        key: &str,
        table: Option<&Spanned<Table>>,
    ) -> Result<Table, CompareError> {
        let Some(given) = table else {
            return Ok(Table::new());
        };
        let table = nested(given.get_ref());
        let search = table.get("search").and_then(toml::Value::as_table);
        let own = [
            ("mode", "promises", table.contains_key("mode")),
            ("seed", "seeds", table.contains_key("seed")),
            (
                "search.policy",
                "policies",
                search.is_some_and(|search| search.contains_key("policy")),
            ),
        ];
        match own.iter().find(|(.., is_set)| *is_set) {
            None => Ok(table),
            Some((setting, by, _)) => {
                let reason = format!("`{setting}` in `{key}`: it is set by `{by}`");
                Err(self.error(given.span(), reason))
            }
        }
    }

    fn network(
        &self,
        raw: &NetworkFile,
        shared_promises: &[Spanned<String>],
        shared: &Table,
    ) -> Result<Network, CompareError> {
        let name = raw.name.get_ref().clone();
        let mut settings = shared.clone();
        lay_over(
            &mut settings,
            self.settings_table("settings", raw.settings.as_ref())?,
        );
        let recipe = match &raw.train {
            None if raw.file.is_none() => {
                let reason = format!("network `{name}`: expected `file`, or a table `train`");
                return Err(self.error(raw.name.span(), reason));
            }
            None => Recipe::default(),
            Some(table) => Recipe::parse(
                &nested(table.get_ref()),
                settings.get("data"),
                self.folder(),
            )
            .map_err(|reason| self.error(table.span(), format!("`train` of `{name}`: {reason}")))?,
        };
        let promises = raw.promises.as_deref().unwrap_or(shared_promises);
        if promises.is_empty() {
            let reason = format!("network `{name}` has no `promises`");
            return Err(self.error(raw.name.span(), reason));
        }
        Ok(Network {
            data: self.path(&raw.data),
            file: raw.file.as_ref().map(|file| self.path(file)),
            recipe,
            promises: self.promises(promises)?,
            settings,
            name,
        })
    }

    fn promises(&self, given: &[Spanned<String>]) -> Result<Vec<Promise>, CompareError> {
        let mut labels = BTreeSet::new();
        let mut all = Vec::new();
        for text in given {
            let promise = Promise::parse(text.get_ref())
                .map_err(|reason| self.error(text.span(), format!("`promises`: {reason}")))?;
            if let Some(label) = promise
                .labels()
                .into_iter()
                .find(|l| !labels.insert(l.clone()))
            {
                let reason = format!("`promises`: `{label}` stands twice");
                return Err(self.error(text.span(), reason));
            }
            all.push(promise);
        }
        Ok(all)
    }

    /// Are the settings of every run good?
    fn runs(&self, experiment: &Experiment, places: &[Range<usize>]) -> Result<(), CompareError> {
        for network in &experiment.networks {
            for promise in &network.promises {
                for (policy, place) in experiment.policies.iter().zip(places) {
                    let Kind::Prune(pruning) = &policy.kind else {
                        continue;
                    };
                    let settings = network.run_settings(promise, pruning, experiment.seeds[0]);
                    settings.map_err(|reason| {
                        let which = format!("`{}` on `{}`", policy.name, network.name);
                        self.error(place.clone(), format!("{which}: {reason}"))
                    })?;
                }
            }
        }
        Ok(())
    }
}
