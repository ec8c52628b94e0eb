//! Arrays of NumPy: `.npy` files in a folder, or one `.npz` file.
//!
//! Images and labels are found by name: words for images and for labels, with or without a
//! word for the part, in either order, such as `x_train` and `y_train`, `train_images` and
//! `train_labels`, `images` and `labels`.

mod array;
mod store;
mod values;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::Store;

use super::names::{TEST, TRAIN, VALIDATION, class_list, or_test};
use crate::data::memory::{InMemory, Values, numbered_classes};
use crate::data::{DataConfig, DataError, Dataset, Format, Parts};

/// Words for images and for labels that go together first.
const IMAGES: [&str; 7] = ["x", "images", "image", "imgs", "data", "inputs", "arr_0"];
const LABELS: [&str; 6] = ["y", "labels", "label", "targets", "target", "arr_1"];

/// `x_train.npy` and so on, or one npz file.
pub(super) struct Arrays;

impl Format for Arrays {
    fn expects(&self) -> &'static str {
        "arrays such as x_train.npy and y_train.npy in a folder or an npz file"
    }

    fn open(&self, path: &Path, config: &DataConfig) -> Result<Option<Parts>, DataError> {
        let found = find(path)?;
        found.map(|arrays| open(&arrays, config)).transpose()
    }
}

/// Images and labels of a part.
#[derive(Debug)]
struct Pair {
    store: Store,
    images: String,
    labels: String,
}

/// Arrays that were found.
#[derive(Debug)]
struct Found {
    train: Pair,
    validation: Option<Pair>,
    test: Option<Pair>,
    has_parts: bool,
    kind: &'static str,
    /// Folder where `classes.txt` may lie.
    folder: PathBuf,
}

/// Looks for arrays in a folder or an `.npz` file; `None` if there are none at all.
///
/// # Errors
/// [`DataError::NotRecognised`] if there are arrays, but no pair of images and labels among
/// them.
fn find(path: &Path) -> Result<Option<Found>, DataError> {
    if path.is_file() {
        if path.extension().is_none_or(|ending| ending != "npz") {
            return Ok(None);
        }
        let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        return in_store(&Store::Npz(path.to_path_buf()), path, folder, "npz").map(Some);
    }
    let files = |ending: &str| -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(path) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|found| found == ending))
            .collect();
        files.sort();
        files
    };
    if !files("npy").is_empty() {
        let store = Store::Folder(path.to_path_buf());
        return in_store(&store, path, path.to_path_buf(), "npy").map(Some);
    }
    match files("npz").as_slice() {
        [] => Ok(None),
        [one] => in_store(&Store::Npz(one.clone()), one, path.to_path_buf(), "npz").map(Some),
        several => a_file_a_part(path, several).map(Some),
    }
}

/// `train.npz`, `test.npz` and so on, each with images and labels.
fn a_file_a_part(path: &Path, files: &[PathBuf]) -> Result<Found, DataError> {
    let part = |words: &[&str]| -> Result<Option<Pair>, DataError> {
        let file = files.iter().find(|file| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            words.contains(&stem.to_lowercase().as_str())
        });
        let Some(file) = file else { return Ok(None) };
        let store = Store::Npz(file.clone());
        let names = store.names()?;
        match pair(&store, &names, &[""]).or_else(|| pair(&store, &names, words)) {
            Some(pair) => Ok(Some(pair)),
            None => Err(not_recognised(file, &names)),
        }
    };
    let Some(train) = part(&TRAIN)? else {
        let names: Vec<String> = files
            .iter()
            .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
            .collect();
        return Err(DataError::NotRecognised {
            path: path.to_path_buf(),
            found: format!("expected one npz file, or train.npz and test.npz; found {names:?}"),
        });
    };
    let (validation, test) = or_test(part(&VALIDATION)?, part(&TEST)?);
    Ok(Found {
        train,
        validation,
        test,
        has_parts: true,
        kind: "npz",
        folder: path.to_path_buf(),
    })
}

fn in_store(
    store: &Store,
    path: &Path,
    folder: PathBuf,
    kind: &'static str,
) -> Result<Found, DataError> {
    let names = store.names()?;
    let (train, has_parts) = match pair(store, &names, &TRAIN) {
        Some(train) => (train, true),
        None => match pair(store, &names, &[""]) {
            Some(all) => (all, false),
            None => return Err(not_recognised(path, &names)),
        },
    };
    let (validation, test) = or_test(pair(store, &names, &VALIDATION), pair(store, &names, &TEST));
    Ok(Found {
        train,
        has_parts: has_parts || test.is_some(),
        validation,
        test,
        kind,
        folder,
    })
}

fn not_recognised(path: &Path, names: &[String]) -> DataError {
    DataError::NotRecognised {
        path: path.to_path_buf(),
        found: format!(
            "expected arrays named as x_train and y_train, or images and labels; found {names:?}"
        ),
    }
}

/// The arrays of images and labels of a part that is called by one of `parts`; the empty
/// word stands for names without a part.
fn pair(store: &Store, names: &[String], parts: &[&str]) -> Option<Pair> {
    let find = |words: &[&str]| {
        parts.iter().find_map(|part| {
            words.iter().find_map(|word| {
                let spellings = if part.is_empty() {
                    [(*word).to_string(), (*word).to_string()]
                } else {
                    [format!("{word}_{part}"), format!("{part}_{word}")]
                };
                names.iter().find(|name| {
                    let plain = name.to_lowercase().replace(['-', '.', ' '], "_");
                    spellings.contains(&plain)
                })
            })
        })
    };
    Some(Pair {
        store: store.clone(),
        images: find(&IMAGES)?.clone(),
        labels: find(&LABELS)?.clone(),
    })
}

/// Reads the arrays.
///
/// # Errors
/// [`DataError`] naming the array and what is wrong with it.
fn open(arrays: &Found, config: &DataConfig) -> Result<Parts, DataError> {
    let listed = class_list(&arrays.folder)?;
    let read = |pair: &Pair| read(pair, config);
    let train = read(&arrays.train)?;
    let validation = arrays.validation.as_ref().map(read).transpose()?;
    let test = arrays.test.as_ref().map(read).transpose()?;
    let all = [Some(&train), validation.as_ref(), test.as_ref()];
    let largest = all.iter().flatten().flat_map(|part| &part.labels).max();
    let class_names: Arc<[String]> = match listed {
        None => numbered_classes(largest.copied()),
        Some(names) => {
            if let Some(&largest) = largest.filter(|&&label| label as usize >= names.len()) {
                return Err(DataError::unsupported(
                    &arrays.folder.join("classes.txt"),
                    format!("a name for every label up to {largest}"),
                    format!("{} names", names.len()),
                ));
            }
            names.into()
        }
    };
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
