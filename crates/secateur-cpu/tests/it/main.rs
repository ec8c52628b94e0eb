//! Routines against plain references, on every level of instructions that the machine has.

mod block;
mod chain;
mod common;
mod conv;
mod guard;
mod linear;
mod model;
mod pending;
mod pool;
mod reference;
