//! What every data set offers.

use super::DataError;

/// Labelled images, decoded on demand.
pub trait Dataset: Send + Sync {
    /// Number of images.
    fn len(&self) -> usize;

    /// True without images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `[h, w, c]`, the same for all.
    fn image_shape(&self) -> [usize; 3];

    /// Number of classes.
    fn n_classes(&self) -> usize;

    /// Names of the classes, in the order of their labels.
    fn class_names(&self) -> &[String];

    /// Label of an image, below [`Dataset::n_classes`].
    fn label(&self, index: usize) -> usize;

    /// Writes an image, values 0..=1, into `out` of `h * w * c`.
    ///
    /// # Errors
    /// [`DataError`] if the image cannot be decoded.
    fn read(&self, index: usize, out: &mut [f32]) -> Result<(), DataError>;
}

/// Checks that images `[h, w, c]` fit a network's input `[c, h, w]` and labels its outputs.
///
/// # Errors
/// [`DataError::ShapeDiffers`], [`DataError::LabelBeyondClasses`].
pub fn check_fits(
    data: &dyn Dataset,
    place: &str,
    model_input: [usize; 3],
    classes: usize,
) -> Result<(), DataError> {
    let [h, w, c] = data.image_shape();
    if model_input != [c, h, w] {
        let [mc, mh, mw] = model_input;
        return Err(DataError::ShapeDiffers {
            model: format!("{mc}x{mh}x{mw} (channels x height x width)"),
            data: format!("{c}x{h}x{w}"),
        });
    }
    let beyond = (0..data.len())
        .map(|i| (i, data.label(i)))
        .find(|&(_, label)| label >= classes);
    match beyond {
        None => Ok(()),
        Some((index, label)) => Err(DataError::LabelBeyondClasses {
            place: place.to_string(),
            index,
            label,
            classes: classes.max(1),
        }),
    }
}
