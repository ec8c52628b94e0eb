//! Tests of whole networks: engines against each other and against finite
//! differences, masks against removal, training.

mod common;
mod data;
mod engines;
mod fixtures;
mod gradients;
mod masks;
mod operators;
mod steps;
mod training;
