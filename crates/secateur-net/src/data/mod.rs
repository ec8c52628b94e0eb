//! Labelled images: reading, splitting, normalising, batching.

mod augment;
mod dataset;
mod error;
mod idx;
mod loaded;
mod normalisation;
mod open;
mod sampler;
mod split;

pub use augment::Augment;
pub use dataset::{Dataset, check_fits};
pub use error::DataError;
pub use idx::IdxDataset;
pub use loaded::{Batch, Loaded};
pub use normalisation::Normalisation;
pub use open::{Source, open};
pub use sampler::BatchSampler;
pub use split::Splits;
