//! Multiply-adds are those of one sample, wherever the batch lies and however weights are stored.

use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

use crate::build::{Attr, Net};

/// Those of a convolution of 3 x 3 from 3 to 4 channels at 6 x 6 pixels.
const CONV: u64 = 4 * 27 * 36;

/// Batches: of eight, of one, open.
const BATCHES: [i64; 3] = [8, 1, -1];

/// Multiply-adds of a model, of which none may be unknown; and free kernels.
fn count(model: &Model) -> (u64, usize) {
    let graph = Graph::from_model(model).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let cost = CostModel::new(&graph, &groups).unwrap();
    assert_eq!(cost.uncounted(), [] as [&str; 0]);
    let free = groups.groups.iter().filter(|group| group.pinned.is_none());
    let free = free.map(|group| group.width).sum();
    (cost.count(&Masks::all_active(&groups)).macs, free)
}

/// Four channels of 6 x 6 pixels, with `behind` after them.
fn behind_conv(batch: i64, behind: impl FnOnce(&mut Net, &str) -> String) -> Model {
    let mut net = Net::new(1, 17);
    let x = net.input(&[batch, 3, 6, 6]);
    let x = net.conv(&x, 3, 4, 3, 1);
    let y = behind(&mut net, &x);
    net.finish(&y)
}

fn transpose(net: &mut Net, x: &str, perm: &[i64]) -> String {
    net.node("Transpose", &[x], &[("perm", Attr::Is(perm))])
}

/// `[n, 4]` to `[n, 5]` in one of the ways that files write it.
fn layer(net: &mut Net, x: &str, way: &str) -> String {
    let rows = |net: &mut Net| net.weights(&[5, 4]);
    let columns = |net: &mut Net| net.weights(&[4, 5]);
    match way {
        "stored" => {
            let w = columns(net);
            net.node("MatMul", &[x, &w], &[])
        }
        "transposed" => {
            let w = rows(net);
            let w = transpose(net, &w, &[1, 0]);
            net.node("MatMul", &[x, &w], &[])
        }
        "cast" => {
            let w = columns(net);
            let w = net.node("Cast", &[&w], &[("to", Attr::I(1))]);
            net.node("MatMul", &[x, &w], &[])
        }
        "scaled" => {
            let (w, scale) = (columns(net), net.weights(&[5]));
            let w = net.node("Mul", &[&w, &scale], &[]);
            net.node("MatMul", &[x, &w], &[])
        }
        "weights first" => {
            let (w, x) = (rows(net), transpose(net, x, &[1, 0]));
            let y = net.node("MatMul", &[&w, &x], &[]);
            transpose(net, &y, &[1, 0])
        }
        "gemm" => {
            let w = rows(net);
            let w = net.node("Identity", &[&w], &[]);
            net.node("Gemm", &[x, &w], &[("transB", Attr::I(1))])
        }
        "gemm, weights first" => {
            let w = columns(net);
            let transposes = [("transA", Attr::I(1)), ("transB", Attr::I(1))];
            let y = net.node("Gemm", &[&w, x], &transposes);
            transpose(net, &y, &[1, 0])
        }
        _ => {
            let w = columns(net);
            net.node("Einsum", &[x, &w], &[("equation", Attr::S("nc, co -> no"))])
        }
    }
}

#[test]
fn a_layer_counts_the_same_however_it_is_written() {
    let ways = [
        "stored",
        "transposed",
        "cast",
        "scaled",
        "weights first",
        "gemm",
        "gemm, weights first",
        "einsum",
    ];
    for batch in BATCHES {
        for way in ways {
            let model = behind_conv(batch, |net, x| {
                let x = net.node("GlobalAveragePool", &[x], &[]);
                let x = net.node("Flatten", &[&x], &[]);
                let x = layer(net, &x, way);
                net.linear(&x, 5, 3)
            });
            let (macs, _) = count(&model);
            assert_eq!(macs, CONV + 4 * 5 + 5 * 3, "{way}, batch {batch}");
        }
    }
}

