//! Tests of whole networks: engines against each other and against finite
//! differences, masks against removal, training.

mod common;
mod data;
mod engines;
mod features;
mod fixtures;
mod fresh;
mod frontier;
mod gradients;
mod heal;
mod masks;
mod networks;
mod one_sample;
mod operators;
mod steps;
mod tasks;
mod training;
mod variants;
