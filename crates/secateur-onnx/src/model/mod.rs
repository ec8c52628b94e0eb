//! An ONNX file as a whole message, read and written.
//!
//! Nothing outside this folder knows protobuf: the message is read through `contents` and
//! changed through `stored` and `rewrite`.

mod beside;
mod build;
mod contents;
mod decode;
mod external_data;
mod image_size;
mod initializer;
mod message;
mod node;
mod proto;
mod rewrite;
mod store;
mod stored;
mod tensors;
mod typed;
mod unshare;
mod value_info;
mod write;

pub(crate) use build::ModelBuilder;
pub(crate) use decode::{ALWAYS_READ, Reading};
pub use image_size::IMAGE_SIZE;
pub(crate) use image_size::fill as fill_image_size;
pub(crate) use initializer::StoredTensor;
pub use initializer::{Tensor, Values};
pub use message::Model;
pub use node::{Attribute, Node};
pub(crate) use rewrite::Rewriter;
pub(crate) use stored::StoredMut;
pub use value_info::{Dim, ValueInfo};
pub use write::new_beside;
