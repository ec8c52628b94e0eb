//! Routines against plain references, on every level of instructions that the machine has.

mod block;
mod common;
mod conv;
mod guard;
mod linear;
mod pool;
