//! Files: reading, writing, storages, and damage.

use std::path::Path;

use proptest::prelude::*;
use secateur_onnx::cost::{CostModel, layer_table};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::{Model, Tensor, Values};
use secateur_onnx::{OnnxError, surgery};

use crate::message::attribute_proto::AttributeType;
use crate::message::tensor_proto::DataLocation;
use crate::message::{
    AttributeProto, Message, ModelProto, NodeProto, StringStringEntryProto, TensorProto, edited,
    proto_of, with_graph,
};
use crate::nets::TEMPLATES;

fn small() -> Model {
    TEMPLATES[0].1(1, 4, 3)
}

/// The message of an error, with what a user reads.
fn message<T>(result: Result<T, OnnxError>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => error.to_string(),
    }
}

fn graph_error(change: impl FnOnce(&mut ModelProto)) -> String {
    message(Graph::from_model(&edited(&small(), change)))
}

fn first_weight(proto: &mut ModelProto) -> &mut TensorProto {
    &mut proto.graph.mut_or_insert_default().initializer[0]
}

#[test]
fn unreadable_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.onnx");
    let error = message(Model::read(&missing));
    assert!(
        error.contains("cannot read") && error.contains("missing.onnx"),
        "{error}"
    );

    let bytes = small().to_bytes().unwrap();
    let cut = folder.path().join("cut.onnx");
    fs_err::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let error = Model::read(&cut).unwrap_err();
    assert!(error.to_string().contains("cut.onnx"), "{error}");
    assert!(error.hint().unwrap().contains("truncated"));

    for content in [&b"not a model"[..], &b""[..], &[0xff; 64][..]] {
        fs_err::write(&cut, content).unwrap();
        let error = message(Model::read(&cut));
        assert!(error.contains("expected an ONNX model"), "{error}");
    }
}

#[test]
fn graphs_that_contradict_themselves_are_refused() {
    let error = graph_error(|proto| {
        let graph = proto.graph.mut_or_insert_default();
        let twin = graph.initializer[0].clone();
        graph.initializer.push(twin);
    });
    assert!(
        error.contains("w_0") && error.contains("defined twice"),
        "{error}"
    );

    let error = graph_error(|proto| {
        let graph = proto.graph.mut_or_insert_default();
        let twin = graph.node[0].output.clone();
        graph.node[1].output = twin;
    });
    assert!(error.contains("defined twice"), "{error}");

    let error = graph_error(|proto| {
        proto.graph.mut_or_insert_default().node[0].input[0] = "nowhere".to_string();
    });
    assert!(
        error.contains("`nowhere` is neither computed nor stored"),
        "{error}"
    );

    let error = graph_error(|proto| {
        let graph = proto.graph.mut_or_insert_default();
        let late = graph.node[3].output[0].clone();
        graph.node[0].input[0] = late;
    });
    assert!(error.contains("cycle"), "{error}");

    let error = graph_error(|proto| {
        proto.graph.mut_or_insert_default().output[0].set_name("nowhere".to_string());
    });
    assert!(error.contains("never computed"), "{error}");
}

#[test]
fn nodes_out_of_order_are_sorted() {
    let model = with_graph(&small(), |graph| graph.node.reverse());
    let graph = Graph::from_model(&model).unwrap();
    let names = |graph: &Graph| {
        graph
            .nodes
            .iter()
            .map(|n| n.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&graph), names(&Graph::from_model(&small()).unwrap()));
}

#[test]
fn tensors_that_contradict_themselves_are_refused() {
    let error = graph_error(|proto| first_weight(proto).dims[0] = 1_000_000_000_000_000);
    assert!(error.contains("w_0") && error.contains("takes"), "{error}");
    let error = graph_error(|proto| first_weight(proto).dims = vec![i64::MAX, i64::MAX, 2]);
    assert!(error.contains("too large"), "{error}");
    let error = graph_error(|proto| first_weight(proto).dims = vec![1; 100_000]);
    assert!(error.contains("at most 64"), "{error}");
    let error = graph_error(|proto| first_weight(proto).dims[0] = -4);
    assert!(error.contains("-4"), "{error}");
    let error = graph_error(|proto| first_weight(proto).dims[0] += 1);
    assert!(
        error.contains("takes") && error.contains("holds"),
        "{error}"
    );
    let error = graph_error(|proto| {
        let tensor = first_weight(proto);
        tensor.raw_data = None;
        tensor.float_data = vec![1.0; 5];
    });
    assert!(error.contains("it holds 5"), "{error}");
}

