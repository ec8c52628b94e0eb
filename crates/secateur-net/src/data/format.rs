//! What a format is: it recognises data at a path and opens them.

use std::path::Path;
use std::sync::Arc;

use super::views::Unlabelled;
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

    /// The same samples without labels.
    #[must_use]
    pub(super) fn without_labels(self) -> Self {
        let hide = |data: Arc<dyn Dataset>| -> Arc<dyn Dataset> {
            match data.is_labelled() {
                true => Arc::new(Unlabelled(data)),
                false => data,
            }
        };
        Self {
            train: hide(self.train),
            validation: self.validation.map(hide),
            test: self.test.map(hide),
            ..self
        }
    }

    /// Checks what every reader should see to, so that a mistake in one is no panic later.
    pub(super) fn check(&self, path: &Path) -> Result<(), DataError> {
        let shape = self.train.image_shape();
        if self.train.is_empty() && !self.train.is_images() {
            let expected = "arrays whose first axis counts samples";
            return Err(DataError::unsupported(path, expected, "no samples"));
        }
        if self.train.is_images() && (self.train.is_empty() || shape.contains(&0)) {
            return Err(DataError::Empty {
                path: path.to_path_buf(),
            });
        }
        // Validation images are appended to the training images, whose classes then count.
        let own = self.train.n_classes();
        let all = [
            Some((&self.train, own)),
            self.validation.as_ref().map(|data| (data, own)),
            self.test.as_ref().map(|data| (data, data.n_classes())),
        ];
        let labelled = all
            .into_iter()
            .flatten()
            .filter(|(data, _)| data.is_labelled());
        for (data, n_classes) in labelled {
            let beyond = (0..data.len())
                .map(|index| (index, data.label(index)))
                .find(|&(_, label)| label >= n_classes);
            if let Some((index, label)) = beyond {
                return Err(DataError::unsupported(
                    path,
                    format!("labels below the number of classes, {n_classes}"),
                    format!("label {label} of item {index}"),
                ));
            }
        }
        match &self.validation {
            Some(other) if other.image_shape() != shape => Err(DataError::unsupported(
                path,
                format!("images of {shape:?} as in the training part"),
                format!("{:?}", other.image_shape()),
            )),
            _ => Ok(()),
        }
    }
}
