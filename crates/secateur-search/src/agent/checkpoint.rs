//! Agents as files, to prune another network with what was learnt on this one.
//!
//! A safetensors file: `q_net`, `target_q_net` and Adam's moments; what is known of layers and the
//! looks that taught it (`shapes`, as bytes); the numbers of features, the width, the counters
//! and how far exploration had come as metadata. The replay memory of kernels belongs to a run and
//! stays in its folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use secateur_net::Engine;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::features::N_FEATURES;
use super::shapes::{N_LAYER_FEATURES, Shapes};
use super::{AgentState, DqnAgent, DqnConfig, QNet};

/// The entry of the metadata that makes a file an agent's: [`Facts`] as JSON.
const KIND: &str = "secateur.agent";

/// What a file says of its agent.
#[derive(Debug, Serialize, Deserialize)]
struct Facts {
    /// Of a kernel and of a layer.
    features: usize,
    layer_features: usize,
    hidden: usize,
    updates: u64,
    adam_steps: u64,
    /// How far exploration had come.
    epsilon: f32,
}

/// Name of what is known of layers.
const SHAPES: &str = "shapes";

/// Widest hidden layers of a file.
const MOST_HIDDEN: usize = 1 << 16;

/// What can go wrong with an agent's file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The file cannot be read.
    #[error("cannot read agent `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not the format of agents, or damaged.
    #[error("cannot read agent `{}`: expected a safetensors file", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// Something else than an agent, or one that makes no sense.
    #[error("cannot use agent `{}`: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file was made for other features.
    #[error("cannot use agent `{}`: it takes {found} features a {of}, this version has {expected}", path.display())]
    OtherFeatures {
        /// The file.
        path: PathBuf,
        /// Kernel or layer.
        of: &'static str,
        /// Features of this version.
        expected: usize,
        /// Features of the file.
        found: usize,
    },
    /// The agent cannot be laid out as a file.
    #[error("cannot write down the agent")]
    Unwritable(#[from] safetensors::SafeTensorError),
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// An agent as a file.
///
/// # Errors
/// [`AgentError::Unwritable`] if it cannot be laid out.
pub fn write_agent(agent: &DqnAgent) -> Result<Vec<u8>, AgentError> {
    let state = agent.state();
    let parts = [
        ("q_net", bytes(state.q_net.parameters())),
        ("target_q_net", bytes(state.target_q_net.parameters())),
        ("adam.m", bytes(&state.adam.m)),
        ("adam.v", bytes(&state.adam.v)),
    ];
    let shapes = state.shapes.write();
    let mut views = parts
        .iter()
        .map(|(name, data)| {
            let view = TensorView::new(Dtype::F32, vec![data.len() / size_of::<f32>()], data)?;
            Ok((*name, view))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    views.push((
        SHAPES,
        TensorView::new(Dtype::U8, vec![shapes.len()], &shapes)?,
    ));
    let facts = Facts {
        features: N_FEATURES,
        layer_features: N_LAYER_FEATURES,
        hidden: state.q_net.hidden(),
        updates: state.updates,
        adam_steps: state.adam.steps,
        epsilon: state.epsilon,
    };
    // One entry: of several the order would be another in each process.
    let facts = serde_json::to_string(&facts).unwrap_or_default();
    let metadata = HashMap::from([(KIND.to_string(), facts)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// A file that was opened.
struct AgentFile<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
    facts: Facts,
}

impl<'a> AgentFile<'a> {
    fn open(path: &'a Path, bytes: &'a [u8]) -> Result<Self, AgentError> {
        let broken = |source| AgentError::Format {
            path: path.to_path_buf(),
            source,
        };
        let unusable = |reason: &str| AgentError::Unusable {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
        let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let Some(facts) = metadata.get(KIND) else {
            return Err(unusable(match metadata.contains_key("kind") {
                true => "it is of an earlier version of this program",
                false => "it is not an agent of this program",
            }));
        };
        let facts: Facts = serde_json::from_str(facts)
            .map_err(|_| unusable("what it says of its agent cannot be read"))?;
        for (of, found, expected) in [
            ("kernel", facts.features, N_FEATURES),
            ("layer", facts.layer_features, N_LAYER_FEATURES),
        ] {
            if found != expected {
                return Err(AgentError::OtherFeatures {
                    path: path.to_path_buf(),
                    of,
                    expected,
                    found,
                });
            }
        }
        Ok(Self {
            path,
            tensors,
            facts,
        })
    }

    fn shapes(&self) -> Result<Shapes, AgentError> {
        let view = self.tensor(SHAPES)?;
        Shapes::read(view.data())
            .ok_or_else(|| self.unusable(format!("`{SHAPES}` does not hold what it should")))
    }

    fn unusable(&self, reason: impl Into<String>) -> AgentError {
        AgentError::Unusable {
            path: self.path.to_path_buf(),
            reason: reason.into(),
        }
    }

    fn tensor(&self, name: &str) -> Result<TensorView<'a>, AgentError> {
        self.tensors
            .tensor(name)
            .map_err(|source| AgentError::Format {
                path: self.path.to_path_buf(),
                source,
            })
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, AgentError> {
        let view = self.tensor(name)?;
        let chunks = view.data().as_chunks::<4>().0;
        let values: Vec<f32> = chunks.iter().map(|c| f32::from_le_bytes(*c)).collect();
        if view.dtype() != Dtype::F32 || values.iter().any(|v| !v.is_finite()) {
            return Err(self.unusable(format!("`{name}` does not hold finite floats")));
        }
        Ok(values)
    }

    fn hidden(&self) -> Result<usize, AgentError> {
        // Bounds the products of widths: no file is near this size.
        match self.facts.hidden {
            hidden if hidden <= MOST_HIDDEN => Ok(hidden),
            _ => Err(self.unusable("its width is absurd")),
        }
    }

    fn epsilon(&self) -> Result<f32, AgentError> {
        match self.facts.epsilon {
            epsilon if (0.0..=1.0).contains(&epsilon) => Ok(epsilon),
            _ => Err(self.unusable("its share of random decisions is no share")),
        }
    }

    fn net(&self, name: &str, hidden: usize) -> Result<QNet, AgentError> {
        QNet::from_parameters(N_FEATURES, hidden, self.floats(name)?)
            .ok_or_else(|| self.unusable(format!("`{name}` does not fit its width {hidden}")))
    }
}

/// Reads an agent; its memory is empty, its randomness from `seed`. It explores no more
/// than it did when it was saved ([`DqnAgent::epsilon`]).
///
/// # Errors
/// [`AgentError`] for files that are missing, damaged or of another kind.
pub fn load_agent(
    config: DqnConfig,
    seed: u64,
    engine: &Engine,
    path: &Path,
) -> Result<DqnAgent, AgentError> {
    let bytes = fs_err::read(path).map_err(|source| AgentError::Unreadable {
        path: path.to_path_buf(),
        source,
    })?;
    let file = AgentFile::open(path, &bytes)?;
    let hidden = file.hidden()?;
    let mut agent = DqnAgent::new(DqnConfig { hidden, ..config }, seed, engine);
    let mut state: AgentState = agent.state().clone();
    state.q_net = file.net("q_net", hidden)?;
    state.target_q_net = file.net("target_q_net", hidden)?;
    let (m, v) = (file.floats("adam.m")?, file.floats("adam.v")?);
    if m.len() != state.q_net.parameters().len() || v.len() != m.len() {
        return Err(file.unusable("its moments do not fit its network"));
    }
    state.adam.m = m;
    state.adam.v = v;
    state.adam.steps = file.facts.adam_steps;
    state.updates = file.facts.updates;
    state.epsilon = file.epsilon()?;
    state.shapes = file.shapes()?;
    agent.resume(state);
    Ok(agent)
}
