//! Agents as files, to prune another network with what was learnt on this one.
//!
//! A safetensors file: `q_net`, `target_q_net` and Adam's moments, with the
//! number of features, the width, the counters and how far exploration had come as
//! metadata. The replay memory belongs to a run and stays in its folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use thiserror::Error;

use super::{AgentState, DqnAgent, DqnConfig, QNet};
use crate::env::features::N_FEATURES;
use crate::run_dir::{RunDirError, write_atomically};

/// What can go wrong with an agent's file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The file cannot be read.
    #[error("cannot read agent `{}`: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file was made for other features.
    #[error("cannot use agent `{}`: it takes {found} features a kernel, this version has {expected}", path.display())]
    OtherFeatures {
        /// The file.
        path: PathBuf,
        /// Features of this version.
        expected: usize,
        /// Features of the file.
        found: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] RunDirError),
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Writes an agent beside `path`, then renames.
///
/// # Errors
/// [`AgentError::Write`] naming the path.
pub fn save_agent(agent: &DqnAgent, path: &Path) -> Result<(), AgentError> {
    let state = agent.state();
    let parts = [
        ("q_net", bytes(state.q_net.parameters())),
        ("target_q_net", bytes(state.target_q_net.parameters())),
        ("adam.m", bytes(&state.adam.m)),
        ("adam.v", bytes(&state.adam.v)),
    ];
    let unreadable = |reason: String| AgentError::Unreadable {
        path: path.to_path_buf(),
        reason,
    };
    let mut views = Vec::new();
    for (name, data) in &parts {
        let view = TensorView::new(Dtype::F32, vec![data.len() / 4], data)
            .map_err(|error| unreadable(error.to_string()))?;
        views.push((*name, view));
    }
    let metadata = HashMap::from([
        ("kind".to_string(), "secateur agent".to_string()),
        ("features".to_string(), state.q_net.inputs().to_string()),
        ("hidden".to_string(), state.q_net.hidden().to_string()),
        ("updates".to_string(), state.updates.to_string()),
        ("adam_steps".to_string(), state.adam.steps.to_string()),
        ("epsilon".to_string(), state.epsilon.to_string()),
    ]);
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|error| unreadable(error.to_string()))?;
    write_atomically(path, &file)?;
    Ok(())
}

/// Reads an agent; its memory is empty, its randomness from `seed`. It explores no more
/// than it did when it was saved ([`DqnAgent::epsilon`]).
///
/// # Errors
/// [`AgentError::Unreadable`] for files that are missing, damaged or of another kind,
/// [`AgentError::OtherFeatures`].
pub fn load_agent(config: DqnConfig, seed: u64, path: &Path) -> Result<DqnAgent, AgentError> {
    let unreadable = |reason: String| AgentError::Unreadable {
        path: path.to_path_buf(),
        reason,
    };
    let file = fs_err::read(path)
        .map_err(|error| unreadable(std::io::Error::from(error.kind()).to_string()))?;
    let broken = |error: safetensors::SafeTensorError| {
        unreadable(format!("expected a safetensors file: {error}"))
    };
    let (_, header) = SafeTensors::read_metadata(&file).map_err(broken)?;
    let tensors = SafeTensors::deserialize(&file).map_err(broken)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let entry = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    if entry("kind") != "secateur agent" {
        return Err(unreadable("it is not an agent of this program".to_string()));
    }
    if entry("features") != N_FEATURES.to_string() {
        return Err(AgentError::OtherFeatures {
            path: path.to_path_buf(),
            expected: N_FEATURES,
            found: entry("features"),
        });
    }
    let number = |key: &str| -> Result<u64, AgentError> {
        entry(key)
            .parse()
            .map_err(|_| unreadable(format!("its entry `{key}` is no number")))
    };
    let hidden = usize::try_from(number("hidden")?).unwrap_or(usize::MAX);
    let floats = |name: &str| -> Result<Vec<f32>, AgentError> {
        let view = tensors.tensor(name).map_err(broken)?;
        let values: Vec<f32> = view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|c| f32::from_le_bytes(*c))
            .collect();
        if view.dtype() != Dtype::F32 || values.iter().any(|v| !v.is_finite()) {
            return Err(unreadable(format!("`{name}` does not hold finite floats")));
        }
        Ok(values)
    };
    let net = |name: &str| -> Result<QNet, AgentError> {
        // Bounds the product below: no file is near this size.
        if hidden > 1 << 16 {
            return Err(unreadable("its width is absurd".to_string()));
        }
        QNet::from_parameters(N_FEATURES, hidden, floats(name)?)
            .ok_or_else(|| unreadable(format!("`{name}` does not fit its width {hidden}")))
    };
    let fresh = DqnAgent::new(
        DqnConfig {
            hidden,
            ..config.clone()
        },
        seed,
    );
    let mut state: AgentState = fresh.state().clone();
    state.q_net = net("q_net")?;
    state.target_q_net = net("target_q_net")?;
    let (m, v) = (floats("adam.m")?, floats("adam.v")?);
    if m.len() != state.q_net.parameters().len() || v.len() != m.len() {
        return Err(unreadable("its moments do not fit its network".to_string()));
    }
    state.adam.m = m;
    state.adam.v = v;
    state.adam.steps = number("adam_steps")?;
    state.updates = number("updates")?;
    state.epsilon = match entry("epsilon").parse::<f32>() {
        Ok(epsilon) if (0.0..=1.0).contains(&epsilon) => epsilon,
        _ => return Err(unreadable("its entry `epsilon` is no share".to_string())),
    };
    Ok(DqnAgent::from_state(DqnConfig { hidden, ..config }, state))
}
