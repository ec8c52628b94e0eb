//! Tests of files, coupling and surgery on whole models.

mod build;
mod nets;
mod reference;
mod surgery;
mod vgg;
