//! The agent: a double DQN whose Q-network is shared by all kernels of all networks.

mod adam;
mod checkpoint;
mod config;
mod dqn;
mod epsilon;
mod q_net;
mod replay;
#[cfg(test)]
mod tests;

pub use checkpoint::{AgentError, load_agent, save_agent};
pub use config::DqnConfig;
pub use dqn::{AgentState, DqnAgent, LearnReport};
pub use epsilon::EpsilonSchedule;
pub use q_net::QNet;
pub use replay::{Replay, Transition};
