//! Opening data, and the parts of it that models ask for.

pub use secateur_net::data::*;
pub use secateur_search::env::{ModelData, Preprocessing, settle_image_size};
