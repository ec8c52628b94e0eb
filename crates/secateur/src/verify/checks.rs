//! What needs no engine: interface, size and shapes.

use secateur_onnx::cost::Size;
use secateur_onnx::coupling::ChannelGroups;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;

use super::Check;

/// Inputs, outputs, node names and opset are those of the original.
pub(super) fn interface(
    original: &Model,
    small: &Model,
    graph: &Graph,
    small_graph: &Graph,
) -> Check {
    let names = |graph: &Graph| -> Vec<String> {
        graph.nodes.iter().map(|node| node.name.clone()).collect()
    };
    let opsets = |model: &Model| -> Vec<(String, i64)> {
        let sets = model.operator_sets();
        sets.map(|(name, version)| (name.to_string(), version))
            .collect()
    };
    let mut differences = Vec::new();
    if graph.inputs != small_graph.inputs {
        differences.push("inputs");
    }
    if graph.outputs != small_graph.outputs {
        differences.push("outputs");
    }
    if names(graph) != names(small_graph) {
        differences.push("nodes");
    }
    if opsets(original) != opsets(small) {
        differences.push("opset");
    }
    Check {
        name: "same interface".to_string(),
        passed: differences.is_empty(),
        detail: if differences.is_empty() {
            "inputs, outputs, node names and opset are those of the original".to_string()
        } else {
            format!("these differ: {}", differences.join(", "))
        },
    }
}

/// The masks, counted in the original, leave what the file holds.
pub(super) fn size(counted: Size, found: Size) -> Check {
    Check {
        name: "removed kernels account for the size".to_string(),
        passed: counted == found,
        detail: format!(
            "expected {} kernels, {} parameters, {} MACs; found {}, {}, {}",
            counted.kernels, counted.params, counted.macs, found.kernels, found.params, found.macs
        ),
    }
}

/// Quantised weights are not trained: those of the file are the original's, cut.
pub(super) fn same_quantised(groups: &ChannelGroups, expected: &Graph, found: &Graph) -> Check {
    let mut names = groups.quantised.keys().map(String::as_str);
    let differing = names.find(|name| {
        let (cut, own) = (
            expected.initializers.get(*name),
            found.initializers.get(*name),
        );
        cut.is_some_and(|cut| !cut.is_float()) && cut != own
    });
    Check {
        name: "quantised weights are the original's".to_string(),
        passed: differing.is_none(),
        detail: match differing {
            None => format!("{} tensors", groups.quantised.len()),
            Some(name) => format!("`{name}` holds other numbers"),
        },
    }
}

/// Every tensor has the shape that the same cut gives it again.
pub(super) fn same_shapes(expected: &Graph, found: &Graph) -> Check {
    let differing = expected.initializers.iter().find(|(name, tensor)| {
        found
            .initializers
            .get(*name)
            .is_none_or(|other| other.shape != tensor.shape)
    });
    Check {
        name: "every tensor has the expected shape".to_string(),
        passed: differing.is_none() && expected.initializers.len() == found.initializers.len(),
        detail: match differing {
            None => format!("{} tensors", found.initializers.len()),
            Some((name, tensor)) => format!("`{name}` should be {:?}", tensor.shape),
        },
    }
}