pub fn external(tensor: &mut TensorProto, entries: &[(&str, &str)]) {
    tensor.raw_data = None;
    tensor.set_data_location(DataLocation::EXTERNAL);
    tensor.external_data = entries
        .iter()
        .map(|(key, value)| {
            let mut entry = StringStringEntryProto::new();
            entry.set_key((*key).to_string());
            entry.set_value((*value).to_string());
            entry
        })
        .collect();
}

/// Moves the first weight to `weights.bin` beside the model, behind 8 other bytes.
fn with_external_weight(folder: &Path) -> Model {
    let model = edited(&small(), |proto| {
        let tensor = first_weight(proto);
        let mut bytes = vec![0; 8];
        bytes.extend_from_slice(tensor.raw_data());
        fs_err::write(folder.join("weights.bin"), bytes).unwrap();
        external(tensor, &[("location", "weights.bin"), ("offset", "8")]);
    });
    fs_err::write(folder.join("net.onnx"), model.to_bytes().unwrap()).unwrap();
    Model::read(folder.join("net.onnx")).unwrap()
}

#[test]
fn external_data_are_read_and_stay_in_their_folder() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("model");
    fs_err::create_dir(&folder).unwrap();
    fs_err::write(outside.path().join("secret"), [0; 4096]).unwrap();
    let model = with_external_weight(&folder);
    let plain = Graph::from_model(&small()).unwrap();
    assert_eq!(
        Graph::from_model(&model).unwrap().initializers,
        plain.initializers
    );

    let refused = |entries: &[(&str, &str)]| {
        let model = edited(&model, |proto| external(first_weight(proto), entries));
        message(Graph::from_model(&model))
    };
    let absolute = outside.path().join("secret").display().to_string();
    for location in [
        "../secret",
        "../../etc/passwd",
        "a/../../secret",
        absolute.as_str(),
    ] {
        let error = refused(&[("location", location)]);
        assert!(error.contains("outside the model's folder"), "{error}");
    }
    assert!(refused(&[("location", "missing.bin")]).contains("missing.bin"));
    assert!(refused(&[]).contains("without a location"));
    let error = refused(&[
        ("location", "weights.bin"),
        ("offset", "18446744073709551615"),
    ]);
    assert!(error.contains("past the end"), "{error}");
    let error = refused(&[("location", "weights.bin"), ("length", "3")]);
    assert!(error.contains("external data hold 3"), "{error}");
    assert!(refused(&[("location", "weights.bin"), ("offset", "x")]).contains("no number"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        let error = refused(&[("location", "link")]);
        assert!(error.contains("outside the model's folder"), "{error}");
    }
}

/// Opening a pipe that nobody writes to waits for ever.
#[cfg(unix)]
#[test]
fn external_data_that_are_no_file_are_refused_unopened() {
    let folder = tempfile::tempdir().unwrap();
    let model = with_external_weight(folder.path());
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    fs_err::create_dir(folder.path().join("folder")).unwrap();
    for location in ["pipe", "folder"] {
        let entries = [("location", location)];
        let model = edited(&model, |proto| external(first_weight(proto), &entries));
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(message(Graph::from_model(&model))));
        let error = receiver.recv_timeout(std::time::Duration::from_secs(20));
        let error = error.expect("an answer");
        assert!(
            error.contains(location) && error.contains("no regular file"),
            "{error}"
        );
    }
}

#[test]
fn external_data_move_with_the_model() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let model = with_external_weight(from.path());
    let path = to.path().join("copy.onnx");
    model.write(&path).unwrap();
    drop(from);
    let copy = Graph::from_model(&Model::read(&path).unwrap()).unwrap();
    assert_eq!(
        copy.initializers,
        Graph::from_model(&small()).unwrap().initializers
    );
    let mut names: Vec<String> = fs_err::read_dir(to.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["copy.onnx", "copy.onnx.data"]);
    // Again over itself, and with what was cut moved into the message.
    let model = Model::read(&path).unwrap();
    model.write(&path).unwrap();
    let model = Model::read(&path).unwrap();
    let (groups, masks) = every_second(&model);
    surgery::remove(&model, &groups, &masks)
        .unwrap()
        .write(&path)
        .unwrap();
    let expected = surgery::remove(&small(), &groups, &masks).unwrap();
    assert_eq!(
        Graph::from_model(&Model::read(&path).unwrap())
            .unwrap()
            .initializers,
        Graph::from_model(&expected).unwrap().initializers
    );
}

