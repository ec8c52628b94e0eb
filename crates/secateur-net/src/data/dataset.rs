//! What every data set offers.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secateur_onnx::model::{InputShape, ValueInfo};

use super::{Column, DataError, Resize, Row};

/// Values of one image, `[h, w, c]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels<'a> {
    /// Bytes; 255 stands for 1.0.
    Bytes(Cow<'a, [u8]>),
    /// Values as they are.
    Floats(Cow<'a, [f32]>),
}

/// Where a sample comes from, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file that holds it alone, if it has one of its own.
    pub file: Option<PathBuf>,
    /// Its number among the samples as they lie in the data, from 0.
    pub number: usize,
}

/// Samples with or without labels, from memory or decoded on demand: images, or arrays for the
/// inputs of a network.
///
/// The trait to implement for data that this crate does not read: see [`super::Parts`] for
/// what becomes of it. Images need nothing but the methods without a default.
pub trait Dataset: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// True without samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// False where the samples are arrays: those have no pixels to resize, normalise or augment.
    fn is_images(&self) -> bool {
        true
    }

    /// `[h, w, c]`, the same for all images; zeros where the samples are arrays.
    fn image_shape(&self) -> [usize; 3];

    /// False if nothing is known of what the images show. Labels then only tell images apart that
    /// belong together, such as those of a folder, of each of which the test part gets a share.
    fn is_labelled(&self) -> bool {
        true
    }

    /// Names of the classes, in the order of their labels; empty without labels.
    fn class_names(&self) -> &[String];

    /// Number of classes.
    fn n_classes(&self) -> usize {
        self.class_names().len()
    }

    /// Label of an image, below [`Dataset::n_classes`] where there are classes.
    fn label(&self, index: usize) -> usize;

    /// An image of [`Dataset::image_shape`]. Called from several threads, in any order and
    /// more than once; the same index always gives the same image.
    ///
    /// # Errors
    /// [`DataError::Image`] if it cannot be decoded; images in memory always can.
    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError>;

    /// Arrays as the inputs of a network take them, or images that an array holds; `None` where
    /// the data are images anyway.
    fn for_inputs(&self, inputs: &[ValueInfo]) -> Option<Result<Arc<dyn Dataset>, DataError>> {
        let _ = inputs;
        None
    }

    /// Shapes that arrays give to the inputs of a network, as far as they are known before
    /// [`Dataset::for_inputs`] has checked them; none for images.
    fn input_shapes(&self, inputs: &[ValueInfo]) -> Vec<InputShape> {
        let _ = inputs;
        Vec::new()
    }

    /// What the arrays of [`Dataset::for_inputs`] hold, one entry for each input.
    fn columns(&self) -> &[Column] {
        &[]
    }

    /// The values of a sample for one of [`Dataset::columns`].
    fn row(&self, index: usize, column: usize) -> Option<Row<'_>> {
        let _ = (index, column);
        None
    }

    /// Where a sample comes from.
    fn origin(&self, index: usize) -> Origin {
        Origin {
            file: None,
            number: index,
        }
    }

    /// True if [`Dataset::image`] costs next to nothing. Other images are all decoded once
    /// before anything starts: damaged ones are left out, and those of bytes are kept while
    /// the cache has room.
    fn is_in_memory(&self) -> bool {
        true
    }

    /// The same images at another size `[h, w, c]`, if the data set can do that.
    fn resized(&self, shape: [usize; 3], resize: Resize) -> Option<Arc<dyn Dataset>> {
        let _ = (shape, resize);
        None
    }
}

/// An image, and that it has as many values as the data set says.
///
/// # Errors
/// As [`Dataset::image`]; [`DataError::Format`] for another number of values.
pub(super) fn sound_image(data: &dyn Dataset, index: usize) -> Result<Pixels<'_>, DataError> {
    let pixels = data.image(index)?;
    let held = match &pixels {
        Pixels::Bytes(values) => values.len(),
        Pixels::Floats(values) => values.len(),
    };
    let shape = data.image_shape();
    if held == shape.iter().product::<usize>() {
        return Ok(pixels);
    }
    Err(DataError::format(
        Path::new(&format!("image {index}")),
        format!("{shape:?} values (height x width x channels)"),
        held.to_string(),
    ))
}

/// What a sample is called, for people.
pub(super) fn noun(data: &dyn Dataset) -> &'static str {
    match data.is_images() {
        true => "image",
        false => "sample",
    }
}

/// Number of images of each class; empty without labels.
pub fn count_classes(data: &dyn Dataset) -> Vec<usize> {
    let mut counts = vec![0; data.n_classes()];
    let n = if data.is_labelled() { data.len() } else { 0 };
    for index in 0..n {
        counts[data.label(index)] += 1;
    }
    counts
}

/// Checks that images `[h, w, c]` fit a network's input `[c, h, w]`, and labels its outputs
/// where they count.
///
/// # Errors
/// [`DataError::ShapeDiffers`], [`DataError::LabelBeyondClasses`].
pub(super) fn check_fits(
    data: &dyn Dataset,
    place: &str,
    model_input: [usize; 3],
    n_classes: Option<usize>,
) -> Result<(), DataError> {
    let [h, w, c] = data.image_shape();
    if model_input != [c, h, w] {
        let [mc, mh, mw] = model_input;
        return Err(DataError::ShapeDiffers {
            model: format!("{mc}x{mh}x{mw} (channels x height x width)"),
            data: format!("{c}x{h}x{w}"),
        });
    }
    let Some(classes) = n_classes else {
        return Ok(());
    };
    let beyond = (0..data.len())
        .map(|i| (i, data.label(i)))
        .find(|&(_, label)| label >= classes);
    match beyond {
        None => Ok(()),
        Some((index, label)) => Err(DataError::LabelBeyondClasses {
            place: place.to_string(),
            index,
            label,
            class: data.class_names().get(label).cloned().unwrap_or_default(),
            classes: classes.max(1),
        }),
    }
}
