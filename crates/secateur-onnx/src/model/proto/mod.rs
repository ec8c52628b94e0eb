//! Protobuf bindings of ONNX, generated from `proto/onnx-ml.proto`
//! (see `proto/README.md`). Unknown fields are kept. Private to [`crate::model`].

#[allow(missing_docs, unsafe_code, clippy::all, clippy::pedantic)]
#[rustfmt::skip]
mod onnx_ml;

pub use onnx_ml::*;
pub use protobuf::Message;
