//! Labelled images: reading, splitting, normalising, batching.
//!
//! [`open`] recognises a layout and gives a [`Source`]; fitted to a network it loads
//! [`Part`]s, whose images are known to be sound; [`with_batches`] prepares their batches
//! beside the training.

mod augment;
mod cifar;
mod config;
mod dataset;
mod error;
mod folder;
mod idx;
mod memory;
mod normalisation;
mod npy;
mod open;
mod part;
mod prefetch;
mod sampler;
mod skipped;
mod source;
mod split;

pub use augment::Augment;
pub use config::{Colour, DataConfig, Layout, Resize};
pub use dataset::{Dataset, Pixels, check_fits, count_classes};
pub use error::DataError;
pub use folder::ImageFolder;
pub use memory::InMemory;
pub use normalisation::{NAMED, Normalisation, NormaliseBy};
pub use open::open;
pub use part::{Batch, Part};
pub use prefetch::{Batches, with_batches};
pub(crate) use prefetch::{Shuffled, in_order};
pub use sampler::{BatchJob, BatchSampler};
pub use skipped::SkippedImage;
pub use source::{SetApart, Source};
pub use split::Splits;