pub fn every_second(model: &Model) -> (ChannelGroups, Masks) {
    let groups = ChannelGroups::find(&Graph::from_model(model).unwrap()).unwrap();
    let masks = groups.groups.iter().map(|group| {
        (0..group.width)
            .map(|kernel| group.pinned.is_some() || kernel % 2 == 0)
            .collect()
    });
    let masks = Masks(masks.collect());
    (groups, masks)
}

#[test]
fn writing_leaves_nothing_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let error = message(small().write(folder.path().join("no/such/folder/net.onnx")));
    assert!(
        error.contains("cannot write") && error.contains("net.onnx"),
        "{error}"
    );
    // A folder is in the way.
    fs_err::create_dir(folder.path().join("net.onnx")).unwrap();
    fs_err::write(folder.path().join("net.onnx/file"), "x").unwrap();
    assert!(small().write(folder.path().join("net.onnx")).is_err());
    let left = fs_err::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "only the folder itself");
}

#[test]
fn not_a_number_is_found() {
    let mut model = small();
    let mut values = Graph::from_model(&model).unwrap().initializers["w_1"]
        .as_f32()
        .unwrap()
        .into_owned();
    values[2] = f32::NAN;
    let graph = Graph::from_model(&model).unwrap();
    let names = || graph.initializers.keys().map(String::as_str);
    assert!(graph.find_non_finite(names()).is_none());
    model = model
        .with_weights(&[("w_1".to_string(), values)].into())
        .unwrap();
    let graph = Graph::from_model(&model).unwrap();
    assert_eq!(graph.find_non_finite(["w_0", "w_1"]), Some(("w_1", 2)));
    assert_eq!(graph.find_non_finite(["w_0", "no such"]), None);
}

/// Every way to store the weights of the template.
fn storages() -> Vec<(&'static str, Model)> {
    let floats = |tensor: &TensorProto| -> Vec<f32> {
        tensor
            .raw_data()
            .as_chunks()
            .0
            .iter()
            .map(|c| f32::from_le_bytes(*c))
            .collect()
    };
    let change = |f: &dyn Fn(&mut TensorProto, Vec<f32>)| {
        with_graph(&small(), |graph| {
            for tensor in &mut graph.initializer {
                let values = floats(tensor);
                tensor.raw_data = None;
                f(tensor, values);
            }
        })
    };
    let half = |v: f32| half::f16::from_f32(v).to_bits();
    let brain = |v: f32| half::bf16::from_f32(v).to_bits();
    let wide = |bits: Vec<u16>| bits.into_iter().map(i32::from).collect::<Vec<_>>();
    let raw = |bits: Vec<u16>| {
        bits.into_iter()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>()
    };
    let mut all = vec![
        ("raw", small()),
        ("typed", change(&|t, v| t.float_data = v)),
        (
            "double",
            change(&|t, v| {
                t.set_data_type(11);
                t.double_data = v.into_iter().map(f64::from).collect();
            }),
        ),
        (
            "raw double",
            change(&|t, v| {
                t.set_data_type(11);
                t.set_raw_data(
                    v.into_iter()
                        .flat_map(|v| f64::from(v).to_le_bytes())
                        .collect(),
                );
            }),
        ),
        (
            "half",
            change(&|t, v| {
                t.set_data_type(10);
                t.int32_data = wide(v.into_iter().map(half).collect());
            }),
        ),
        (
            "raw half",
            change(&|t, v| {
                t.set_data_type(10);
                t.set_raw_data(raw(v.into_iter().map(half).collect()).into());
            }),
        ),
        (
            "bfloat16",
            change(&|t, v| {
                t.set_data_type(16);
                t.int32_data = wide(v.into_iter().map(brain).collect());
            }),
        ),
    ];
    // Constant nodes in place of initialisers.
    let model = with_graph(&small(), |graph| {
        let tensors = std::mem::take(&mut graph.initializer);
        let mut constants = Vec::new();
        for tensor in tensors {
            let mut node = NodeProto::new();
            node.set_op_type("Constant".to_string());
            node.output = vec![tensor.name().to_string()];
            let mut attribute = AttributeProto::new();
            attribute.set_name("value".to_string());
            attribute.set_type(AttributeType::TENSOR);
            attribute.t = protobuf::MessageField::some(tensor);
            node.attribute.push(attribute);
            constants.push(node);
        }
        graph.node.splice(0..0, constants);
    });
    all.push(("constant nodes", model));
    all
}

