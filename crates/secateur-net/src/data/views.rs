//! Views of other data sets: some of their images, or two of them in a row.

use std::sync::Arc;

use super::{DataError, Dataset, Pixels, Resize};

/// Some images of a data set, in a given order.
pub(super) struct Subset {
    data: Arc<dyn Dataset>,
    indices: Arc<[usize]>,
}

impl Subset {
    pub(super) fn new(data: Arc<dyn Dataset>, indices: impl Into<Arc<[usize]>>) -> Self {
        Self {
            data,
            indices: indices.into(),
        }
    }
}

impl Dataset for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.data.image_shape()
    }

    fn is_labelled(&self) -> bool {
        self.data.is_labelled()
    }

    fn class_names(&self) -> &[String] {
        self.data.class_names()
    }

    fn label(&self, index: usize) -> usize {
        self.data.label(self.indices[index])
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        self.data.image(self.indices[index])
    }

    fn is_in_memory(&self) -> bool {
        self.data.is_in_memory()
    }

    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        let data = self.data.resized(shape, resize)?;
        Some(Arc::new(Self::new(data, self.indices.clone())))
    }
}

/// One data set after the other; classes are those of the first.
pub(super) struct Chain {
    pub(super) first: Arc<dyn Dataset>,
    pub(super) second: Arc<dyn Dataset>,
}

impl Chain {
    /// Which of the two holds an image, and where.
    fn find(&self, index: usize) -> (&dyn Dataset, usize) {
        match index.checked_sub(self.first.len()) {
            None => (self.first.as_ref(), index),
            Some(beyond) => (self.second.as_ref(), beyond),
        }
    }
}

impl Dataset for Chain {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.first.image_shape()
    }

    fn is_labelled(&self) -> bool {
        self.first.is_labelled() && self.second.is_labelled()
    }

    fn class_names(&self) -> &[String] {
        self.first.class_names()
    }

    fn label(&self, index: usize) -> usize {
        let (data, index) = self.find(index);
        data.label(index)
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let (data, index) = self.find(index);
        data.image(index)
    }

    fn is_in_memory(&self) -> bool {
        self.first.is_in_memory() && self.second.is_in_memory()
    }

    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        Some(Arc::new(Self {
            first: self.first.resized(shape, resize)?,
            second: self.second.resized(shape, resize)?,
        }))
    }
}
