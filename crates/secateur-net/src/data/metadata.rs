//! Metadata keys under which training and pruning leave in a model what later runs must know.

use secateur_onnx::model::Model;
use serde::de::DeserializeOwned;

/// Normalisation, JSON.
pub const NORMALISATION: &str = "secateur.normalisation";
/// Size and colours of the images, JSON.
pub const PREPROCESSING: &str = "secateur.preprocessing";
/// Names of the classes in the order of the outputs, JSON.
pub const CLASSES: &str = "secateur.classes";
/// Seed and size of the validation split, JSON `[seed, validation]`.
pub const SPLIT: &str = "secateur.split";
/// Cost of the training in sample-MACs.
pub const SAMPLE_MACS: &str = "secateur.training_sample_macs";
/// Wall-clock seconds of the training.
pub const SECONDS: &str = "secateur.training_seconds";

/// What a model carries under a key, if it is what we write there.
pub(super) fn stored<T: DeserializeOwned>(model: &Model, key: &str) -> Option<T> {
    serde_json::from_str(model.metadata(key)?).ok()
}
