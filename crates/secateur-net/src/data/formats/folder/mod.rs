//! Folders of images, with or without classes, decoded on demand.

mod codec;
mod decode;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use scan::{PartFolders, Scan};

use super::names::class_list;
use crate::data::{DataConfig, DataError, Dataset, Format, Origin, Parts, Pixels, Resize};

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

/// One part of a folder of images.
struct ImageFolder {
    files: Arc<[(PathBuf, u32)]>,
    /// `None` where folders are no classes.
    class_names: Option<Arc<[String]>>,
    shape: [usize; 3],
    resize: Resize,
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn is_labelled(&self) -> bool {
        self.class_names.is_some()
    }

    fn class_names(&self) -> &[String] {
        self.class_names.as_deref().unwrap_or_default()
    }

    fn label(&self, index: usize) -> usize {
        self.files[index].1 as usize
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let pixels = decode::decode(&self.files[index].0, self.shape, self.resize)?;
        Ok(Pixels::Bytes(pixels.into()))
    }

    fn origin(&self, index: usize) -> Origin {
        Origin {
            file: Some(self.files[index].0.clone()),
            number: index,
        }
    }

    fn is_in_memory(&self) -> bool {
        false
    }

    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        // The decoder gives grey (1 channel) or colour (3), nothing else.
        matches!(shape[2], 1 | 3).then(|| {
            Arc::new(Self {
                files: self.files.clone(),
                class_names: self.class_names.clone(),
                shape,
                resize,
            }) as Arc<dyn Dataset>
        })
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
    let seen = decode::look(&train.files)?;
    let [h, w] = size.unwrap_or(seen.size);
    let images = |scan: Scan| {
        Arc::new(ImageFolder {
            files: scan.files.into(),
            class_names: class_names.clone(),
            shape: [h, w, if seen.is_grey { 1 } else { 3 }],
            resize: Resize::default(),
        }) as Arc<dyn Dataset>
    };
    Ok(Parts {
        validation: validation.map(images),
        test: test.map(images),
        has_parts: folders.has_parts,
        sizes_differ: seen
            .other_size
            .filter(|_| size.is_none())
            .map(|other| [seen.size, other]),
        notes,
        ..Parts::new("image folder", images(train))
    })
}
