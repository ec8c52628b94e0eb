//! Every tensor outside the message: what is written beside it, and how much.

use std::path::Path;

use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::build::Net;
use crate::files::{every_second, external};
use crate::message::tensor_proto::DataLocation;
use crate::message::{GraphProto, TensorProto, edited, proto_of};
use crate::nets::TEMPLATES;

/// The elements of a tensor as bytes, out of whatever field they lie in.
fn bytes_of(tensor: &TensorProto) -> Vec<u8> {
    if tensor.has_raw_data() {
        return tensor.raw_data().to_vec();
    }
    let integers = tensor.int64_data.iter().flat_map(|v| v.to_le_bytes());
    let floats = tensor.float_data.iter().flat_map(|v| v.to_le_bytes());
    integers.chain(floats).collect()
}

/// All stored tensors of a graph: initialisers and those of `Constant` nodes.
fn tensors(graph: &mut GraphProto) -> impl Iterator<Item = &mut TensorProto> {
    let attributes = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = attributes.filter_map(|attribute| attribute.t.as_mut());
    graph.initializer.iter_mut().chain(constants)
}

/// Writes a model with all its tensors in `weights.bin`, one behind the other, as
/// `onnx.save_model` does with `size_threshold=0` and `convert_attribute=True`.
fn all_outside(model: &Model, folder: &Path) -> Model {
    let mut bytes = Vec::new();
    let model = edited(model, |proto| {
        for tensor in tensors(proto.graph.mut_or_insert_default()) {
            let own = bytes_of(tensor);
            let (offset, length) = (bytes.len().to_string(), own.len().to_string());
            bytes.extend(own);
            tensor.int64_data.clear();
            tensor.float_data.clear();
            let place = [
                ("location", "weights.bin"),
                ("offset", &offset),
                ("length", &length),
            ];
            external(tensor, &place);
        }
    });
    fs_err::write(folder.join("weights.bin"), bytes).unwrap();
    fs_err::write(folder.join("net.onnx"), model.to_bytes().unwrap()).unwrap();
    Model::read(folder.join("net.onnx")).unwrap()
}

/// The tensors of a file that lie beside it: rank, offset, length.
fn places(model: &Model) -> Vec<(usize, u64, u64)> {
    let mut proto = proto_of(model);
    let outside = tensors(proto.graph.mut_or_insert_default())
        .filter(|tensor| tensor.data_location() == DataLocation::EXTERNAL);
    let number = |tensor: &TensorProto, key: &str| -> u64 {
        let entry = tensor.external_data.iter().find(|entry| entry.key() == key);
        entry.unwrap().value().parse().unwrap()
    };
    outside
        .map(|tensor| {
            (
                tensor.dims.len(),
                number(tensor, "offset"),
                number(tensor, "length"),
            )
        })
        .collect()
}

fn length(path: &Path) -> u64 {
    fs_err::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Whatever shape the network has: cut as the model in one message, packed without gaps, and
/// lists that shapes are inferred from lie in the message.
#[test]
fn models_with_all_tensors_outside_shrink_with_their_weights() {
    for (name, template) in TEMPLATES {
        let inside = template(1, 4, 4);
        let folder = tempfile::tempdir().unwrap();
        let model = all_outside(&inside, folder.path());
        let given = model.stored_bytes(&folder.path().join("net.onnx"));
        let (groups, masks) = every_second(&model);
        let path = folder.path().join("small.onnx");
        surgery::remove(&model, &groups, &masks)
            .unwrap()
            .write(&path)
            .unwrap();

        let small = Model::read(&path).unwrap();
        let expected = surgery::remove(&inside, &groups, &masks).unwrap();
        let (small_graph, expected) = (Graph::from_model(&small), Graph::from_model(&expected));
        assert_eq!(
            small_graph.unwrap().initializers,
            expected.unwrap().initializers,
            "{name}"
        );
        let places = places(&small);
        let beside: u64 = places.iter().map(|(_, _, length)| length).sum();
        assert_eq!(
            length(&folder.path().join("small.onnx.data")),
            beside,
            "{name}"
        );
        assert!(
            places.iter().all(|&(rank, _, _)| rank > 1),
            "{name}: {places:?}"
        );
        assert!(small.stored_bytes(&path) < given, "{name}");
    }
}

/// A file of its own is not needed for what comes into the message.
#[test]
fn no_file_is_written_for_short_lists_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 4]);
    let weights = net.weights(&[4]);
    let y = net.node("Mul", &[&x, &weights], &[]);
    let model = all_outside(&net.finish(&y), folder.path());
    let path = folder.path().join("copy.onnx");
    model.write(&path).unwrap();
    assert!(!folder.path().join("copy.onnx.data").exists());
    let expected = Graph::from_model(&model).unwrap().initializers;
    fs_err::remove_file(folder.path().join("weights.bin")).unwrap();
    assert_eq!(
        Graph::from_model(&Model::read(&path).unwrap())
            .unwrap()
            .initializers,
        expected
    );
}

/// Only tensors of more than a mebibyte begin at a page, and tensors in one place stay there.
#[test]
fn large_tensors_begin_at_pages_and_shared_bytes_are_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut net = Net::new(1, 17);
    let x = net.input(&[-1, 3, 2, 2]);
    let x = net.conv(&x, 3, 512, 1, 1);
    let x = net.conv(&x, 512, 513, 1, 1);
    let x = net.conv(&x, 513, 512, 1, 1);
    let twin = net.conv(&x, 512, 513, 1, 1);
    let x = net.classify(&twin, 513);
    let model = all_outside(&net.finish(&x), folder.path());
    let before = places(&model);
    // The last convolution's weights lie where those of the second do, under another name.
    let model = edited(&model, |proto| {
        let stored = &mut proto.graph.mut_or_insert_default().initializer;
        stored[6].external_data = stored[2].external_data.clone();
    });
    let path = folder.path().join("copy.onnx");
    model.write(&path).unwrap();
    let copy = Model::read(&path).unwrap();
    assert_eq!(
        Graph::from_model(&copy).unwrap().initializers,
        Graph::from_model(&model).unwrap().initializers
    );
    let after = places(&copy);
    let large: Vec<u64> = after
        .iter()
        .filter(|p| p.2 > 1 << 20)
        .map(|p| p.1)
        .collect();
    assert_eq!(large.len(), 3);
    assert!(large.iter().all(|offset| offset % 4096 == 0), "{after:?}");
    assert_eq!(large[0], large[2], "one place");
    let small: Vec<u64> = after
        .iter()
        .filter(|p| p.2 <= 1 << 20)
        .map(|p| p.1)
        .collect();
    assert!(small.iter().any(|offset| offset % 4096 != 0), "{after:?}");
    let bytes = |places: &[(usize, u64, u64)]| places.iter().map(|p| p.2).sum::<u64>();
    let written = length(&folder.path().join("copy.onnx.data"));
    assert!(written < bytes(&before) - (1 << 20) + 2 * 4096, "{written}");

    // Those that are cut alike still share one place, those that are not have their own.
    let (groups, masks) = every_second(&copy);
    surgery::remove(&copy, &groups, &masks)
        .unwrap()
        .write(&path)
        .unwrap();
    let cut = places(&Model::read(&path).unwrap());
    let total = length(&folder.path().join("copy.onnx.data"));
    assert!(total < bytes(&cut), "{total}: {cut:?}");
}
