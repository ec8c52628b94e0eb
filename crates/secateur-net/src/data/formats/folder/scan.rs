//! Which images a folder holds, and of which class.

use secateur_onnx::text::counted;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::data::formats::encoded::is_image_ending;
use crate::data::formats::names::{TEST, TRAIN, VALIDATION, or_test, shortened};
use crate::data::{DataError, Labels};

/// Folders below a class folder that are looked into, so that links cannot lead in circles.
const DEPTH: usize = 4;

/// Where the parts of a folder are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartFolders {
    pub(super) train: PathBuf,
    pub(super) validation: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
    /// False where the images or class folders lie in the folder itself.
    pub(super) has_parts: bool,
    /// True if sub-folders are classes.
    pub(super) is_labelled: bool,
}

/// Looks for folders of images; `None` if there are none.
///
/// Sub-folders with images are classes, unless labels are not wanted; images that lie in the
/// folder itself have none.
pub(super) fn find(root: &Path, labels: Labels) -> Option<PartFolders> {
    let sub = |names: &[&str]| -> Option<PathBuf> {
        names
            .iter()
            .map(|name| root.join(name))
            .find(|path| path.is_dir())
    };
    let kind = |dir: &Path| match labels {
        Labels::Auto => kind(dir),
        Labels::None => Scan::unlabelled(dir).ok().map(|_| Kind::Plain),
    };
    if let Some(train) = sub(&TRAIN) {
        let (validation, test) = or_test(sub(&VALIDATION), sub(&TEST));
        return Some(PartFolders {
            is_labelled: kind(&train) != Some(Kind::Plain),
            train,
            validation,
            test,
            has_parts: true,
        });
    }
    kind(root).map(|kind| PartFolders {
        train: root.to_path_buf(),
        validation: None,
        test: None,
        has_parts: false,
        is_labelled: kind == Kind::Classes,
    })
}

/// What a folder of images is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Its sub-folders are classes.
    Classes,
    /// Images lie in it, and none in sub-folders.
    Plain,
}

fn kind(dir: &Path) -> Option<Kind> {
    let holds_images = |dir: &PathBuf| {
        let mut scan = Scan::default();
        scan.collect(dir, 0, DEPTH).is_ok() && !scan.files.is_empty()
    };
    if folders(dir).ok()?.iter().any(holds_images) {
        return Some(Kind::Classes);
    }
    (loose_images(dir) > 0).then_some(Kind::Plain)
}

/// Images that lie in a folder itself.
fn loose_images(dir: &Path) -> usize {
    let mut scan = Scan::default();
    match scan.collect(dir, 0, 1) {
        Ok(()) => scan.files.len(),
        Err(_) => 0,
    }
}

/// Images of one part.
#[derive(Debug, Default)]
pub(super) struct Scan {
    dir: PathBuf,
    pub(super) files: Vec<(PathBuf, u32)>,
    pub(super) class_names: Vec<String>,
    /// Files that are no images by their ending, and one of them.
    ignored: (usize, Option<PathBuf>),
    /// Classes of the list without a folder.
    missing: Vec<String>,
    /// Images beside the class folders.
    loose: usize,
    /// Folders that were looked into, where they may lie at any depth.
    visited: Option<HashSet<PathBuf>>,
}

