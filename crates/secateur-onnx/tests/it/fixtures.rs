//! The files in `fixtures/`: each structural idea as PyTorch's exporters, or other tools,
//! write it.

use std::path::{Path, PathBuf};

use secateur_onnx::cost::{CostModel, Tally};
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::shape::infer_shapes;
use secateur_onnx::surgery;

use crate::message::{GraphProto, TensorProto, proto_of};
use crate::surgery as removal;

/// What a fixture must show.
pub struct Fixture {
    pub idea: &'static str,
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

const fn quantised(fixture: Fixture) -> Fixture {
    Fixture {
        evaluated: false,
        ..fixture
    }
}

pub const FIXTURES: &[Fixture] = &[
    // The five channels that leave both branches are one group.
    Fixture {
        evaluated: false,
        ..plain("branches", &[3, 4, 4, 5, 6, 7])
    },
    // Without `allow_mixing`.
    Fixture {
        evaluated: false,
        ..pinned(
            "channel-attention",
            &[5],
            &["takes a mean", "slides a window over these channels"],
        )
    },
    // With stem s, units u and v, the last layer reads s0 v0 u0 v1 s1 v2 u1 v3: positions
    // that the second shuffle keeps apart are {s0 u0 v0 v1} and {s1 u1 v2 v3}, the first
    // {s2 u2} and {s3 u3}; s4 to s7 enter the first unit alone.
    plain("channel-shuffle", &[2, 2, 4, 4, 4, 6]),
    plain("concat", &[2, 4, 5, 6]),
    plain("constant-nodes", &[5, 6]),
    Fixture {
        evaluated: false,
        ..pinned(
            "custom-operator",
            &[5, 6],
            &["custom operator own.operators::Blur"],
        )
    },
    // Offsets and masks stay; each position in both runs of three channels is one kernel.
    Fixture {
        evaluated: false,
        ..pinned("deformable", &[3, 5], &["takes this input as a whole"])
    },
    plain("dense", &[3, 3, 4, 5]),
    plain("depthwise", &[4, 8]),
    plain("double", &[5, 6]),
    plain("dynamic-size", &[4, 5]),
    // What queries and keys are compared by stays.
    Fixture {
        evaluated: false,
        ..pinned("einsum", &[5, 6, 7], &["sums over this axis"])
    },
    plain("explicit-padding", &[5, 6]),
    plain("external-data", &[5, 6]),
    plain("flatten", &[4, 6]),
    Fixture {
        evaluated: false,
        ..pinned("functions", &[5, 6], &["custom operator local::Swish"])
    },
    Fixture {
        evaluated: false,
        ..plain("fused", &[4, 5, 6])
    },
    Fixture {
        evaluated: false,
        ..pinned("grid-sample", &[4, 5], &["takes this input as a whole"])
    },
    // Exporters write it as an instance norm over the groups: whole groups go.
    plain("group-norm", &[2, 5]),
    // A kernel is the same position in both groups.
    plain("grouped", &[3, 4, 5]),
    plain("half", &[5, 6]),
    plain("instance-norm", &[5, 6]),
    pinned("layer-norm", &[8], &["norm"]),
    Fixture {
        evaluated: false,
        ..pinned(
            "loop",
            &[5, 5, 6],
            &["from one run of its body to the next"],
        )
    },
    Fixture {
        evaluated: false,
        ..plain("mixed-samples", &[5, 6])
    },
    Fixture {
        evaluated: false,
        ..plain("nested-subgraph", &[4, 5, 6])
    },
    plain("no-batch", &[4, 6]),
    Fixture {
        evaluated: false,
        ..plain("one-sample", &[5, 6])
    },
    plain("padded-skip", &[4, 4, 5, 6, 7]),
    // Four channels make one after the shuffle.
    plain("pixel-shuffle", &[3, 5]),
    plain("plain", &[5, 6]),
    plain("prelu", &[5, 6]),
    quantised(pinned(
        "quantised-blocks",
        &[5],
        &["scales are those of blocks"],
    )),
    quantised(plain("quantised-dynamic", &[4, 5, 6])),
    quantised(plain("quantised-operators", &[4, 5, 6])),
    quantised(plain("quantised-qdq", &[4, 5, 6])),
    Fixture {
        evaluated: false,
        ..plain("recurrent", &[6])
    },
    plain("residual", &[4, 5, 6]),
    plain("residual-broadcast", &[4, 6]),
    plain("se-gate", &[2, 5, 6]),
    // The operator that looks the best pixels up has a rule; the number of them stays.
    Fixture {
        evaluated: false,
        ..pinned("selection", &[4, 5, 6, 7, 8], &["splits or joins axes"])
    },
    plain("shared", &[4, 5]),
    // A stride over channels is not followed.
    pinned("slice", &[4], &["slices by steps"]),
    plain("split", &[4, 5, 5]),
    plain("standardised", &[4, 5, 6]),
    Fixture {
        evaluated: false,
        ..pinned(
            "suppression",
            &[4, 5, 6, 7],
            &["takes its inputs as a whole"],
        )
    },
    plain("twice", &[4, 4, 6]),
    Fixture {
        evaluated: false,
        ..plain("two-outputs", &[4, 4, 5, 6, 8])
    },
    plain("unet", &[4, 4, 5, 6]),
    plain("views", &[5, 6, 7]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A fixture's models as they are written, by both exporters where there are two.
pub fn files(idea: &str) -> Vec<(String, Model)> {
    let files = ["model.onnx", "dynamo.onnx"].map(|file| folder().join(idea).join(file));
    let there = files.iter().filter(|path| path.exists());
    let read = |path: &PathBuf| (path.display().to_string(), Model::read(path).unwrap());
    there.map(read).collect()
}

/// As [`files`], as pruning takes them.
fn models(idea: &str) -> Vec<(String, Model)> {
    let files = files(idea).into_iter();
    files
        .map(|(name, model)| (name, model.prepared()))
        .collect()
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

#[test]
fn sizes_are_the_same_kernel_by_kernel() {
    for fixture in FIXTURES {
        for (name, model) in models(fixture.idea) {
            let graph = Graph::outline(&model).unwrap();
            let groups = ChannelGroups::find(&graph).unwrap();
            let cost = CostModel::new(&graph, &groups).unwrap();
            let mut tally = Tally::new(&cost, Masks::all_active(&groups));
            for on in [false, true] {
                for (group, of) in groups.groups.iter().enumerate() {
                    for kernel in (0..of.width).step_by(if on { 3 } else { 2 }) {
                        tally.switch(group, kernel, on);
                    }
                    assert_eq!(tally.size(), cost.count(tally.masks()), "{name}");
                }
            }
            for (group, of) in groups.groups.iter().enumerate() {
                tally.narrow(group, of.width / 2);
                assert_eq!(tally.count(group), of.width / 2, "{name}");
                assert_eq!(tally.size(), cost.count(tally.masks()), "{name}");
            }
        }
    }
}

/// Takes values of stored tensors, counts and stated extents out of a graph and its subgraphs.
fn take_out_what_may_change(graph: &mut GraphProto) {
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
            "Constant" | "Split" | "Reshape" | "Slice" | "Conv" | "QLinearConv" | "ConvInteger"
        );
        if changes {
            node.attribute.clear();
            node.input.truncate(1);
        }
        let attributes = node.attribute.iter_mut();
        for inner in attributes.filter_map(|attribute| attribute.g.as_mut()) {
            for output in &mut inner.output {
                output.type_.clear();
            }
            take_out_what_may_change(inner);
        }
    }
    graph
        .initializer
        .retain(|tensor| !tensor.name().contains("/input"));
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
                take_out_what_may_change(proto.graph.mut_or_insert_default());
            }
            assert_eq!(before, after, "{name}");
        }
    }
}