#[test]
fn every_storage_is_cut_where_it_lies() {
    let kept = |model: &Model| {
        let (groups, masks) = every_second(model);
        Graph::from_model(&surgery::remove(model, &groups, &masks).unwrap()).unwrap()
    };
    let expected = kept(&small());
    for (name, model) in storages() {
        let (groups, masks) = every_second(&model);
        let cut = surgery::remove(&model, &groups, &masks).unwrap();
        let (before, after) = (proto_of(&model), proto_of(&cut));
        let (before, after) = (&before.graph.initializer, &after.graph.initializer);
        assert_eq!(before.len(), after.len(), "{name}");
        for (a, b) in before.iter().zip(after) {
            let storage = |t: &TensorProto| {
                (
                    t.data_type(),
                    t.has_raw_data(),
                    t.float_data.is_empty(),
                    t.int32_data.is_empty(),
                )
            };
            assert_eq!(storage(a), storage(b), "{name}: `{}`", a.name());
        }
        let found = Graph::from_model(&cut).unwrap();
        for (tensor, values) in &expected.initializers {
            let (a, b) = (
                values.as_f32().unwrap(),
                found.initializers[tensor].as_f32().unwrap(),
            );
            assert_eq!(
                values.shape, found.initializers[tensor].shape,
                "{name}: `{tensor}`"
            );
            // Half of a unit in the last place of bfloat16.
            const ROUNDING: f32 = 1.0 / 256.0;
            assert!(
                a.iter()
                    .zip(b.iter())
                    .all(|(x, y)| (x - y).abs() <= ROUNDING),
                "{name}"
            );
        }
    }
}

#[test]
fn new_weights_keep_type_and_storage() {
    for (name, model) in storages() {
        let graph = Graph::from_model(&model).unwrap();
        let new: Vec<f32> = (0..graph.initializers["w_1"].len())
            .map(|i| i as f32)
            .collect();
        let changed = model
            .with_weights(&[("w_1".to_string(), new.clone())].into())
            .unwrap();
        let after = Graph::from_model(&changed).unwrap();
        assert_eq!(
            after.initializers["w_1"].as_f32().unwrap().as_ref(),
            new,
            "{name}"
        );
        let kind = |tensor: &Tensor| std::mem::discriminant(&tensor.values);
        for (tensor, values) in &graph.initializers {
            assert_eq!(kind(values), kind(&after.initializers[tensor]), "{name}");
            assert!(
                tensor == "w_1" || *values == after.initializers[tensor],
                "{name}"
            );
        }
    }
    let error = message(small().with_weights(&[("nobody".to_string(), vec![])].into()));
    assert!(error.contains("nobody"), "{error}");
    let error = message(small().with_weights(&[("w_1".to_string(), vec![1.0])].into()));
    assert!(error.contains("w_1") && error.contains("got 1"), "{error}");
}

#[test]
fn types_that_are_not_decoded_are_carried_along() {
    let mut texts = TensorProto::new();
    texts.set_name("labels".to_string());
    texts.set_data_type(8);
    texts.dims = vec![2];
    texts.string_data = vec![b"cat".to_vec(), b"dog".to_vec()];
    let model = with_graph(&small(), |graph| graph.initializer.push(texts.clone()));
    let graph = Graph::from_model(&model).unwrap();
    assert!(matches!(
        graph.initializers["labels"].values,
        Values::Opaque { data_type: 8 }
    ));
    let (groups, masks) = every_second(&model);
    let cut = surgery::remove(&model, &groups, &masks).unwrap();
    assert_eq!(proto_of(&cut).graph.initializer.last(), Some(&texts));
}

#[test]
fn a_round_trip_keeps_unknown_fields_and_metadata() {
    for (name, build) in TEMPLATES {
        let mut model = build(1, 4, 3);
        model.set_metadata("author", "somebody");
        let mut bytes = model.to_bytes().unwrap();
        // Field 1999, a varint: from a version of ONNX that does not exist.
        bytes.extend([0xf8, 0x7c, 42]);
        let read = Model::from_bytes(&bytes, None).unwrap();
        assert_eq!(
            ModelProto::parse_from_bytes(&bytes).unwrap(),
            proto_of(&read),
            "{name}"
        );
        let written = read.to_bytes().unwrap();
        assert!(
            written.windows(3).any(|window| window == [0xf8, 0x7c, 42]),
            "{name}"
        );
        assert_eq!(
            ModelProto::parse_from_bytes(&written).unwrap(),
            proto_of(&read),
            "{name}"
        );
        // Removal keeps them as well.
        let (groups, masks) = every_second(&read);
        let cut = surgery::remove(&read, &groups, &masks).unwrap();
        assert_eq!(cut.metadata("author"), Some("somebody"), "{name}");
        let (before, after) = (proto_of(&read), proto_of(&cut));
        assert_eq!(after.special_fields, before.special_fields, "{name}");
        assert_eq!(after.opset_import, before.opset_import, "{name}");
        let nodes = |model: &Model| {
            let proto = proto_of(model);
            let nodes = proto.graph.node.iter();
            nodes
                .map(|n| (n.name().to_string(), n.output.clone()))
                .collect::<Vec<_>>()
        };
        assert_eq!(nodes(&cut), nodes(&read), "{name}");
    }
}

