//! The raw message of a model, for tests of files that the library itself never writes.

use secateur_onnx::model::Model;

#[path = "../../src/model/proto/mod.rs"]
mod proto;

pub use proto::*;

/// The message of a model.
pub fn proto_of(model: &Model) -> ModelProto {
    ModelProto::parse_from_bytes(&model.to_bytes().unwrap()).unwrap()
}

/// The model with something changed in its message.
pub fn edited(model: &Model, change: impl FnOnce(&mut ModelProto)) -> Model {
    let mut proto = proto_of(model);
    change(&mut proto);
    Model::from_bytes(&proto.write_to_bytes().unwrap(), model.base_dir.as_deref()).unwrap()
}

/// As [`edited`], for changes of the graph.
pub fn with_graph(model: &Model, change: impl FnOnce(&mut GraphProto)) -> Model {
    edited(model, |proto| change(proto.graph.mut_or_insert_default()))
}
