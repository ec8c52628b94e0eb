//! Which files of a folder are shards, and of which part.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secateur_onnx::text::counted;

use crate::data::DataError;
use crate::data::formats::encoded::is_image_ending;
use crate::data::formats::names::{TEST, TRAIN, VALIDATION};

/// Folders that are looked into, so that links cannot lead in circles.
const DEPTH: usize = 4;
/// Images after which a folder is not looked through any further: it holds those, not shards.
const IMAGES: usize = 16;

/// The shards of a set, in the order of their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::data::formats) struct Shards {
    pub(in crate::data::formats) train: Vec<PathBuf>,
    pub(in crate::data::formats) validation: Vec<PathBuf>,
    pub(in crate::data::formats) test: Vec<PathBuf>,
    /// False where names say nothing of parts: all are training files then.
    pub(in crate::data::formats) has_parts: bool,
    /// Where `classes.txt` may lie.
    pub(in crate::data::formats) folder: PathBuf,
    pub(in crate::data::formats) notes: Vec<String>,
}

/// Looks for files with an ending such as `tar`, or takes the one at `path`; `None` without any.
///
/// A file's part is the last word of its name, else of the folders above it, that means one:
/// `data/train-00000-of-00002.parquet`, `default/train/0000.parquet`, `test.tar`.
///
/// # Errors
/// [`DataError::NotRecognised`] for several sets side by side, and without training files.
pub(in crate::data::formats) fn find(
    path: &Path,
    ending: &str,
) -> Result<Option<Shards>, DataError> {
    if path.is_file() {
        return Ok(has_ending(path, ending).then(|| Shards {
            train: vec![path.to_path_buf()],
            folder: path.parent().unwrap_or(Path::new(".")).to_path_buf(),
            ..Shards::default()
        }));
    }
    let mut files = Vec::new();
    collect(path, ending, DEPTH, &mut files);
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    let placed = files.into_iter().map(|file| {
        let place = Place::of(file.strip_prefix(path).unwrap_or(&file));
        (file, place)
    });
    sorted(path, ending, placed.collect()).map(Some)
}

fn sorted(
    path: &Path,
    ending: &str,
    placed: Vec<(PathBuf, Option<Place>)>,
) -> Result<Shards, DataError> {
    let sets: BTreeSet<&Path> = placed
        .iter()
        .filter_map(|(_, place)| Some(place.as_ref()?.set.as_path()))
        .collect();
    let refused = |found: String| DataError::NotRecognised {
        path: path.to_path_buf(),
        found,
    };
    if sets.len() > 1 {
        let names: Vec<String> = sets
            .iter()
            .map(|set| format!("`{}`", set.display()))
            .collect();
        return Err(refused(format!(
            "expected one set of {ending} files, got one in each of the folders {}: name one of them",
            names.join(", ")
        )));
    }
    let mut shards = Shards {
        has_parts: !sets.is_empty(),
        folder: path.to_path_buf(),
        ..Shards::default()
    };
    let mut left_out = Vec::new();
    for (file, place) in placed {
        match place.map(|place| place.part) {
            Some(Part::Train) => shards.train.push(file),
            Some(Part::Validation) => shards.validation.push(file),
            Some(Part::Test) => shards.test.push(file),
            None if shards.has_parts => left_out.push(file),
            None => shards.train.push(file),
        }
    }
    if shards.train.is_empty() {
        return Err(refused(format!(
            "expected {ending} files of a training part, such as train-00000.{ending}; found those \
             of others alone"
        )));
    }
    if let Some(first) = left_out.first() {
        shards.notes.push(format!(
            "{} left out: their names say of no part, as others' do (`{}`)",
            counted(left_out.len(), &format!("{ending} file")),
            first.display()
        ));
    }
    Ok(shards)
}

/// Enters the files below `dir`; what cannot be read is left out, since it may be of no concern.
fn collect(dir: &Path, ending: &str, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    let before = files.len();
    let mut n_images = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        // The kind in the listing costs nothing; of links it is that of the link.
        let is_plain = entry.file_type().is_ok_and(|kind| kind.is_file());
        if has_ending(&path, ending) && (is_plain || path.is_file()) {
            files.push(path);
        } else if !is_plain && depth > 1 && path.is_dir() {
            collect(&path, ending, depth - 1, files);
        } else if has_ending_of_image(&path) {
            n_images += 1;
            if n_images >= IMAGES && files.len() == before {
                return;
            }
        }
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

fn has_ending_of_image(path: &Path) -> bool {
    path.extension()
        .is_some_and(|found| is_image_ending(&found.to_string_lossy()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Validation,
    Test,
}

/// What a name says.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    part: Part,
    /// Folders above the word that means the part: those of one set are the same.
    set: PathBuf,
}

impl Place {
    /// Of a path from the set's folder on.
    fn of(path: &Path) -> Option<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if let Some(part) = part(&stem) {
            let set = folder.to_path_buf();
            return Some(Self { part, set });
        }
        folder.ancestors().find_map(|folder| {
            let part = part(&folder.file_name()?.to_string_lossy())?;
            let set = folder.parent()?.to_path_buf();
            Some(Self { part, set })
        })
    }
}

/// The last word of a name that means a part.
fn part(name: &str) -> Option<Part> {
    let name = name.to_lowercase();
    let words = name.rsplit(|letter: char| !letter.is_ascii_alphanumeric());
    words.into_iter().find_map(|word| match word {
        word if TRAIN.contains(&word) => Some(Part::Train),
        word if TEST.contains(&word) => Some(Part::Test),
        word if VALIDATION.contains(&word) => Some(Part::Validation),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(names: &[&str]) -> Result<Shards, DataError> {
        let placed = names
            .iter()
            .map(|name| (PathBuf::from(name), Place::of(Path::new(name))));
        sorted(Path::new("set"), "parquet", placed.collect())
    }

    #[test]
    fn names_say_which_part() {
        let check = |names: &[&str], expected: [usize; 3], has_parts| {
            let found = placed(names).unwrap();
            let counts = [&found.train, &found.validation, &found.test].map(Vec::len);
            assert_eq!(
                (counts, found.has_parts),
                (expected, has_parts),
                "{names:?}"
            );
        };
        check(&["a.parquet", "b/c.parquet"], [2, 0, 0], false);
        check(
            &["train-0-of-2.parquet", "test-0-of-1.parquet"],
            [1, 0, 1],
            true,
        );
        check(
            &["data/train-0.parquet", "data/validation-0.parquet"],
            [1, 1, 0],
            true,
        );
        check(
            &["default/train/0.parquet", "default/test/0.parquet"],
            [1, 0, 1],
            true,
        );
        check(&["train/x/0.parquet", "train/y/0.parquet"], [2, 0, 0], true);
        check(
            &["imagenet1k-train-00.parquet", "imagenet1k-val-00.parquet"],
            [1, 1, 0],
            true,
        );
        check(&["train.parquet", "extra.parquet"], [1, 0, 0], true);
        check(&["test-of-training.parquet"], [1, 0, 0], true);
    }

    #[test]
    fn sets_side_by_side_are_not_mixed() {
        let error = placed(&["a/train-0.parquet", "b/train-0.parquet"]).unwrap_err();
        assert!(error.to_string().contains("`a`, `b`: name one"), "{error}");
        let error = placed(&["test-0.parquet"]).unwrap_err();
        assert!(error.to_string().contains("training part"), "{error}");
    }
}
