//! Folders of images: `train/<class>/*` and so on, decoded on demand.

mod codec;
mod decode;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use scan::{Layout, class_list, find};

use super::{DataError, Dataset, Pixels, Resize};
use scan::Scan;

/// One part of a folder of images.
pub struct ImageFolder {
    files: Arc<[(PathBuf, u32)]>,
    class_names: Arc<[String]>,
    shape: [usize; 3],
    resize: Resize,
}

impl ImageFolder {
    /// The images of the class folders in `dir`, as `[h, w, c]`.
    fn new(scan: Scan, class_names: Arc<[String]>, shape: [usize; 3], resize: Resize) -> Self {
        Self {
            files: scan.files.into(),
            class_names,
            shape,
            resize,
        }
    }
}

impl Dataset for ImageFolder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn label(&self, index: usize) -> usize {
        self.files[index].1 as usize
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let pixels = decode::decode(&self.files[index].0, self.shape, self.resize)?;
        Ok(Pixels::Bytes(pixels.into()))
    }

    fn is_in_memory(&self) -> bool {
        false
    }

    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        // Grey and colour are all that a file can become.
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

/// The parts of a folder, at a size that fits all.
pub(super) struct Opened {
    pub(super) train: ImageFolder,
    pub(super) validation: Option<ImageFolder>,
    pub(super) test: Option<ImageFolder>,
    /// Sizes of two images that differ, where they do.
    pub(super) sizes_differ: Option<[[usize; 2]; 2]>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
}

/// Lists the images of a layout.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Empty`] for folders without images,
/// [`DataError::UnknownClass`], [`DataError::Image`] if no file of those looked at is an image.
pub(super) fn open(
    root: &Path,
    layout: &Layout,
    size: Option<[usize; 2]>,
) -> Result<Opened, DataError> {
    let listed = scan::class_list(root)?;
    let train = Scan::new(&layout.train, listed.as_deref())?;
    let class_names: Arc<[String]> = train.class_names.clone().into();
    let part = |dir: &Option<PathBuf>| -> Result<Option<Scan>, DataError> {
        let Some(dir) = dir else { return Ok(None) };
        Scan::new(dir, Some(&class_names)).map(Some)
    };
    let (validation, test) = (part(&layout.validation)?, part(&layout.test)?);
    let mut notes = Vec::new();
    for scan in [Some(&train), validation.as_ref(), test.as_ref()]
        .into_iter()
        .flatten()
    {
        notes.extend(scan.notes());
    }
    let seen = decode::look(&train.files)?;
    let [h, w] = size.unwrap_or(seen.size);
    let shape = [h, w, if seen.is_grey { 1 } else { 3 }];
    let folder = |scan| ImageFolder::new(scan, class_names.clone(), shape, Resize::default());
    Ok(Opened {
        train: folder(train),
        validation: validation.map(folder),
        test: test.map(folder),
        sizes_differ: seen
            .other_size
            .filter(|_| size.is_none())
            .map(|other| [seen.size, other]),
        notes,
    })
}
