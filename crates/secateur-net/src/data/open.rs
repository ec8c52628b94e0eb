//! Recognising what a data folder holds.

use std::path::Path;
use std::sync::Arc;

use super::{DataError, Dataset, IdxDataset};

/// Training data, and test data where there are some.
#[derive(Clone)]
pub struct Source {
    /// Training part, validation not yet taken out.
    pub train: Arc<dyn Dataset>,
    /// Test part.
    pub test: Option<Arc<dyn Dataset>>,
    /// Format, for people.
    pub kind: &'static str,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("kind", &self.kind)
            .field("train", &self.train.len())
            .finish()
    }
}

/// Opens a data folder.
///
/// # Errors
/// [`DataError::Io`] if it is no folder, [`DataError::NotRecognised`] if nothing in it is
/// recognised, and whatever the format's reader finds.
pub fn open(dir: &Path) -> Result<Source, DataError> {
    let entries = fs_err::read_dir(dir).map_err(|error| DataError::Io {
        path: dir.to_path_buf(),
        reason: match error.kind() {
            std::io::ErrorKind::NotFound => "no such folder".to_string(),
            kind => std::io::Error::from(kind).to_string(),
        },
    })?;
    let Some((images, labels)) = IdxDataset::find(dir, "train") else {
        let mut names: Vec<String> = entries
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names.truncate(5);
        let there = if names.is_empty() {
            "it is empty".to_string()
        } else {
            format!("found {names:?}")
        };
        return Err(DataError::NotRecognised {
            path: dir.to_path_buf(),
            found: format!(
                "expected train-images-idx3-ubyte and train-labels-idx1-ubyte (also .gz); {there}"
            ),
        });
    };
    let train = Arc::new(IdxDataset::read(&images, &labels)?);
    let test = match IdxDataset::find(dir, "t10k").or_else(|| IdxDataset::find(dir, "test")) {
        Some((images, labels)) => {
            Some(Arc::new(IdxDataset::read(&images, &labels)?) as Arc<dyn Dataset>)
        }
        None => None,
    };
    Ok(Source {
        train,
        test,
        kind: "IDX",
    })
}
