//! Names that several formats go by: those of the parts, and of the classes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::DataError;
use crate::data::memory::numbered_classes;

/// Names that mean a part, lower case, in order of preference.
pub(super) const TRAIN: [&str; 2] = ["train", "training"];
pub(super) const TEST: [&str; 2] = ["test", "testing"];
pub(super) const VALIDATION: [&str; 3] = ["val", "valid", "validation"];

/// The largest label that is believed: labels are classes, not numbers of any size.
pub(super) const MAX_LABEL: u32 = 999_999;

/// Validation and test part: without a test part, the validation part is the one that nothing
/// is chosen by.
pub(super) fn or_test<T>(validation: Option<T>, test: Option<T>) -> (Option<T>, Option<T>) {
    match test {
        Some(test) => (validation, Some(test)),
        None => (None, validation),
    }
}

/// The lines that are not empty.
pub(super) fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.trim().to_string())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The classes named in `classes.txt`, a line each, in the order of the labels.
///
/// # Errors
/// [`DataError::Io`]; [`DataError::Format`] for a name that comes twice.
pub(super) fn class_list(folder: &Path) -> Result<Option<Vec<String>>, DataError> {
    let path = folder.join("classes.txt");
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| DataError::io(&path, error))?;
    let names = lines(&text);
    let mut sorted = names.clone();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(DataError::format(
            &path,
            "every class once",
            format!("`{}` twice", pair[0]),
        ));
    }
    if names.is_empty() {
        return Err(DataError::format(&path, "a class a line", "no line"));
    }
    Ok(Some(names))
}

/// Classes of labels that are numbers: those listed in the `classes.txt` of a folder, else numbers
/// up to the largest label.
///
/// # Errors
/// [`DataError::Unsupported`] if fewer are listed.
pub(super) fn numbered(
    folder: &Path,
    listed: Option<Vec<String>>,
    largest: Option<u32>,
) -> Result<Arc<[String]>, DataError> {
    let Some(names) = listed else {
        return Ok(numbered_classes(largest));
    };
    match largest.filter(|&largest| largest as usize >= names.len()) {
        None => Ok(names.into()),
        Some(largest) => Err(DataError::unsupported(
            &folder.join("classes.txt"),
            format!("a name for every label up to {largest}"),
            format!("{} names", names.len()),
        )),
    }
}

/// What something in a file is called, for people. Unlike `Path::join`, never a path of its own.
pub(super) fn within(file: &Path, name: &str) -> PathBuf {
    let mut place = file.as_os_str().to_owned();
    place.push("/");
    place.push(name);
    place.into()
}

/// The first few names, for people.
pub(super) fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}
