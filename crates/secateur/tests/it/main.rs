//! The program from outside: promises, resuming, bad input.

mod bad_input;
mod common;
mod promises;
mod resume;