impl Scan {
    /// Lists the images below the class folders of `dir`. `known` are the classes there may
    /// be, in order; without them every folder is a class, in alphabetical order.
    pub(super) fn new(dir: &Path, known: Option<&[String]>) -> Result<Self, DataError> {
        let found = folders(dir).map_err(|error| DataError::io(dir, error))?;
        let name = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let class_names: Vec<String> = match known {
            Some(known) => known.to_vec(),
            None => found.iter().map(|path| name(path)).collect(),
        };
        let mut scan = Self {
            dir: dir.to_path_buf(),
            class_names,
            loose: loose_images(dir),
            ..Self::default()
        };
        let mut seen = vec![false; scan.class_names.len()];
        for path in &found {
            let class = name(path);
            let Some(label) = scan.class_names.iter().position(|known| *known == class) else {
                return Err(DataError::UnknownClass {
                    path: dir.to_path_buf(),
                    class,
                    known: shortened(&scan.class_names),
                });
            };
            let before = scan.files.len();
            let index = u32::try_from(label).unwrap_or(u32::MAX);
            scan.collect(path, index, DEPTH)
                .map_err(|error| DataError::io(path, error))?;
            if scan.files.len() == before {
                return Err(DataError::Empty { path: path.clone() });
            }
            seen[label] = true;
        }
        if scan.files.is_empty() && scan.loose > 0 {
            return Err(DataError::unsupported(
                dir,
                "class folders, as in the training part",
                format!(
                    "{} that lie in the folder itself",
                    counted(scan.loose, "image")
                ),
            ));
        }
        if scan.files.is_empty() {
            return Err(DataError::Empty {
                path: dir.to_path_buf(),
            });
        }
        scan.missing = scan
            .class_names
            .iter()
            .zip(&seen)
            .filter(|(_, seen)| !**seen)
            .map(|(name, _)| name.clone())
            .collect();
        Ok(scan)
    }

    /// Lists the images below `dir`, at any depth. Those below one of its sub-folders get a label
    /// of their own, which says nothing but that they lie together.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Empty`] without images.
    pub(super) fn unlabelled(dir: &Path) -> Result<Self, DataError> {
        let mut scan = Self {
            dir: dir.to_path_buf(),
            visited: Some(HashSet::new()),
            ..Self::default()
        };
        scan.is_new(dir);
        let io = |error| DataError::io(dir, error);
        let found = folders(dir).map_err(io)?;
        for (place, path) in (0..).zip(&found) {
            if scan.is_new(path) {
                let inner = scan.collect(path, place, usize::MAX);
                inner.map_err(|error| DataError::io(path, error))?;
            }
        }
        let last = u32::try_from(found.len()).unwrap_or(u32::MAX);
        scan.collect(dir, last, 1).map_err(io)?;
        if scan.files.is_empty() {
            return Err(DataError::Empty {
                path: dir.to_path_buf(),
            });
        }
        Ok(scan)
    }

    /// False for a folder that was looked into before, by another name: links may lead in circles.
    fn is_new(&mut self, dir: &Path) -> bool {
        match (&mut self.visited, dir.canonicalize()) {
            (Some(visited), Ok(dir)) => visited.insert(dir),
            _ => true,
        }
    }

    fn collect(&mut self, dir: &Path, label: u32, depth: usize) -> std::io::Result<()> {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(dir)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        for path in entries.into_iter().filter(|path| !is_hidden(path)) {
            if path.is_dir() {
                if depth > 1 && self.is_new(&path) {
                    self.collect(&path, label, depth - 1)?;
                }
            } else if has_image_ending(&path) {
                self.files.push((path, label));
            } else {
                self.ignored.0 += 1;
                self.ignored.1.get_or_insert(path);
            }
        }
        Ok(())
    }

    /// What the user should know of this part.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let (n, Some(first)) = &self.ignored {
            notes.push(format!(
                "{} in `{}` left out: only jpg, jpeg, png and webp are read (`{}`)",
                counted(*n, "file"),
                self.dir.display(),
                first.display()
            ));
        }
        if self.loose > 0 {
            notes.push(format!(
                "{} left out that lie beside the class folders of `{}`: `labels` none takes all, \
                 without classes",
                counted(self.loose, "image"),
                self.dir.display()
            ));
        }
        if !self.missing.is_empty() {
            notes.push(format!(
                "{} of {} without images in `{}`: {}",
                self.missing.len(),
                counted(self.class_names.len(), "class"),
                self.dir.display(),
                shortened(&self.missing)
            ));
        }
        notes
    }
}

/// Sub-folders by name, hidden ones left out.
fn folders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut result: Vec<PathBuf> = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    result.retain(|path| path.is_dir() && !is_hidden(path));
    result.sort();
    Ok(result)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn has_image_ending(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| is_image_ending(&ending.to_string_lossy()))
}
