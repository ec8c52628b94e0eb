//! Healing without gradients: weights solved by least squares.
//!
//! After kernels are gone, the layers that read them still hold weights that were trained to be
//! used together with the others. Layer by layer, in the order of the graph, new weights are
//! solved so that the layer gives what it gave in the original network, from what remains:
//!
//! ```text
//! min over D, d:  Σ_rows |x (W + D) + b + d - t|² + λ |D|²
//! ```
//!
//! `x` is a row of the layer's input in the compact network, whose earlier layers are solved
//! already, `t` what the original has there for the kept channels, `W` and `b` are the weights
//! that the cut left. Rows are sampled positions of some hundred inputs, labels are not needed.
//! `λ` is chosen by layer on rows of other inputs; "no change" is among the choices.
//!
//! Where a layer's output (through a batch norm) goes into a sum whose other term is known
//! already, `t` is what that sum lacks, so that the errors of the other term are made up for.
//! A constant `d` goes into the bias, or into the running mean of the batch norm that follows.
//!
//! Source: He et al., ICCV 2017, arXiv:1707.06168 (reconstruction of feature maps after channel
//! pruning). Departures: the change of the weights is penalised, not the weights; `λ` is chosen
//! on held-out inputs; sums are reconstructed.

mod affine;
mod amplified;
mod cholesky;
mod elimination;
mod fit;
mod form;
#[cfg(test)]
mod form_tests;
mod inputs;
mod layers;
mod moments;
mod original;
mod plain;
mod ridge;
mod rows;
mod sampled;
mod solver;
mod system;
mod widths;
mod window;

pub use layers::Unsolved;
pub use solver::{Solved, SolvedLayer, Solver, Target};
pub use widths::{WidthErrors, errors_by_width};

use affine::Affine;
use inputs::Inputs;

/// How weights are solved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolveOptions {
    /// Inputs at most.
    pub inputs: usize,
    /// Rows of each layer, at least; fewer if its output has fewer positions.
    pub rows: usize,
    /// Bytes that the values of all inputs may take; with less memory fewer inputs are used.
    pub memory: usize,
    /// Of the sampled positions.
    pub seed: u64,
}

impl Default for SolveOptions {
    fn default() -> Self {
        Self {
            inputs: 512,
            rows: 8192,
            memory: 2 << 30,
            seed: 0,
        }
    }
}