/// Runs everything that reads a model; what it returns does not matter, that it does
/// return does.
fn exercise(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes, None) else {
        return;
    };
    let Ok(graph) = Graph::from_model(&model) else {
        return;
    };
    let _ = layer_table(&graph);
    let _ = graph.find_non_finite(graph.initializers.keys().map(String::as_str));
    let Ok(groups) = ChannelGroups::find(&graph) else {
        return;
    };
    let (groups, masks) = {
        let masks = groups.groups.iter().map(|group| {
            (0..group.width)
                .map(|kernel| group.pinned.is_some() || kernel % 2 == 0)
                .collect()
        });
        let masks = Masks(masks.collect());
        (groups, masks)
    };
    if let Ok(cost) = CostModel::new(&graph, &groups) {
        cost.count(&masks);
        cost.marginal(&masks);
    }
    let _ = surgery::zero_inputs(&model, &groups, &masks);
    let _ = surgery::remove(&model, &groups, &masks);
    let _ = model.unshared();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damaged_files_are_refused_or_survived(
        template in 0..TEMPLATES.len(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        cuts in prop::bool::weighted(0.1),
    ) {
        let mut bytes = TEMPLATES[template].1(7, 2, 3).to_bytes().unwrap();
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if cuts {
            let at = cut.index(bytes.len());
            bytes.truncate(at);
        }
        exercise(&bytes);
    }

    /// Numbers in the right places reach deeper than random bytes do.
    #[test]
    fn hostile_numbers_are_refused_or_survived(
        template in 0..TEMPLATES.len(),
        changes in proptest::collection::vec(
            (
                0usize..5,
                any::<prop::sample::Index>(),
                any::<prop::sample::Index>(),
                prop_oneof![
                    Just(0i64), Just(-1), Just(1), Just(2), Just(3), Just(i64::MAX), Just(i64::MIN),
                    Just(1 << 31), Just(1_000_000_000_000_000), Just(-2), Just(1 << 22), Just(100_000),
                ],
            ),
            1..4,
        ),
    ) {
        let mut proto = proto_of(&TEMPLATES[template].1(7, 2, 3));
        let graph = proto.graph.mut_or_insert_default();
        for (what, place, element, value) in changes {
            match what {
                0 => {
                    let node = place.index(graph.node.len());
                    let attributes = &mut graph.node[node].attribute;
                    if !attributes.is_empty() {
                        let at = element.index(attributes.len());
                        let attribute = &mut attributes[at];
                        attribute.i = attribute.i.map(|_| value);
                        if let Some(own) = attribute.ints.first_mut() {
                            *own = value;
                        }
                    }
                }
                1 => {
                    let stored = graph.initializer.iter_mut();
                    let mut ints: Vec<_> =
                        stored.filter(|t| !t.int64_data.is_empty()).collect();
                    if !ints.is_empty() {
                        let count = ints.len();
                        let tensor = &mut ints[place.index(count)].int64_data;
                        let at = element.index(tensor.len());
                        tensor[at] = value;
                    }
                }
                2 => {
                    // Another value in place of an input.
                    let from = place.index(graph.node.len());
                    let to = element.index(graph.node.len());
                    let name = graph.node[from].output[0].clone();
                    let inputs = &mut graph.node[to].input;
                    if !inputs.is_empty() {
                        let slot = place.index(inputs.len());
                        inputs[slot] = name;
                    }
                }
                3 => {
                    let node = place.index(graph.node.len());
                    let inputs = &mut graph.node[node].input;
                    if !inputs.is_empty() {
                        let at = element.index(inputs.len());
                        inputs.remove(at);
                    }
                }
                _ => {
                    let shape = graph.input[0].type_.mut_or_insert_default().mut_tensor_type();
                    let dims = &mut shape.shape.mut_or_insert_default().dim;
                    let at = element.index(dims.len());
                    dims[at].set_dim_value(value);
                }
            }
        }
        exercise(&proto.write_to_bytes().unwrap());
    }
}
