//! The policies that have a name: the agent, and what it is compared with.

use std::path::Path;

use secateur_net::Engine;

use crate::agent::{AgentError, DQN, DqnAgent, DqnPolicy, load_agent};
use crate::config::PruneConfig;
use crate::policy::{Policy, PolicyError, RankingPolicy};
use crate::random_shapes::{RANDOM_SHAPES, RandomShapes};
use crate::rank::{Ranking, RankingError};

/// Seeds of a run's streams are the run's seed with one of these mixed in, so that batches,
/// agent and policy do not share randomness.
const POLICY_STREAM: u64 = 0x504f_4c49;
const AGENT_STREAM: u64 = 0x4147_4e54;

/// The policy that a config names; with `agent`, it starts from what that file holds.
///
/// # Errors
/// [`PolicyError`] for a name that no policy has and for an agent that cannot be used.
pub fn by_name(
    config: &PruneConfig,
    agent: Option<&Path>,
    engine: &Engine,
) -> Result<Box<dyn Policy>, PolicyError> {
    let name = config.search.policy.as_str();
    if name == DQN {
        let seed = config.seed ^ AGENT_STREAM;
        let agent = match agent {
            Some(path) => load_agent(config.agent.clone(), seed, engine, path)?,
            None => DqnAgent::new(config.agent.clone(), seed, engine),
        };
        return Ok(Box::new(DqnPolicy::new(agent, config.search.agent_updates)));
    }
    check(config, agent.is_some())?;
    if name == RANDOM_SHAPES {
        return Ok(Box::new(RandomShapes::new(config.seed ^ POLICY_STREAM)));
    }
    let ranking: Ranking = name.parse()?;
    Ok(Box::new(RankingPolicy::new(
        ranking,
        config.seed ^ POLICY_STREAM,
    )))
}

/// Does a config name a policy, and one that learns if there is an agent for it?
///
/// # Errors
/// [`PolicyError`] if it does not.
pub fn check(config: &PruneConfig, has_agent: bool) -> Result<(), PolicyError> {
    let name = config.search.policy.as_str();
    if name == DQN {
        return Ok(());
    }
    if name != RANDOM_SHAPES {
        name.parse::<Ranking>().map_err(|error| match error {
            RankingError::Unknown { name } => PolicyError::Unknown { name },
            error => error.into(),
        })?;
    }
    match has_agent {
        true => Err(PolicyError::DoesNotLearn {
            name: name.to_string(),
        }),
        false => Ok(()),
    }
}

impl From<AgentError> for PolicyError {
    fn from(error: AgentError) -> Self {
        Self::Agent(Box::new(error))
    }
}
