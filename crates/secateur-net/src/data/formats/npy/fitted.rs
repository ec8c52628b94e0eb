//! Arrays that were read for the inputs of a network.

use std::path::PathBuf;
use std::sync::Arc;

use crate::data::arrays::{ArrayValues, Column, Row};
use crate::data::{DataError, Dataset, Pixels};

/// The values of one input.
pub(super) struct Filled {
    pub(super) column: Column,
    pub(super) values: Arc<ArrayValues>,
    /// True if they are one sample's, which serves all.
    pub(super) is_shared: bool,
}

/// The arrays of a network's inputs.
pub(super) struct Fitted {
    n: usize,
    path: PathBuf,
    columns: Vec<Column>,
    values: Vec<(Arc<ArrayValues>, bool)>,
}

impl Fitted {
    /// Of `n` samples; `path` says in messages where they are.
    pub(super) fn new(n: usize, path: PathBuf, filled: Vec<Filled>) -> Self {
        let (columns, values) = filled
            .into_iter()
            .map(|one| (one.column, (one.values, one.is_shared)))
            .unzip();
        Self {
            n,
            path,
            columns,
            values,
        }
    }

    /// Where they are, for people.
    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// What a [`Dataset`] of arrays says of images and labels: it has none. For types with a `path()`.
macro_rules! no_images {
    () => {
        fn is_images(&self) -> bool {
            false
        }

        fn image_shape(&self) -> [usize; 3] {
            [0; 3]
        }

        fn is_labelled(&self) -> bool {
            false
        }

        fn class_names(&self) -> &[String] {
            &[]
        }

        fn label(&self, _: usize) -> usize {
            0
        }

        fn image(&self, _: usize) -> Result<Pixels<'_>, DataError> {
            let held = "arrays for the inputs of a network";
            Err(DataError::unsupported(&self.path(), "images", held))
        }
    };
}
pub(super) use no_images;

impl Dataset for Fitted {
    fn len(&self) -> usize {
        self.n
    }

    no_images!();

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn row(&self, index: usize, column: usize) -> Option<Row<'_>> {
        let len = self.columns.get(column)?.n_values();
        let (values, is_shared) = &self.values[column];
        let start = if *is_shared { 0 } else { index * len };
        Some(values.row(start..start + len))
    }
}
