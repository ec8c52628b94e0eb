//! Folders of images, with or without classes, decoded on demand.

mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use scan::{PartFolders, Scan};

use super::encoded::{Encoded, EncodedParts, Unsized};
use super::names::class_list;
use crate::data::{Cause, DataConfig, DataError, Format, Parts};

/// `train/<class>/<image>` and so on, `<class>/<image>`, or images without classes.
pub(super) struct ImageFolders;

impl Format for ImageFolders {
    fn expects(&self) -> &'static str {
        "train/<class>/<image>, <class>/<image> or images"
    }

    fn open(&self, path: &Path, config: &DataConfig) -> Result<Option<Parts>, DataError> {
        let folders = scan::find(path, config.labels);
        folders
            .map(|folders| open(path, &folders, config.image_size))
            .transpose()
    }
}

/// A file an image.
struct Files(Vec<PathBuf>);

impl Encoded for Files {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self, index: usize) -> Result<Bytes, Cause> {
        Ok(std::fs::read(&self.0[index])?.into())
    }

    fn place(&self, index: usize) -> PathBuf {
        self.0[index].clone()
    }

    fn is_file(&self) -> bool {
        true
    }
}

/// Lists the images of the parts, at a size that fits all.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Empty`] for folders without images,
/// [`DataError::UnknownClass`], [`DataError::Image`] if no file of those looked at is an image.
fn open(root: &Path, folders: &PartFolders, size: Option<[usize; 2]>) -> Result<Parts, DataError> {
    let (train, class_names) = match folders.is_labelled {
        true => {
            let listed = class_list(root)?;
            let train = Scan::new(&folders.train, listed.as_deref())?;
            let names: Arc<[String]> = train.class_names.clone().into();
            (train, Some(names))
        }
        false => (Scan::unlabelled(&folders.train)?, None),
    };
    let part = |dir: &Option<PathBuf>| -> Result<Option<Scan>, DataError> {
        let scan = dir.as_ref().map(|dir| match &class_names {
            Some(names) => Scan::new(dir, Some(names)),
            None => Scan::unlabelled(dir),
        });
        scan.transpose()
    };
    let (validation, test) = (part(&folders.validation)?, part(&folders.test)?);
    let scans = [Some(&train), validation.as_ref(), test.as_ref()];
    let notes = scans.into_iter().flatten().flat_map(Scan::notes).collect();
    let images = |scan: Scan| {
        let (files, labels) = scan.files.into_iter().unzip();
        Unsized {
            images: Arc::new(Files(files)),
            labels,
        }
    };
    let parts = EncodedParts {
        kind: "image folder",
        train: images(train),
        validation: validation.map(images),
        test: test.map(images),
        class_names,
        has_parts: folders.has_parts,
        notes,
    };
    parts.sized(size)
}
