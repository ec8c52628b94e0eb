//! Recognising what a data folder holds.

use std::path::Path;
use std::sync::Arc;

use super::source::Parts;
use super::{DataConfig, DataError, Dataset, Source, cifar, folder, idx, npy};

/// Opens data: a folder in one of the layouts of docs/data.md.
///
/// # Errors
/// [`DataError::Io`] if there is no such folder, [`DataError::NotRecognised`] if nothing in
/// it is recognised, and whatever the format's reader finds.
pub fn open(path: &Path, config: &DataConfig) -> Result<Source, DataError> {
    if path.is_file() {
        let is_npz = path.extension().is_some_and(|ending| ending == "npz");
        return match npy::find(path) {
            Ok(Some(arrays)) if is_npz => Source::new(path, npy::open(&arrays, config)?, config),
            Err(error) if is_npz => Err(error),
            _ => Err(DataError::NotRecognised {
                path: path.to_path_buf(),
                found: "expected a folder or an npz file".to_string(),
            }),
        };
    }
    // Says plainly if it is not there.
    let entries = std::fs::read_dir(path).map_err(|error| DataError::Io {
        path: path.to_path_buf(),
        reason: match error.kind() {
            std::io::ErrorKind::NotFound => "no such folder".to_string(),
            kind => std::io::Error::from(kind).to_string(),
        },
    })?;
    let parts = if let Some((images, labels)) = idx::find(path, "train")? {
        let test = match idx::find(path, "t10k")? {
            None => idx::find(path, "test")?,
            found => found,
        };
        Parts {
            kind: "IDX",
            train: Arc::new(idx::read(&images, &labels)?),
            validation: None,
            test: match test {
                Some((images, labels)) => Some(Arc::new(idx::read(&images, &labels)?)),
                None => None,
            },
            has_parts: true,
            sizes_differ: None,
            notes: Vec::new(),
        }
    } else if let Some(files) = cifar::find(path) {
        Parts {
            kind: files.kind,
            train: Arc::new(files.read_train()?),
            validation: None,
            test: match files.read_test() {
                Some(test) => Some(Arc::new(test?)),
                None => None,
            },
            has_parts: true,
            sizes_differ: None,
            notes: Vec::new(),
        }
    } else if let Some(arrays) = npy::find(path)? {
        npy::open(&arrays, config)?
    } else if let Some(layout) = folder::find(path) {
        let opened = folder::open(path, &layout, config.image_size)?;
        let shared = |part: folder::ImageFolder| Arc::new(part) as Arc<dyn Dataset>;
        Parts {
            kind: "image folder",
            train: shared(opened.train),
            validation: opened.validation.map(shared),
            test: opened.test.map(shared),
            has_parts: layout.has_parts,
            sizes_differ: opened.sizes_differ,
            notes: opened.notes,
        }
    } else {
        return Err(DataError::NotRecognised {
            path: path.to_path_buf(),
            found: format!(
                "expected train/<class>/<image>, <class>/<image>, arrays such as x_train.npy and \
                 y_train.npy or one npz file, data_batch_1.bin (CIFAR-10), train.bin \
                 (CIFAR-100), or train-images-idx3-ubyte and train-labels-idx1-ubyte (also \
                 .gz); {}",
                listing(entries)
            ),
        });
    };
    Source::new(path, parts, config)
}

/// The first few names of a folder.
fn listing(entries: std::fs::ReadDir) -> String {
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names.truncate(5);
    if names.is_empty() {
        "it is empty".to_string()
    } else {
        format!("found {names:?}")
    }
}