/// On request channels go that a mean, a window or a norm mixes; the masked network computes
/// those on what is left. Outputs are compared by `fixtures/check.py` and in training's tests: the
/// reference evaluator lacks windows over one axis.
#[test]
fn mixed_channels_go_on_request() {
    for (name, model) in models("channel-attention") {
        let model = model.with_mixing(true);
        let groups = ChannelGroups::find(&Graph::outline(&model).unwrap()).unwrap();
        let free = groups.groups.iter().filter(|group| group.pinned.is_none());
        let mut free: Vec<usize> = free.map(|group| group.width).collect();
        free.sort_unstable();
        assert_eq!(free, [5, 6, 7, 8], "{name}");
        let halves = groups.groups.iter().map(|group| {
            let keep = |kernel| group.pinned.is_some() || kernel % 2 == 0;
            (0..group.width).map(keep).collect()
        });
        let halves = Masks(halves.collect());
        let mixed = groups.mixed(&halves);
        let of = |what: &str, counts: (usize, usize)| {
            let found = mixed.iter().filter(|one| one.what.contains(what));
            let mut found = found.map(|one| (one.before, one.after));
            assert!(found.any(|own| own == counts), "{name}: {what}: {mixed:?}");
        };
        of("mean", (6, 3));
        of("largest", (6, 3));
        of("window", (8, 4));
        of("normalises", (7, 4));
        // The masked network is a whole graph, with the shapes of the original.
        let masked = surgery::zero_inputs(&model, &groups, &halves).unwrap();
        let masked = Graph::from_model(&masked).unwrap();
        assert!(infer_shapes(&masked, None).is_ok(), "{name}");
        let small = surgery::remove(&model, &groups, &halves).unwrap();
        assert!(small.allows_mixing() && !small.with_mixing(false).allows_mixing());
    }
}

/// Quantised weights count as those of a float file, and stand for its numbers.
#[test]
fn quantised_files_count_as_float_ones() {
    for idea in ["quantised-dynamic", "quantised-operators", "quantised-qdq"] {
        for (name, model) in models(idea) {
            let graph = Graph::from_model(&model).unwrap();
            let groups = ChannelGroups::find(&graph).unwrap();
            let size = CostModel::new(&graph, &groups).unwrap();
            let size = size.count(&Masks::all_active(&groups));
            // Weights and biases of 3x3 convolutions to 6, 6 depthwise, 5 and 9, of a 1x1
            // convolution to 4, and of the classifier.
            let convs = 6 * 28 + 6 * 10 + 5 * 55 + 4 * 7 + 9 * 82;
            assert_eq!(size.kernels, 30, "{name}");
            assert_eq!(size.params, convs + 3 * 10, "{name}");
            let weights = 6 * 27 + 6 * 9 + 5 * 54 + 4 * 6 + 9 * 81;
            assert_eq!(size.macs, 64 * weights + 27, "{name}");
            assert!(
                groups.quantised.len() >= 5,
                "{name}: {:?}",
                groups.quantised
            );
            for tensor in groups.quantised.keys() {
                let values = groups.floats(&graph, tensor).unwrap();
                let shape = &graph.initializers[tensor].shape;
                // Drawn with a variance of 2 over the fan-in (`fixtures/common.py`).
                let fan_in = shape.iter().skip(1).product::<usize>().max(1);
                let power = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
                let expected = 2.0 / fan_in as f32;
                if shape.len() == 4 {
                    assert!(
                        power > 0.4 * expected && power < 2.5 * expected,
                        "{name}: `{tensor}` {power} for {expected}"
                    );
                }
            }
        }
    }
}
