//! Encoded images: wherever their bytes lie, they are decoded, sized and labelled alike.

mod codec;
mod decode;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::data::{Cause, DataError, Dataset, Origin, Parts, Pixels, Resize};

/// Endings of files that are taken for images; the content decides which decoder reads them.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// True for the ending of an image, in any case.
pub(super) fn is_image_ending(ending: &str) -> bool {
    ENDINGS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
}

/// Images as files hold them, by number.
pub(super) trait Encoded: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// A whole JPEG, PNG or WebP file. Called from several threads, in any order.
    ///
    /// # Errors
    /// Why there is none: one damaged image.
    fn bytes(&self, index: usize) -> Result<Bytes, Cause>;

    /// What an image is called, for people: each another name.
    fn place(&self, index: usize) -> PathBuf;

    /// True if [`Encoded::place`] is a file that holds the image alone.
    fn is_file(&self) -> bool {
        false
    }
}

/// Images of one part, before they have a size.
pub(super) struct Unsized {
    pub(super) images: Arc<dyn Encoded>,
    /// One for each image; without classes they tell apart which images lie together.
    pub(super) labels: Vec<u32>,
}

/// The parts of a set of encoded images.
pub(super) struct EncodedParts {
    /// As in [`Parts`].
    pub(super) kind: &'static str,
    pub(super) train: Unsized,
    pub(super) validation: Option<Unsized>,
    pub(super) test: Option<Unsized>,
    /// `None` where nothing is known of what the images show.
    pub(super) class_names: Option<Arc<[String]>>,
    /// As in [`Parts`].
    pub(super) has_parts: bool,
    pub(super) notes: Vec<String>,
}

impl EncodedParts {
    /// Images at `size`, else at that of the first.
    ///
    /// # Errors
    /// [`DataError::Image`] if none of those looked at is an image.
    pub(super) fn sized(self, size: Option<[usize; 2]>) -> Result<Parts, DataError> {
        let seen = decode::look(self.train.images.as_ref())?;
        let [h, w] = size.unwrap_or(seen.size);
        let images = |part: Unsized| {
            Arc::new(EncodedImages {
                images: part.images,
                labels: part.labels.into(),
                class_names: self.class_names.clone(),
                shape: [h, w, if seen.is_grey { 1 } else { 3 }],
                resize: Resize::default(),
            }) as Arc<dyn Dataset>
        };
        Ok(Parts {
            validation: self.validation.map(images),
            test: self.test.map(images),
            has_parts: self.has_parts,
            sizes_differ: seen
                .other_size
                .filter(|_| size.is_none())
                .map(|other| [seen.size, other]),
            notes: self.notes,
            ..Parts::new(self.kind, images(self.train))
        })
    }
}

/// One part of a set, decoded on demand.
struct EncodedImages {
    images: Arc<dyn Encoded>,
    labels: Arc<[u32]>,
    class_names: Option<Arc<[String]>>,
    shape: [usize; 3],
    resize: Resize,
}

impl Dataset for EncodedImages {
    fn len(&self) -> usize {
        self.labels.len()
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
        self.labels[index] as usize
    }

    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        let pixels = decode::decode(self.images.as_ref(), index, self.shape, self.resize)?;
        Ok(Pixels::Bytes(pixels.into()))
    }

    fn origin(&self, index: usize) -> Origin {
        let is_file = self.images.is_file();
        Origin {
            file: is_file.then(|| self.images.place(index)),
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
                images: self.images.clone(),
                labels: self.labels.clone(),
                class_names: self.class_names.clone(),
                shape,
                resize,
            }) as Arc<dyn Dataset>
        })
    }
}
