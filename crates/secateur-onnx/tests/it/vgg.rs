//! The VGG-like builder, its groups, and removal from it.

use proptest::prelude::*;
use secateur_onnx::arch::{VggConfig, vgg_like};
use secateur_onnx::cost::CostModel;
use secateur_onnx::coupling::{ChannelGroups, Masks, Role};
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;

fn default_model() -> Model {
    vgg_like(&VggConfig::new([1, 28, 28], 10), 7).unwrap()
}

#[test]
fn every_convolution_and_hidden_layer_is_a_group() {
    let graph = Graph::from_model(&default_model()).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let found: Vec<(&str, usize, bool, bool)> = groups
        .groups
        .iter()
        .map(|g| (g.name.as_str(), g.width, g.is_conv, g.pinned.is_some()))
        .collect();
    assert_eq!(
        found,
        [
            ("conv1", 32, true, false),
            ("conv2", 32, true, false),
            ("conv3", 64, true, false),
            ("conv4", 64, true, false),
            ("conv5", 128, true, false),
            ("conv6", 128, true, false),
            ("conv7", 128, true, false),
            ("fc1", 128, false, false),
            ("classifier", 10, false, true),
        ]
    );
    // A kernel of the last convolution meets nine columns of the flattened consumer.
    let last = &groups.groups[6];
    let consumer = last.members.iter().find(|m| m.role == Role::Input).unwrap();
    assert_eq!(consumer.tensor, "fc1.weight");
    assert_eq!(consumer.positions[2], (18..27).collect::<Vec<_>>());
    let pinned = groups.groups[8].pinned.as_ref().unwrap();
    assert!(pinned.node.contains("logits"), "{pinned:?}");
}

#[test]
fn size_of_the_default_network() {
    let graph = Graph::from_model(&default_model()).unwrap();
    let groups = ChannelGroups::find(&graph).unwrap();
    let size = CostModel::new(&graph, &groups)
        .unwrap()
        .count(&Masks::all_active(&groups));
    let convs = [
        (1, 32, 28),
        (32, 32, 28),
        (32, 64, 14),
        (64, 64, 14),
        (64, 128, 7),
        (128, 128, 7),
        (128, 128, 7),
    ];
    let conv_params: u64 = convs.iter().map(|(i, o, _)| 9 * i * o).sum();
    let conv_macs: u64 = convs.iter().map(|(i, o, s)| 9 * i * o * s * s).sum();
    let norms: u64 = convs.iter().map(|(_, o, _)| 2 * o).sum();
    let (fc1, classifier) = (128 * 9 * 128, 128 * 10);
    assert_eq!(size.kernels, 576);
    assert_eq!(size.conv_params, conv_params);
    assert_eq!(
        size.params,
        conv_params + norms + fc1 + 128 + classifier + 10
    );
    assert_eq!(size.macs, conv_macs + fc1 + classifier);
}

fn small_model() -> (Model, ChannelGroups) {
    let mut config = VggConfig::new([2, 8, 8], 3);
    config.stages = VggConfig::parse_stages("3,4,M,5,M").unwrap();
    config.hidden = vec![6];
    let model = vgg_like(&config, 1).unwrap();
    let groups = ChannelGroups::find(&Graph::from_model(&model).unwrap()).unwrap();
    (model, groups)
}

fn masks() -> impl Strategy<Value = Masks> {
    let (_, groups) = small_model();
    let groups: Vec<_> = groups
        .groups
        .iter()
        .map(|g| {
            let pinned = g.pinned.is_some();
            (
                proptest::collection::vec(any::<bool>(), g.width),
                0..g.width,
            )
                .prop_map(move |(mut flags, kept)| {
                    flags[kept] = true;
                    if pinned {
                        vec![true; flags.len()]
                    } else {
                        flags
                    }
                })
        })
        .collect();
    groups.prop_map(Masks)
}

proptest! {
    #[test]
    fn the_written_file_has_the_size_that_was_counted(masks in masks()) {
        let (model, groups) = small_model();
        let graph = Graph::from_model(&model).unwrap();
        let counted = CostModel::new(&graph, &groups).unwrap().count(&masks);
        let removed = surgery::remove(&model, &groups, &masks).unwrap();
        let removed = Model::from_bytes(&removed.to_bytes().unwrap(), None).unwrap();
        let small = Graph::from_model(&removed).unwrap();
        let own = ChannelGroups::find(&small).unwrap();
        let found = CostModel::new(&small, &own).unwrap().count(&Masks::all_active(&own));
        prop_assert_eq!(counted, found);
        let widths: Vec<usize> = own.groups.iter().map(|g| g.width).collect();
        let active: Vec<usize> = (0..masks.0.len()).map(|g| masks.active(g)).collect();
        prop_assert_eq!(widths, active);
        prop_assert_eq!(&small.inputs, &graph.inputs);
        prop_assert_eq!(&small.outputs, &graph.outputs);
    }
}

#[test]
fn masks_that_empty_a_group_or_cut_a_pinned_one_are_refused() {
    let (model, groups) = small_model();
    let mut masks = Masks::all_active(&groups);
    masks.0[1] = vec![false; 4];
    let error = surgery::remove(&model, &groups, &masks)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("conv2") && error.contains("at least one"),
        "{error}"
    );
    let mut masks = Masks::all_active(&groups);
    masks.0[4][0] = false;
    let error = surgery::remove(&model, &groups, &masks)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("classifier") && error.contains("output"),
        "{error}"
    );
}
