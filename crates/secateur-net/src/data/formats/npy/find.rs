//! Which arrays lie at a path, and what they are by their names.

use std::path::{Path, PathBuf};

use super::lent::LentArrays;
use super::store::Store;
use crate::data::DataError;
use crate::data::formats::names::{TEST, TRAIN, VALIDATION, or_test};

/// Words for images and for labels that go together first.
const IMAGES: [&str; 7] = ["x", "images", "image", "imgs", "data", "inputs", "arr_0"];
const LABELS: [&str; 6] = ["y", "labels", "label", "targets", "target", "arr_1"];

/// Images and labels of a part.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) store: Store,
    pub(super) images: String,
    pub(super) labels: String,
}

/// Arrays that were found.
pub(super) enum Found {
    /// Images with labels.
    Labelled(Labelled),
    /// Arrays by other names, for training, validation and test.
    Named {
        kind: &'static str,
        stores: [Option<Store>; 3],
        has_parts: bool,
    },
}

/// Images with labels that were found.
#[derive(Debug)]
pub(super) struct Labelled {
    pub(super) train: Pair,
    pub(super) validation: Option<Pair>,
    pub(super) test: Option<Pair>,
    pub(super) has_parts: bool,
    pub(super) kind: &'static str,
    /// Folder where `classes.txt` may lie.
    pub(super) folder: PathBuf,
}

/// Looks for arrays in a folder or a file; `None` if there are none at all.
///
/// # Errors
/// [`DataError::NotRecognised`] for npz files of which it is not clear what they are.
pub(super) fn find(path: &Path) -> Result<Option<Found>, DataError> {
    if path.is_file() {
        let folder = path.parent().unwrap_or(Path::new(".")).to_path_buf();
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        return match ending.as_ref() {
            "npz" => in_store(&Store::Npz(path.to_path_buf()), folder, "npz").map(Some),
            "npy" => in_store(&Store::Npy(path.to_path_buf()), folder, "npy").map(Some),
            _ => Ok(None),
        };
    }
    if !files(path, "npy").is_empty() {
        let store = Store::Folder(path.to_path_buf());
        return in_store(&store, path.to_path_buf(), "npy").map(Some);
    }
    match files(path, "npz").as_slice() {
        [] => Ok(a_folder_a_part(path)),
        [one] => in_store(&Store::Npz(one.clone()), path.to_path_buf(), "npz").map(Some),
        several => a_file_a_part(path, several).map(Some),
    }
}

/// Files of a folder by their ending, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| file.extension().is_some_and(|found| found == ending))
        .collect();
    files.sort();
    files
}

/// `train/`, `test/` and so on, each with arrays named as the network's inputs.
fn a_folder_a_part(path: &Path) -> Option<Found> {
    let part = |words: &[&str]| {
        let mut folders = words.iter().map(|word| path.join(word));
        let folder = folders.find(|folder| !files(folder, "npy").is_empty());
        folder.map(Store::Folder)
    };
    let train = part(&TRAIN)?;
    let (validation, test) = or_test(part(&VALIDATION), part(&TEST));
    Some(Found::Named {
        kind: "npy",
        stores: [Some(train), validation, test],
        has_parts: true,
    })
}

/// `train.npz`, `test.npz` and so on, each with images and labels, or with arrays named as the
/// network's inputs.
fn a_file_a_part(path: &Path, files: &[PathBuf]) -> Result<Found, DataError> {
    let store = |words: &[&str]| {
        let file = files.iter().find(|file| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            words.contains(&stem.to_lowercase().as_str())
        });
        file.map(|file| Store::Npz(file.clone()))
    };
    let Some(train) = store(&TRAIN) else {
        let names: Vec<String> = files
            .iter()
            .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
            .collect();
        return Err(DataError::NotRecognised {
            path: path.to_path_buf(),
            found: format!("expected one npz file, or train.npz and test.npz; found {names:?}"),
        });
    };
    let labelled = |store: &Store, words: &[&str]| -> Result<Option<Pair>, DataError> {
        let names = store.names()?;
        Ok(pair(store, &names, &[""]).or_else(|| pair(store, &names, words)))
    };
    let (validation, test) = or_test(store(&VALIDATION), store(&TEST));
    let Some(pair) = labelled(&train, &TRAIN)? else {
        return Ok(Found::Named {
            kind: "npz",
            stores: [Some(train), validation, test],
            has_parts: true,
        });
    };
    let other = |store: Option<Store>, words: &[&str]| -> Result<Option<Pair>, DataError> {
        let Some(store) = store else { return Ok(None) };
        match labelled(&store, words)? {
            Some(pair) => Ok(Some(pair)),
            None => Err(unpaired(&store)?),
        }
    };
    // Without a test part the validation part is the one that is called test here.
    let test_words = [&TEST[..], &VALIDATION[..]].concat();
    Ok(Found::Labelled(Labelled {
        train: pair,
        validation: other(validation, &VALIDATION)?,
        test: other(test, &test_words)?,
        has_parts: true,
        kind: "npz",
        folder: path.to_path_buf(),
    }))
}

/// What arrays of the caller's own are.
///
/// # Errors
/// None for arrays in memory, whose names are known.
pub(super) fn in_memory(arrays: LentArrays) -> Result<Found, DataError> {
    let place = arrays.place().to_path_buf();
    in_store(&Store::Memory(arrays), place, "arrays")
}

fn in_store(store: &Store, folder: PathBuf, kind: &'static str) -> Result<Found, DataError> {
    let names = store.names()?;
    let (train, has_parts) = match pair(store, &names, &TRAIN) {
        Some(train) => (train, true),
        None => match pair(store, &names, &[""]) {
            Some(all) => (all, false),
            None => {
                return Ok(Found::Named {
                    kind,
                    stores: [Some(store.clone()), None, None],
                    has_parts: false,
                });
            }
        },
    };
    let (validation, test) = or_test(pair(store, &names, &VALIDATION), pair(store, &names, &TEST));
    Ok(Found::Labelled(Labelled {
        train,
        has_parts: has_parts || test.is_some(),
        validation,
        test,
        kind,
        folder,
    }))
}

/// A part without labels beside a training part with labels.
fn unpaired(store: &Store) -> Result<DataError, DataError> {
    let names = store.names()?;
    Ok(DataError::NotRecognised {
        path: store.root().to_path_buf(),
        found: format!("expected images and labels as in the training part; found {names:?}"),
    })
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
