//! CPU routines for training and inference of convolutional networks.
//!
//! Everything works on plain `f32` slices. Activations are channels-last,
//! `[n, h, w, c]`; parameters have the ONNX layout, `[c_out, c_in / groups, kh, kw]`
//! for convolutions and `[c_out, c_in]` for linear layers. The routines pack
//! weights themselves.
//!
//! What is here knows nothing of graphs, files or tensor libraries. This is also the
//! only crate of the workspace with `unsafe` code: SIMD by run-time dispatch
//! ([`isa`]) over raw pointers, behind functions that check every slice length.
//!
//! Work is divided over the global rayon pool. Results are the same bits for the
//! same number of threads, and agree within rounding for different ones.
#![warn(clippy::undocumented_unsafe_blocks)]
// Register tiles are arrays indexed by constants: iterators over them read worse and hide the
// structure from the optimiser.
#![allow(clippy::too_many_arguments, clippy::needless_range_loop)]

mod ahead;
pub mod block;
pub mod conv;
pub mod isa;
pub mod layout;
pub mod linear;
pub mod memory;
pub mod norm;
pub mod optimizer;
pub mod peak;
pub mod pool;
pub mod reference;

mod parallel;
mod simd;
