//! What a format is: it recognises data at a path and opens them.

use std::path::Path;
use std::sync::Arc;

use super::{DataConfig, DataError, Dataset};

/// A format of data on disk.
///
/// [`super::open`] asks the formats it knows one after the other; [`super::open_with`] asks
/// those of a caller's own before them.
pub trait Format {
    /// What must lie at a path so that it is recognised, for the message that nothing was:
    /// `data_batch_1.bin (CIFAR-10)`.
    fn expects(&self) -> &'static str;

    /// Opens the data at `path`, a folder or a file; `None` if they are of another format.
    ///
    /// # Errors
    /// Whatever is wrong with data that are of this format by their names.
    fn open(&self, path: &Path, config: &DataConfig) -> Result<Option<Parts>, DataError>;
}

/// The parts of opened data: what [`super::Source::new`] makes a source of.
#[derive(Clone)]
pub struct Parts {
    /// Format, for people: `image folder`.
    pub kind: &'static str,
    /// Images to train on.
    pub train: Arc<dyn Dataset>,
    /// Validation images of the data's own; else some are taken from the training images.
    pub validation: Option<Arc<dyn Dataset>>,
    /// Test images.
    pub test: Option<Arc<dyn Dataset>>,
    /// False if `train` is everything there is, so that a test part has to be set apart
    /// ([`DataConfig::test_share`]).
    pub has_parts: bool,
    /// `[height, width]` of two images that differ, where no size was asked for: the shape of
    /// `train` is then that of one of them, and [`super::Source::own_shape`] an error.
    pub sizes_differ: Option<[[usize; 2]; 2]>,
    /// What the user should know of these data.
    pub notes: Vec<String>,
}

impl Parts {
    /// Images that are all there is.
    pub fn new(kind: &'static str, train: Arc<dyn Dataset>) -> Self {
        Self {
            kind,
            train,
            validation: None,
            test: None,
            has_parts: false,
            sizes_differ: None,
            notes: Vec::new(),
        }
    }
}
