//! Images whole in memory, and views of other data sets.

use std::borrow::Cow;
use std::sync::Arc;

use super::{DataError, Dataset, Pixels, Resize};

/// Values of all images, `[n, h, w, c]`.
#[derive(Debug)]
pub(super) enum Values {
    /// A byte a value; 255 stands for 1.0.
    Bytes(Vec<u8>),
    /// Values as they are.
    Floats(Vec<f32>),
}

/// A data set in memory.
#[derive(Debug)]
pub struct InMemory {
    shape: [usize; 3],
    values: Values,
    labels: Vec<u32>,
    class_names: Arc<[String]>,
}

impl InMemory {
    /// `values` are `[n, h, w, c]` for `n` labels, all below the number of names.
    pub(super) fn new(
        shape: [usize; 3],
        values: Values,
        labels: Vec<u32>,
        class_names: Arc<[String]>,
    ) -> Self {
        let size: usize = shape.iter().product();
        let held = match &values {
            Values::Bytes(v) => v.len(),
            Values::Floats(v) => v.len(),
        };
        debug_assert_eq!(held, labels.len() * size);
        Self {
            shape,
            values,
            labels,
            class_names,
        }
    }

    /// Images of bytes; classes are numbered up to the largest label.
    pub(super) fn bytes(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u32>) -> Self {
        let names = numbered_classes(labels.iter().copied().max());
        Self::new(shape, Values::Bytes(pixels), labels, names)
    }

    /// Images of values that are taken as they are, `[n, h, w, c]`, with a label each;
    /// classes are numbered up to the largest label.
    ///
    /// # Errors
    /// [`DataError::Format`] if the number of values is not that of the labels and the shape.
    pub fn floats(
        shape: [usize; 3],
        values: Vec<f32>,
        labels: Vec<u32>,
    ) -> Result<Self, DataError> {
        let expected = labels.len() * shape.iter().product::<usize>();
        if values.len() != expected {
            return Err(DataError::Format {
                path: "memory".into(),
                expected: format!("{expected} values"),
                got: values.len().to_string(),
            });
        }
        let names = numbered_classes(labels.iter().copied().max());
        Ok(Self::new(shape, Values::Floats(values), labels, names))
    }
}

/// Numbers as names, up to the largest label.
pub(super) fn numbered_classes(largest: Option<u32>) -> Arc<[String]> {
    (0..largest.map_or(0, |label| label + 1))
        .map(|class| class.to_string())
        .collect()
}

impl Dataset for InMemory {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn label(&self, index: usize) -> usize {
        self.labels[index] as usize
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let size: usize = self.shape.iter().product();
        let range = index * size..(index + 1) * size;
        Ok(match &self.values {
            Values::Bytes(values) => Pixels::Bytes(Cow::Borrowed(&values[range])),
            Values::Floats(values) => Pixels::Floats(Cow::Borrowed(&values[range])),
        })
    }
}

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
