//! What every data set offers.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::{DataError, Resize};

/// Values of one image, `[h, w, c]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Pixels<'a> {
    /// Bytes; 255 stands for 1.0.
    Bytes(Cow<'a, [u8]>),
    /// Values as they are.
    Floats(Cow<'a, [f32]>),
}

/// Images with labels, from memory or decoded on demand.
///
/// The trait to implement for data that this crate does not read: see [`super::Parts`] for
/// what becomes of it.
pub trait Dataset: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// True without images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[h, w, c]`, the same for all.
    fn image_shape(&self) -> [usize; 3];

    /// False if nothing is known of what the images show: labels are then all 0.
    fn is_labelled(&self) -> bool {
        true
    }

    /// Names of the classes, in the order of their labels.
    fn class_names(&self) -> &[String];

    /// Number of classes.
    fn n_classes(&self) -> usize {
        self.class_names().len()
    }

    /// Label of an image, below [`Dataset::n_classes`].
    fn label(&self, index: usize) -> usize;

    /// An image of [`Dataset::image_shape`]. Called from several threads, in any order and
    /// more than once; the same index always gives the same image.
    ///
    /// # Errors
    /// [`DataError::Image`] if it cannot be decoded; images in memory always can.
    fn image(&self, index: usize) -> Result<Pixels<'_>, DataError>;

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

/// Number of images of each class.
pub fn count_classes(data: &dyn Dataset) -> Vec<usize> {
    let mut counts = vec![0; data.n_classes()];
    for index in 0..data.len() {
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
