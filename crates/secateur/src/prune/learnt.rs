//! The file that an agent goes on from, and that it leaves what it has learnt in.

use std::path::{Path, PathBuf};

use secateur_search::policies;
use secateur_search::policy::Policy;
use secateur_search::store::{Item, Store, StoreError, check_writable, write_atomically};

use super::PruneError;
use crate::pruner::Pruner;

/// Fails before anything is measured if what the agent learns cannot be kept. `files` are those that
/// the run reads and writes.
pub(super) fn check(
    pruner: &Pruner<'_>,
    files: &[PathBuf],
    resumes: bool,
) -> Result<(), PruneError> {
    let Some(path) = &pruner.learn_into else {
        return Ok(());
    };
    let unusable = |reason: &str| PruneError::LearnInto {
        path: path.clone(),
        reason: reason.to_string(),
    };
    if resumes {
        return Err(unusable("a run that is resumed goes on with its own agent"));
    }
    if files.iter().any(|file| is_same(file, path)) {
        return Err(unusable("it is another file of the run"));
    }
    check_writable(path).map_err(|error| unusable(&error.to_string()))
}

/// The policy that a run goes by, made before anything is measured: an agent that cannot be used is told
/// at once. A run that is resumed has an agent of its own.
pub(super) fn policy<'a>(
    pruner: &mut Pruner<'a>,
    resumes: bool,
) -> Result<Box<dyn Policy + 'a>, PruneError> {
    if let Some(policy) = pruner.policy.take() {
        return Ok(policy);
    }
    let wants_agent = pruner.agent.is_some() || pruner.learn_into.is_some();
    policies::check(&pruner.config, wants_agent)?;
    let agent = pruner.known_agent().filter(|_| !resumes);
    Ok(policies::by_name(&pruner.config, agent, &pruner.engine)?)
}

/// Do two paths name the same file, be it there or not?
fn is_same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        let known = path.canonicalize().ok();
        known.or_else(|| std::path::absolute(path).ok())
    };
    a == b || whole(a).is_some_and(|a| whole(b) == Some(a))
}

/// Writes what the agent of a run has learnt to a file of its own.
pub(super) fn keep(store: &dyn Store, path: &Path) -> Result<(), StoreError> {
    write_atomically(path, &store.get(Item::Agent)?)
}
