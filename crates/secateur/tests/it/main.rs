//! The program from outside: promises, resuming, bad input.

mod bad_input;
mod commands;
mod common;
mod compare;
mod data;
mod differing;
mod disk;
mod docs;
mod examples;
mod given;
mod inputs;
mod interrupt;
mod latency;
// The same helper as in the tests of `secateur-onnx`; not all of it is needed here.
mod measure;
#[allow(dead_code)]
#[path = "../../../secateur-onnx/tests/it/message.rs"]
mod message;
mod no_train;
mod open_size;
mod options;
mod progress;
mod promises;
mod python;
mod quantise;
mod report;
mod resume;
mod schema;
mod training_mode;
mod unlabelled;
