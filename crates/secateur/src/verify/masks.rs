//! The masks that a pruned file carries.

use std::path::Path;

use secateur_onnx::coupling::Masks;
use secateur_onnx::model::Model;

use super::VerifyError;

/// Metadata key of the masks.
pub const MASKS: &str = "secateur.masks";

/// Leaves the masks in a pruned model.
pub fn store_masks(model: &mut Model, masks: &Masks) {
    model.set_metadata(MASKS, masks.to_strings().join(","));
}

/// The masks that made a pruned model.
///
/// # Errors
/// [`VerifyError::NoMasks`].
pub(crate) fn stored_masks(model: &Model, file: &Path) -> Result<Masks, VerifyError> {
    let texts = model.metadata(MASKS).map(|text| {
        let masks = text.split(',');
        masks.map(str::to_string).collect::<Vec<_>>()
    });
    let masks = texts.and_then(|texts| Masks::from_strings(&texts));
    masks.ok_or_else(|| VerifyError::NoMasks {
        file: file.display().to_string(),
    })
}
