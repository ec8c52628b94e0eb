//! The agent: a double DQN whose Q-network is shared by all kernels of all networks.

mod adam;
mod checkpoint;
mod dqn;
mod epsilon;
pub mod features;
mod policy;
mod q_net;
mod replay;
mod shapes;
#[cfg(test)]
mod tests;

pub use checkpoint::{AgentError, load_agent, write_agent};
pub use dqn::{AgentState, DqnAgent};
pub use epsilon::EpsilonSchedule;
pub use policy::{DQN, DqnPolicy};
pub use q_net::QNet;
pub use replay::{Replay, Transition};
pub use shapes::{Lesson, teach};

pub use crate::config::DqnConfig;
