//! An ONNX file as a whole message, read and written.
//!
//! Nothing outside this folder knows protobuf: the message is read through `contents` and
//! changed through `stored` and `rewrite`.

mod allow_mixing;
mod beside;
mod build;
mod compact;
mod contents;
mod cut;
mod data_file;
mod decode;
mod external_data;
mod initializer;
mod input_shapes;
mod message;
mod no_batch;
mod node;
mod outputs;
mod prepare;
mod proto;
mod rewrite;
mod scopes;
mod store;
mod stored;
mod tensors;
mod typed;
mod unshare;
mod value_info;
mod vectors;
mod write;

pub use allow_mixing::ALLOW_MIXING;
pub(crate) use build::ModelBuilder;
pub(crate) use compact::Picks;
pub(crate) use decode::{ALWAYS_READ, Reading};
pub(crate) use initializer::StoredTensor;
pub use initializer::{Tensor, Values};
pub(crate) use input_shapes::fill as fill_inputs;
pub use input_shapes::{INPUT_SHAPES, InputShape};
pub use message::Model;
pub use no_batch::NO_BATCH;
pub use node::{Attribute, Body, Node};
pub(crate) use rewrite::Rewriter;
pub(crate) use stored::StoredMut;
pub use value_info::{Dim, ValueInfo};
pub use write::new_beside;
