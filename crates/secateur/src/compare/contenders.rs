//! The contenders of an experiment: policies, variants, and all policies again without something.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::{Spanned, Table};

use super::check::Check;
use super::error::CompareError;
use super::experiment::{Contender, Kind, Pruning};
use super::file::{ExperimentFile, VariantFile};
use crate::layered::lay_over;

impl Check<'_> {
    /// All contenders, and where each stands in the file.
    pub fn contenders(
        &self,
        raw: &ExperimentFile,
    ) -> Result<(Vec<Contender>, Vec<Range<usize>>), CompareError> {
        let mut names = BTreeSet::new();
        let (mut all, mut places) = (Vec::new(), Vec::new());
        let mut add = |all: &mut Vec<Contender>, name: Spanned<String>, kind: Kind| {
            self.name(&name, &mut names)?;
            places.push(name.span());
            all.push(Contender {
                name: name.into_inner(),
                kind,
            });
            Ok::<(), CompareError>(())
        };
        for name in &raw.policies {
            let pruning = Pruning {
                policy: name.get_ref().clone(),
                set: Table::new(),
                agent: None,
            };
            add(&mut all, name.clone(), Kind::Prune(pruning))?;
        }
        for variant in &raw.variant {
            let kind = self.kind(&all, variant)?;
            add(&mut all, variant.name.clone(), kind)?;
        }
        let whole = all.clone();
        for ablation in &raw.ablation {
            let set = self.settings_table("set", Some(&ablation.set))?;
            for contender in &whole {
                let Kind::Prune(pruning) = &contender.kind else {
                    continue;
                };
                let mut pruning = pruning.clone();
                lay_over(&mut pruning.set, set.clone());
                let name = format!("{}+{}", contender.name, ablation.name.get_ref());
                let name = Spanned::new(ablation.name.span(), name);
                add(&mut all, name, Kind::Prune(pruning))?;
            }
        }
        if all.is_empty() {
            let reason = "there are no `policies`, and no `[[variant]]`".to_string();
            return Err(self.text.error(None, reason));
        }
        Ok((all, places))
    }

    /// What a variant does.
    fn kind(&self, all: &[Contender], variant: &VariantFile) -> Result<Kind, CompareError> {
        match (&variant.policy, &variant.shape_of) {
            (Some(policy), None) => Ok(Kind::Prune(Pruning {
                policy: policy.get_ref().clone(),
                set: self.settings_table("set", variant.set.as_ref())?,
                agent: variant.agent.as_ref().map(|file| self.path(file)),
            })),
            (None, Some(of)) if variant.set.is_none() && variant.agent.is_none() => {
                let of = self.named(all, of)?;
                if matches!(all[of].kind, Kind::Scratch { .. }) {
                    let reason = "`shape_of` names another variant with `shape_of`".to_string();
                    return Err(self.error(variant.name.span(), reason));
                }
                Ok(Kind::Scratch { of })
            }
            _ => {
                let reason = format!(
                    "variant `{}`: expected `policy`, with `set` and `agent` or without, or \
                     `shape_of` alone",
                    variant.name.get_ref()
                );
                Err(self.error(variant.name.span(), reason))
            }
        }
    }

    pub fn named(&self, all: &[Contender], name: &Spanned<String>) -> Result<usize, CompareError> {
        let found = all.iter().position(|policy| policy.name == *name.get_ref());
        found.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|policy| policy.name.as_str()).collect();
            let reason = format!(
                "`{}` is none of the policies and variants before: {}",
                name.get_ref(),
                names.join(", ")
            );
            self.error(name.span(), reason)
        })
    }
}