#[test]
fn the_batch_may_lie_anywhere() {
    for batch in BATCHES {
        // [n, 4, 6] to [6, n, 4].
        let sequence_first = behind_conv(batch, |net, x| {
            let x = net.node(
                "ReduceMean",
                &[x],
                &[("axes", Attr::Is(&[2])), ("keepdims", Attr::I(0))],
            );
            let x = transpose(net, &x, &[2, 0, 1]);
            let w = net.weights(&[4, 5]);
            net.node("MatMul", &[&x, &w], &[])
        });
        assert_eq!(count(&sequence_first).0, CONV + 6 * 4 * 5, "batch {batch}");
        // Both operands are computed, and one of them has no batch.
        let computed = behind_conv(batch, |net, x| {
            let all = [("axes", Attr::Is(&[0, 3][..])), ("keepdims", Attr::I(0))];
            let mean = net.node("ReduceMean", &[x], &all);
            let pixels = [("axes", Attr::Is(&[2, 3][..])), ("keepdims", Attr::I(0))];
            let x = net.node("ReduceMean", &[x], &pixels);
            net.node("MatMul", &[&x, &mean], &[])
        });
        assert_eq!(count(&computed).0, CONV + 4 * 6, "batch {batch}");
        // Attention between pixels.
        let attention = behind_conv(batch, |net, x| {
            let shape = net.ints(&[0, 4, 36]);
            let x = net.node("Reshape", &[x, &shape], &[]);
            let y = transpose(net, &x, &[0, 2, 1]);
            let scores = net.node("MatMul", &[&y, &x], &[]);
            net.node("MatMul", &[&x, &scores], &[])
        });
        assert_eq!(count(&attention).0, CONV + 2 * 36 * 36 * 4, "batch {batch}");
    }
}

#[test]
fn recurrent_layers_count_every_step_and_lose_columns() {
    for batch in BATCHES {
        for (op_type, gates) in [("LSTM", 4usize), ("GRU", 3), ("RNN", 1)] {
            for layout in [0, 1] {
                let model = behind_conv(batch, |net, x| {
                    let x = net.node(
                        "ReduceMean",
                        &[x],
                        &[("axes", Attr::Is(&[2])), ("keepdims", Attr::I(0))],
                    );
                    let perm: &[i64] = if layout == 0 { &[2, 0, 1] } else { &[0, 2, 1] };
                    let x = transpose(net, &x, perm);
                    let w = net.weights(&[2, gates * 5, 4]);
                    let r = net.weights(&[2, gates * 5, 5]);
                    let attributes = [
                        ("hidden_size", Attr::I(5)),
                        ("direction", Attr::S("bidirectional")),
                        ("layout", Attr::I(layout)),
                    ];
                    let x = net.node(op_type, &[&x, &w, &r], &attributes);
                    let w = net.weights(&[5, 3]);
                    net.node("MatMul", &[&x, &w], &[])
                });
                let own = (6 * 2 * gates * 5 * (4 + 5)) as u64;
                let expected = (CONV + own + 6 * 2 * 5 * 3, 4);
                assert_eq!(
                    count(&model),
                    expected,
                    "{op_type}, layout {layout}, batch {batch}"
                );
            }
        }
    }
}

#[test]
fn attention_counts_scores_and_means() {
    let heads = |net: &mut Net, x: &str| {
        let shape = net.ints(&[0, 2, 2, 36]);
        let x = net.node("Reshape", &[x, &shape], &[]);
        transpose(net, &x, &[0, 1, 3, 2])
    };
    for batch in BATCHES {
        let model = behind_conv(batch, |net, x| {
            let x = heads(net, x);
            net.node("Attention", &[&x, &x, &x], &[])
        });
        assert_eq!(
            count(&model).0,
            CONV + 2 * 36 * 36 * (2 + 2),
            "batch {batch}"
        );
    }
}

/// Efficient channel attention: a convolution runs over the means of the channels, so that it has
/// fewer places to run over where channels go.
#[test]
fn a_convolution_over_channels_takes_fewer_steps_behind_fewer_of_them() {
    let model = behind_conv(1, |net, x| {
        let means = net.node(
            "ReduceMean",
            &[x],
            &[("axes", Attr::Is(&[2, 3])), ("keepdims", Attr::I(0))],
        );
        let first = net.ints(&[1]);
        let means = net.node("Unsqueeze", &[&means, &first], &[]);
        let w = net.weights(&[1, 1, 3]);
        let gates = net.node("Conv", &[&means, &w], &[("pads", Attr::Is(&[1, 1]))]);
        let gates = net.node("Sigmoid", &[&gates], &[]);
        let gates = transpose(net, &gates, &[0, 2, 1]);
        let last = net.ints(&[3]);
        let gates = net.node("Unsqueeze", &[&gates, &last], &[]);
        let gated = net.node("Mul", &[x, &gates], &[]);
        net.conv(&gated, 4, 2, 3, 1)
    });
    let model = model.with_mixing(true);
    let graph = Graph::from_model(&model).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let cost = CostModel::new(&graph, &groups).unwrap();
    let mut masks = Masks::all_active(&groups);
    let (over_channels, behind) = (3 * 4, 2 * 36 * 36);
    assert_eq!(cost.count(&masks).macs, CONV + over_channels + behind);
    let free = groups
        .groups
        .iter()
        .position(|group| group.pinned.is_none());
    masks.0[free.unwrap()][1] = false;
    masks.0[free.unwrap()][2] = false;
    let left = (CONV + over_channels + behind) / 2;
    assert_eq!(cost.count(&masks).macs, left);
    let small = surgery::remove(&model, &groups, &masks).unwrap();
    assert_eq!(count(&small).0, left);
}
