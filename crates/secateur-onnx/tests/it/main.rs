//! Tests of files, coupling and surgery on whole models.

mod vgg;
