//! The files in `fixtures/`: each structural idea as PyTorch's exporters, or other tools,
//! write it.

use std::path::{Path, PathBuf};

use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::message::{TensorProto, proto_of};
use crate::surgery as removal;

/// What a fixture must show.
struct Fixture {
    idea: &'static str,
    /// Widths of the groups that can be pruned, sorted.
    free: &'static [usize],
    /// Why channels are pinned that are no outputs of the model.
    pinned: &'static [&'static str],
    /// False for operators that the reference evaluator lacks: those are run by
    /// onnxruntime alone (`fixtures/check.py`).
    evaluated: bool,
}

const fn plain(idea: &'static str, free: &'static [usize]) -> Fixture {
    Fixture {
        idea,
        free,
        pinned: &[],
        evaluated: true,
    }
}

const fn pinned(
    idea: &'static str,
    free: &'static [usize],
    pinned: &'static [&'static str],
) -> Fixture {
    Fixture {
        pinned,
        ..plain(idea, free)
    }
}

const FIXTURES: &[Fixture] = &[
    // With stem s, units u and v, the last layer reads s0 v0 u0 v1 s1 v2 u1 v3: positions
    // that the second shuffle keeps apart are {s0 u0 v0 v1} and {s1 u1 v2 v3}, the first
    // {s2 u2} and {s3 u3}; s4 to s7 enter the first unit alone.
    plain("channel-shuffle", &[2, 2, 4, 4, 4, 6]),
    plain("concat", &[2, 4, 5, 6]),
    plain("constant-nodes", &[5, 6]),
    plain("dense", &[3, 3, 4, 5]),
    plain("depthwise", &[4, 8]),
    plain("double", &[5, 6]),
    plain("dynamic-size", &[4, 5]),
    plain("external-data", &[5, 6]),
    plain("flatten", &[4, 6]),
    Fixture {
        evaluated: false,
        ..pinned("functions", &[5, 6], &["custom operator local::Swish"])
    },
    // Exporters write it as an instance norm of the groups' pixels: its mean pins them.
    pinned("group-norm", &[5], &["takes a mean"]),
    // A kernel is the same position in both groups.
    plain("grouped", &[3, 4, 5]),
    plain("half", &[5, 6]),
    plain("instance-norm", &[5, 6]),
    pinned("layer-norm", &[8], &["norm"]),
    Fixture {
        evaluated: false,
        ..pinned(
            "nested-subgraph",
            &[5, 6],
            &["no channel rule for operator If"],
        )
    },
    // Four channels make one after the shuffle.
    plain("pixel-shuffle", &[3, 5]),
    plain("plain", &[5, 6]),
    plain("prelu", &[5, 6]),
    plain("residual", &[4, 5, 6]),
    plain("residual-broadcast", &[4, 6]),
    plain("se-gate", &[2, 5, 6]),
    plain("shared", &[4, 5]),
    // A stride over channels is not followed.
    pinned("slice", &[4], &["slices by steps"]),
    plain("split", &[4, 5, 5]),
    plain("unet", &[4, 4, 5, 6]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A fixture's models, by both exporters where there are two.
fn models(idea: &str) -> Vec<(String, Model)> {
    let files = ["model.onnx", "dynamo.onnx"].map(|file| folder().join(idea).join(file));
    let there = files.iter().filter(|path| path.exists());
    let read = |path: &PathBuf| (path.display().to_string(), Model::read(path).unwrap());
    there.map(read).collect()
}

#[test]
fn every_fixture_is_expected() {
    let mut found: Vec<String> = fs_err::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("model.onnx").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let expected: Vec<&str> = FIXTURES.iter().map(|fixture| fixture.idea).collect();
    assert_eq!(found, expected);
}

#[test]
fn groups_are_those_of_the_structure() {
    for fixture in FIXTURES {
        for (name, model) in models(fixture.idea) {
            let groups = ChannelGroups::find(&Graph::outline(&model).unwrap()).unwrap();
            let free = groups.groups.iter().filter(|group| group.pinned.is_none());
            let mut free: Vec<usize> = free.map(|group| group.width).collect();
            free.sort_unstable();
            assert_eq!(free, fixture.free, "{name}: {:#?}", groups.groups);
            let reasons: Vec<&str> = groups
                .groups
                .iter()
                .filter_map(|group| Some(group.pinned.as_ref()?.reason.as_str()))
                .filter(|reason| !reason.contains("output of the model"))
                .collect();
            for expected in fixture.pinned {
                let there = reasons.iter().any(|reason| reason.contains(expected));
                assert!(there, "{name}: {reasons:?}");
            }
            assert_eq!(
                reasons.is_empty(),
                fixture.pinned.is_empty(),
                "{name}: {reasons:?}"
            );
        }
    }
}

#[test]
fn removal_equals_zeroing_and_counts_agree() {
    for fixture in FIXTURES {
        for (name, model) in models(fixture.idea) {
            if fixture.evaluated {
                let gone: usize = (0..6).map(|seed| removal::check(&name, &model, seed)).sum();
                assert!(gone > 0, "{name}");
                continue;
            }
            let graph = Graph::outline(&model).unwrap();
            let groups = ChannelGroups::find(&graph).unwrap();
            let masks = groups.groups.iter().map(|group| {
                let keep = |kernel| group.pinned.is_some() || kernel % 2 == 0;
                (0..group.width).map(keep).collect()
            });
            let masks = Masks(masks.collect());
            let small = surgery::remove(&model, &groups, &masks).unwrap();
            let small = Graph::outline(&small).unwrap();
            let own = ChannelGroups::find(&small).unwrap();
            let counted = CostModel::new(&graph, &groups).unwrap().count(&masks);
            let written = CostModel::new(&small, &own).unwrap();
            assert_eq!(counted, written.count(&Masks::all_active(&own)), "{name}");
        }
    }
}

/// Everything that surgery has no business with is as it was.
#[test]
fn the_rest_of_the_message_stays() {
    for fixture in FIXTURES {
        for (name, model) in models(fixture.idea) {
            let groups = ChannelGroups::find(&Graph::outline(&model).unwrap()).unwrap();
            let masks = groups.groups.iter().map(|group| {
                let keep = |kernel| group.pinned.is_some() || kernel + 1 < group.width;
                (0..group.width).map(keep).collect()
            });
            let cut = surgery::remove(&model, &groups, &Masks(masks.collect())).unwrap();
            let (mut before, mut after) = (proto_of(&model), proto_of(&cut));
            for proto in [&mut before, &mut after] {
                let graph = proto.graph.mut_or_insert_default();
                // What may change: values of stored tensors, counts, stated extents.
                for tensor in &mut graph.initializer {
                    *tensor = {
                        let mut bare = TensorProto::new();
                        bare.set_name(tensor.name().to_string());
                        bare.set_data_type(tensor.data_type());
                        bare
                    };
                }
                for info in &mut graph.value_info {
                    info.type_.clear();
                }
                for node in &mut graph.node {
                    let changes = matches!(
                        node.op_type(),
                        "Constant" | "Split" | "Reshape" | "Slice" | "Conv"
                    );
                    if changes {
                        node.attribute.clear();
                        node.input.truncate(1);
                    }
                }
                graph
                    .initializer
                    .retain(|tensor| !tensor.name().contains("/input"));
            }
            assert_eq!(before, after, "{name}");
        }
    }
}
