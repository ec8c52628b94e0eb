//! CPU routines for training and inference of convolutional networks.
//!
//! Everything works on plain `f32` slices. Activations are channels-last,
//! `[n, h, w, c]`; parameters have the ONNX layout, `[c_out, c_in / groups, kh, kw]`
//! for convolutions and `[c_out, c_in]` for linear layers. The routines pack
//! weights themselves.
//!
//! The crate knows nothing of graphs, files or tensor libraries. Almost all `unsafe` code of
//! the workspace is here: SIMD by run-time dispatch ([`isa`]) over raw pointers, behind
//! functions that check the length of every slice.
//!
//! Work is divided over as many threads as rayon's global pool has. Results are the same
//! bits for the same number of threads, and agree within rounding for different ones.
#![warn(clippy::undocumented_unsafe_blocks)]
// Routines take many pointers and sizes. Register tiles are arrays indexed by constants: iterators
// over them would be harder to read, for people and for the optimiser.
#![allow(clippy::too_many_arguments, clippy::needless_range_loop)]

pub mod block;
pub mod conv;
pub mod isa;
pub mod layout;
pub mod linear;
pub mod matrix;
pub mod memory;
pub mod norm;
pub mod optimizer;
#[doc(hidden)]
pub mod peak;
pub mod pool;

mod activation;
mod ahead;
mod checks;
mod parallel;
mod simd;
