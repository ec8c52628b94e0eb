//! Views of other data sets: some of their samples, two of them in a row, one without its labels.

use std::path::Path;
use std::sync::Arc;

use secateur_onnx::model::{InputShape, ValueInfo};

use super::{Column, DataError, Dataset, Origin, Pixels, Resize, Row};

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

    fn is_images(&self) -> bool {
        self.data.is_images()
    }

    fn input_shapes(&self, inputs: &[ValueInfo]) -> Vec<InputShape> {
        self.data.input_shapes(inputs)
    }

    fn columns(&self) -> &[Column] {
        self.data.columns()
    }

    fn for_inputs(&self, inputs: &[ValueInfo]) -> Option<Result<Arc<dyn Dataset>, DataError>> {
        let data = self.data.for_inputs(inputs)?;
        Some(data.map(|data| Arc::new(Self::new(data, self.indices.clone())) as _))
    }

    fn row(&self, index: usize, column: usize) -> Option<Row<'_>> {
        self.data.row(self.indices[index], column)
    }

    fn origin(&self, index: usize) -> Origin {
        self.data.origin(self.indices[index])
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
    /// Of two data sets for the same inputs, if their samples are alike.
    fn of_arrays(first: Arc<dyn Dataset>, second: Arc<dyn Dataset>) -> Result<Self, DataError> {
        let mut columns = first.columns().iter().zip(second.columns());
        match columns.find(|(own, other)| own.shape != other.shape) {
            Some((own, other)) => Err(DataError::unsupported(
                Path::new(&own.input),
                format!("samples of {:?}, as in the training part", own.shape),
                format!("{:?} in the validation part", other.shape),
            )),
            None => Ok(Self { first, second }),
        }
    }

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

    fn is_images(&self) -> bool {
        self.first.is_images()
    }

    fn input_shapes(&self, inputs: &[ValueInfo]) -> Vec<InputShape> {
        self.first.input_shapes(inputs)
    }

    fn columns(&self) -> &[Column] {
        self.first.columns()
    }

    fn for_inputs(&self, inputs: &[ValueInfo]) -> Option<Result<Arc<dyn Dataset>, DataError>> {
        let (first, second) = (
            self.first.for_inputs(inputs)?,
            self.second.for_inputs(inputs)?,
        );
        Some(first.and_then(|first| Ok(Arc::new(Self::of_arrays(first, second?)?) as _)))
    }

    fn row(&self, index: usize, column: usize) -> Option<Row<'_>> {
        let (data, index) = self.find(index);
        data.row(index, column)
    }

    fn origin(&self, index: usize) -> Origin {
        let (data, index) = self.find(index);
        data.origin(index)
    }

    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        Some(Arc::new(Self {
            first: self.first.resized(shape, resize)?,
            second: self.second.resized(shape, resize)?,
        }))
    }
}

/// A data set whose labels are not used.
pub(super) struct Unlabelled(pub(super) Arc<dyn Dataset>);

impl Dataset for Unlabelled {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.0.image_shape()
    }

    fn is_labelled(&self) -> bool {
        false
    }

    fn class_names(&self) -> &[String] {
        &[]
    }

    fn label(&self, index: usize) -> usize {
        self.0.label(index)
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        self.0.image(index)
    }

    fn is_in_memory(&self) -> bool {
        self.0.is_in_memory()
    }

    fn is_images(&self) -> bool {
        self.0.is_images()
    }

    fn input_shapes(&self, inputs: &[ValueInfo]) -> Vec<InputShape> {
        self.0.input_shapes(inputs)
    }

    fn columns(&self) -> &[Column] {
        self.0.columns()
    }

    fn for_inputs(&self, inputs: &[ValueInfo]) -> Option<Result<Arc<dyn Dataset>, DataError>> {
        let data = self.0.for_inputs(inputs)?;
        Some(data.map(|data| Arc::new(Self(data)) as _))
    }

    fn row(&self, index: usize, column: usize) -> Option<Row<'_>> {
        self.0.row(index, column)
    }

    fn origin(&self, index: usize) -> Origin {
        self.0.origin(index)
    }

    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        Some(Arc::new(Self(self.0.resized(shape, resize)?)))
    }
}
