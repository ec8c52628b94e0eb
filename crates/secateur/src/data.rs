//! Opening data, and the parts of it that models ask for.

pub use secateur_net::data::*;

use secateur_onnx::model::Model;
use secateur_search::env::stored_normalisation;

/// How a model's images are normalised: as it says itself, or as measured on the
/// training part of `source`.
///
/// # Errors
/// [`DataError`] if an image cannot be read.
pub fn normalisation_of(model: &Model, source: &Source) -> Result<Normalisation, DataError> {
    match stored_normalisation(model) {
        Some(normalisation) => Ok(normalisation),
        None => {
            let all: Vec<usize> = (0..source.train.len()).collect();
            Normalisation::measure(source.train.as_ref(), &all)
        }
    }
}
