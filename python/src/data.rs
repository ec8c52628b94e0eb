//! Data as a folder or as arrays.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use numpy::{Element, PyArrayDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::prelude::*;
use secateur::data::{self, DataConfig, LentArray, LentValues, Row, Source};

/// Data as the package gives them: a folder or file, or named arrays that are contiguous.
#[derive(FromPyObject)]
pub enum Data {
    /// Named arrays.
    Arrays(Vec<(String, Array)>),
    /// A folder or a file.
    Path(PathBuf),
}

/// An array of one of the types that can be lent.
#[derive(FromPyObject)]
pub enum Array {
    Floats(Py<PyArrayDyn<f32>>),
    Bytes(Py<PyArrayDyn<u8>>),
    Ints(Py<PyArrayDyn<i64>>),
    Bools(Py<PyArrayDyn<bool>>),
}

impl Data {
    /// Opens them.
    ///
    /// # Errors
    /// [`data::DataError`] for data that cannot be used.
    pub fn open(self, config: &DataConfig) -> Result<Source> {
        match self {
            Self::Path(path) => Ok(data::open(&path, config)?),
            Self::Arrays(arrays) => {
                let lent = arrays.into_iter().map(|(name, array)| {
                    let shape = array.shape();
                    (name, Arc::new(Lent { array, shape }) as Arc<dyn LentArray>)
                });
                Ok(data::open_arrays(
                    "the given arrays",
                    lent.collect(),
                    config,
                )?)
            }
        }
    }
}

impl Array {
    fn shape(&self) -> Vec<usize> {
        Python::attach(|py| match self {
            Self::Floats(array) => array.bind(py).shape().to_vec(),
            Self::Bytes(array) => array.bind(py).shape().to_vec(),
            Self::Ints(array) => array.bind(py).shape().to_vec(),
            Self::Bools(array) => array.bind(py).shape().to_vec(),
        })
    }
}

/// An array that Python owns: its values are read where they lie.
struct Lent {
    array: Array,
    shape: Vec<usize>,
}

impl LentArray for Lent {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn values(&self) -> LentValues {
        match self.array {
            Array::Floats(_) => LentValues::Floats,
            Array::Bytes(_) => LentValues::Bytes,
            Array::Ints(_) => LentValues::Ints,
            Array::Bools(_) => LentValues::Bools,
        }
    }

    fn lend(&self, read: &mut dyn FnMut(Row<'_>)) {
        fn with<T: Element>(array: &Py<PyArrayDyn<T>>, read: impl FnOnce(&[T])) {
            Python::attach(|py| {
                // One that is written to from Rust, or lies in pieces, lends nothing.
                let Ok(array) = array.bind(py).try_readonly() else {
                    return;
                };
                if let Ok(values) = array.as_slice() {
                    read(values);
                }
            });
        }
        match &self.array {
            Array::Floats(array) => with(array, |values| read(Row::Floats(values))),
            Array::Bytes(array) => with(array, |values| read(Row::Bytes(values))),
            Array::Ints(array) => with(array, |values| read(Row::Ints(values))),
            Array::Bools(array) => with(array, |values| read(Row::Bools(values))),
        }
    }
}
