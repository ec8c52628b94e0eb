//! The program from outside: promises, resuming, bad input.

mod bad_input;
mod commands;
mod common;
mod data;
mod disk;
mod interrupt;
mod no_train;
mod open_size;
mod options;
mod progress;
mod promises;
mod report;
mod resume;
mod schema;
mod training_mode;
