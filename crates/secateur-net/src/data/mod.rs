//! Samples, with labels or without: reading, splitting, normalising, batching.
//!
//! [`open`] recognises a [`Format`] and gives a [`Source`]; fitted to a network it loads
//! [`Part`]s, whose samples are known to be sound; [`with_batches`] prepares their batches
//! beside the training. [`ModelData`] is a source as one model takes it.

mod arrays;
mod augment;
mod cache;
mod check;
mod choices;
mod config;
mod dataset;
mod error;
mod format;
mod formats;
mod image_form;
mod matching;
mod memory;
pub mod metadata;
mod model_data;
mod normalisation;
mod normaliser;
mod part;
mod prefetch;
mod preprocessing;
mod sampler;
mod skipped;
mod source;
mod split;
mod sums;
mod test_part;
mod views;

pub use arrays::{Column, Row};
pub use augment::Augment;
pub use choices::{Colour, Labels, Layout, Resize};
pub use config::DataConfig;
pub use dataset::{Dataset, Origin, Pixels, count_classes};
pub use error::{Cause, DataError};
pub use format::{Format, Parts};
pub use formats::{LentArray, LentValues, open, open_arrays, open_with};
pub use memory::InMemory;
pub use model_data::ModelData;
pub use normalisation::{NAMED, Normalisation, NormaliseBy};
pub use part::{Batch, Part};
pub use prefetch::{Batches, with_batches};
pub(crate) use prefetch::{Shuffled, in_order};
pub use preprocessing::{Preprocessing, settle_image_size};
pub use sampler::{BatchJob, BatchSampler};
pub use skipped::SkippedImage;
pub use source::Source;
pub use split::Splits;
pub use test_part::SetApart;
