//! Tests of files, coupling and surgery on whole models.

mod build;
mod files;
mod fixtures;
mod message;
mod nets;
mod pinned;
mod reference;
mod sharing;
mod surgery;
mod vgg;
