//! Tests of files, coupling and surgery on whole models.

mod build;
mod computed;
mod external;
mod files;
mod fixtures;
mod macs;
mod message;
mod nets;
mod pinned;
mod reference;
mod shapes;
mod sharing;
mod surgery;
mod vgg;
