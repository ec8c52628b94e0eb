//! Arrays of NumPy: `.npy` files in a folder, or one `.npz` file.
//!
//! Images and labels are found by name: words for images and for labels, with or without a
//! word for the part, in either order, such as `x_train` and `y_train`, `train_images` and
//! `train_labels`, `images` and `labels`. Without such a pair the arrays are those of a network's
//! inputs, by their names (`tables`).

mod array;
mod find;
mod fitted;
mod lent;
mod store;
mod tables;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use find::{Found, Labelled, Pair, find, in_memory};
use lent::LentArrays;
pub use lent::{LentArray, LentValues};

use super::names::{class_list, numbered};
use crate::data::memory::{InMemory, Values};
use crate::data::{DataConfig, DataError, Dataset, Format, Parts, Source};

/// `x_train.npy` and so on, or one npz file.
pub(super) struct Arrays;

impl Format for Arrays {
    fn expects(&self) -> &'static str {
        "arrays such as x_train.npy and y_train.npy, or named as the network's inputs, in a folder \
         or an npz file"
    }

    fn open(&self, path: &Path, config: &DataConfig) -> Result<Option<Parts>, DataError> {
        match find(path)? {
            Some(found) => open_found(found, config),
            None => Ok(None),
        }
    }
}

/// Data from arrays in memory, found by their names as those of an npz file are; `place` says in
/// messages what they are. Each is read once: what happens to it later does not matter.
///
/// # Errors
/// As for an npz file of the same arrays.
pub fn open_arrays(
    place: &str,
    arrays: Vec<(String, Arc<dyn LentArray>)>,
    config: &DataConfig,
) -> Result<Source, DataError> {
    let place = Path::new(place);
    let found = in_memory(LentArrays::new(place, arrays))?;
    match open_found(found, config)? {
        Some(parts) => Source::new(place, parts, config),
        None => Err(DataError::Empty {
            path: place.to_path_buf(),
        }),
    }
}

fn open_found(found: Found, config: &DataConfig) -> Result<Option<Parts>, DataError> {
    match found {
        Found::Labelled(arrays) => open(&arrays, config).map(Some),
        Found::Named {
            kind,
            stores,
            has_parts,
        } => tables::open(kind, stores, has_parts, config),
    }
}

/// Reads the arrays.
///
/// # Errors
/// [`DataError`] naming the array and what is wrong with it.
fn open(arrays: &Labelled, config: &DataConfig) -> Result<Parts, DataError> {
    let listed = class_list(&arrays.folder)?;
    let read = |pair: &Pair| read(pair, config);
    let train = read(&arrays.train)?;
    let validation = arrays.validation.as_ref().map(read).transpose()?;
    let test = arrays.test.as_ref().map(read).transpose()?;
    let all = [Some(&train), validation.as_ref(), test.as_ref()];
    let largest = all.iter().flatten().flat_map(|part| &part.labels).max();
    let class_names = numbered(&arrays.folder, listed, largest.copied())?;
    for other in [&validation, &test].into_iter().flatten() {
        if other.shape != train.shape {
            return Err(DataError::unsupported(
                &other.path,
                format!("images of {:?} as in the training part", train.shape),
                format!("{:?}", other.shape),
            ));
        }
    }
    let shared = |part: Part| {
        let data = InMemory::new(part.shape, part.values, part.labels, class_names.clone());
        Arc::new(data) as Arc<dyn Dataset>
    };
    Ok(Parts {
        validation: validation.map(shared),
        test: test.map(shared),
        has_parts: arrays.has_parts,
        ..Parts::new(arrays.kind, shared(train))
    })
}

struct Part {
    path: PathBuf,
    shape: [usize; 3],
    values: Values,
    labels: Vec<u32>,
}

fn read(pair: &Pair, config: &DataConfig) -> Result<Part, DataError> {
    let images = pair.store.with(&pair.images, |array| {
        values::read_images(array, config.layout)
    })?;
    let labels = pair.store.with(&pair.labels, values::read_labels)?;
    let path = pair.store.path(&pair.images);
    if images.n != labels.len() {
        return Err(DataError::CountsDiffer {
            images: path,
            labels: pair.store.path(&pair.labels),
            n_images: images.n,
            n_labels: labels.len(),
        });
    }
    Ok(Part {
        path,
        shape: images.shape,
        values: images.values,
        labels,
    })
}
