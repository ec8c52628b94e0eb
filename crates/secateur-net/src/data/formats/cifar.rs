//! The binary version of CIFAR-10 and CIFAR-100.
//!
//! Format: records of one label byte (CIFAR-100: a coarse and a fine one, the fine one
//! counts), then the red, the green and the blue plane of 32x32 bytes.
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::names::{class_list, lines};
use crate::data::memory::{InMemory, Values};
use crate::data::{DataConfig, DataError, Dataset, Format, Parts};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PLANE: usize = SIDE * SIDE;

/// `data_batch_1.bin` and so on.
pub(super) struct CifarBinary;

impl Format for CifarBinary {
    fn expects(&self) -> &'static str {
        "data_batch_1.bin (CIFAR-10) or train.bin (CIFAR-100)"
    }

    fn open(&self, path: &Path, _: &DataConfig) -> Result<Option<Parts>, DataError> {
        let Some(files) = find(path) else {
            return Ok(None);
        };
        let train = files.read(&files.train)?;
        let test = files.test.as_slice();
        Ok(Some(Parts {
            test: match test {
                [] => None,
                test => Some(files.read(test)?),
            },
            has_parts: true,
            ..Parts::new(files.kind, train)
        }))
    }
}

/// Which of the two sets, and where.
struct Files {
    /// For people.
    kind: &'static str,
    /// Training files, in order.
    train: Vec<PathBuf>,
    /// Test file, where there is one.
    test: Option<PathBuf>,
    class_file: PathBuf,
    classes: usize,
    label_bytes: usize,
}

/// Looks for the files by their usual names.
///
/// A folder with `data_batch_1.bin` counts as CIFAR-10 even if later batches are missing:
/// reading then says which.
fn find(dir: &Path) -> Option<Files> {
    let existing = |name: &str| Some(dir.join(name)).filter(|path| path.is_file());
    if existing("data_batch_1.bin").is_some() {
        return Some(Files {
            kind: "CIFAR-10 binary",
            train: (1..=5)
                .map(|batch| dir.join(format!("data_batch_{batch}.bin")))
                .collect(),
            test: existing("test_batch.bin"),
            class_file: dir.join("batches.meta.txt"),
            classes: 10,
            label_bytes: 1,
        });
    }
    let train = existing("train.bin")?;
    Some(Files {
        kind: "CIFAR-100 binary",
        train: vec![train],
        test: existing("test.bin"),
        class_file: dir.join("fine_label_names.txt"),
        classes: 100,
        label_bytes: 2,
    })
}

impl Files {
    /// Reads the records of some files, one after the other.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Format`], [`DataError::Empty`].
    fn read(&self, files: &[PathBuf]) -> Result<Arc<dyn Dataset>, DataError> {
        let record = self.label_bytes + CHANNELS * PLANE;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for path in files {
            let bytes = std::fs::read(path).map_err(|error| DataError::io(path, error))?;
            let (records, rest) = (bytes.chunks_exact(record), bytes.len() % record);
            if bytes.is_empty() {
                return Err(DataError::Empty { path: path.clone() });
            }
            if rest != 0 {
                return Err(DataError::format(
                    path,
                    format!("whole records of {record} bytes"),
                    format!("{} of them and {rest} bytes more", bytes.len() / record),
                ));
            }
            pixels.reserve(records.len() * CHANNELS * PLANE);
            for (index, bytes) in records.enumerate() {
                let label = bytes[self.label_bytes - 1];
                if usize::from(label) >= self.classes {
                    return Err(DataError::format(
                        path,
                        format!("labels from 0 to {}", self.classes - 1),
                        format!("{label} in record {index}"),
                    ));
                }
                labels.push(u32::from(label));
                let planes = &bytes[self.label_bytes..];
                for pixel in 0..PLANE {
                    pixels.extend((0..CHANNELS).map(|channel| planes[channel * PLANE + pixel]));
                }
            }
        }
        let shape = [SIDE, SIDE, CHANNELS];
        let names = self.class_names()?;
        let data = InMemory::new(shape, Values::Bytes(pixels), labels, names);
        Ok(Arc::new(data))
    }

    /// From `classes.txt`, else from the file of names that comes with the data, else numbers.
    fn class_names(&self) -> Result<Arc<[String]>, DataError> {
        let dir = self.class_file.parent().unwrap_or(Path::new("."));
        if let Some(names) = class_list(dir)? {
            if names.len() == self.classes {
                return Ok(names.into());
            }
            return Err(DataError::unsupported(
                &dir.join("classes.txt"),
                format!("{} classes", self.classes),
                names.len().to_string(),
            ));
        }
        let names = lines(&std::fs::read_to_string(&self.class_file).unwrap_or_default());
        if names.len() == self.classes {
            return Ok(names.into());
        }
        Ok((0..self.classes).map(|class| class.to_string()).collect())
    }
}
