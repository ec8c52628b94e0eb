//! Images whole in memory.

use std::borrow::Cow;
use std::sync::Arc;

use super::{DataError, Dataset, Pixels};

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
    is_labelled: bool,
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
            is_labelled: true,
            class_names,
        }
    }

    /// The same images, of which nothing is known.
    #[must_use]
    pub fn unlabelled(self) -> Self {
        Self {
            is_labelled: false,
            class_names: Arc::new([]),
            ..self
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

    fn is_labelled(&self) -> bool {
        self.is_labelled
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
