//! The binary version of CIFAR-10 and CIFAR-100.
//!
//! Format: records of one label byte (CIFAR-100: a coarse and a fine one, the fine one
//! counts), then the red, the green and the blue plane of 32x32 bytes.
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::memory::{InMemory, Values};
use super::{DataError, folder};

const SIDE: usize = 32;
const CHANNELS: usize = 3;
const PLANE: usize = SIDE * SIDE;

/// Which of the two sets, and where.
#[derive(Debug)]
pub(super) struct Files {
    /// For people.
    pub(super) kind: &'static str,
    /// Training files, in order.
    pub(super) train: Vec<PathBuf>,
    /// Test file, where there is one.
    pub(super) test: Option<PathBuf>,
    class_file: PathBuf,
    classes: usize,
    label_bytes: usize,
}

/// Looks for the files by their usual names.
///
/// A folder with `data_batch_1.bin` counts as CIFAR-10 even if later batches are missing:
/// reading then says which.
pub(super) fn find(dir: &Path) -> Option<Files> {
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
    /// Reads the training part.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Format`], [`DataError::Empty`].
    pub(super) fn read_train(&self) -> Result<InMemory, DataError> {
        self.read(&self.train)
    }

    /// Reads the test part, if there is one.
    ///
    /// # Errors
    /// As [`Files::read_train`].
    pub(super) fn read_test(&self) -> Option<Result<InMemory, DataError>> {
        let file = self.test.as_ref()?;
        Some(self.read(std::slice::from_ref(file)))
    }

    fn read(&self, files: &[PathBuf]) -> Result<InMemory, DataError> {
        let record = self.label_bytes + CHANNELS * PLANE;
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for path in files {
            let bytes = fs_err::read(path).map_err(|error| DataError::io(path, &error))?;
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
        Ok(InMemory::new(shape, Values::Bytes(pixels), labels, names))
    }

    /// From `classes.txt`, else from the file of names that comes with the data, else numbers.
    fn class_names(&self) -> Result<Arc<[String]>, DataError> {
        let dir = self.class_file.parent().unwrap_or(Path::new("."));
        if let Some(names) = folder::class_list(dir)? {
            if names.len() == self.classes {
                return Ok(names.into());
            }
            return Err(DataError::unsupported(
                &dir.join("classes.txt"),
                format!("{} classes", self.classes),
                names.len().to_string(),
            ));
        }
        let names: Vec<String> = fs_err::read_to_string(&self.class_file)
            .unwrap_or_default()
            .lines()
            .map(|line| line.trim().to_string())
            .filter(|line| !line.is_empty())
            .collect();
        if names.len() == self.classes {
            return Ok(names.into());
        }
        Ok((0..self.classes).map(|class| class.to_string()).collect())
    }
}
