//! Rewrites what else counts channels: attributes and constant inputs.

use std::collections::{HashMap, HashSet};

use protobuf::MessageField;

use crate::coupling::{Edit, KernelRef, Masks};
use crate::model::{Tensor, Values, initializer};
use crate::proto::attribute_proto::AttributeType;
use crate::proto::tensor_proto::DataType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Positions, with the kernel of each that has one.
type Positions = Vec<Option<KernelRef>>;

fn stays(masks: &Masks, kernel: Option<KernelRef>) -> bool {
    kernel.is_none_or(|(group, index)| masks.0[group][index])
}

/// Number of positions that stay.
pub(super) fn kept(masks: &Masks, positions: &[Option<KernelRef>]) -> i64 {
    positions
        .iter()
        .filter(|kernel| stays(masks, **kernel))
        .count() as i64
}

/// Rewrites the graph after its stored tensors were cut.
pub(super) fn apply(graph: &mut GraphProto, edits: &[Edit<Positions>], masks: &Masks) {
    let by_output: HashMap<String, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |name| (name.clone(), index)))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    for edit in edits {
        match edit {
            Edit::Attribute {
                node,
                name,
                counts,
                is_list,
            } => {
                let Some(&index) = by_output.get(node) else {
                    continue;
                };
                let attributes = &mut graph.node[index].attribute;
                let Some(attribute) = attributes.iter_mut().find(|a| a.name() == name) else {
                    continue;
                };
                for (element, positions) in counts {
                    let count = kept(masks, positions);
                    if !is_list {
                        attribute.set_i(count);
                    } else if let Some(value) = attribute.ints.get_mut(*element) {
                        *value = count;
                    }
                }
            }
            Edit::Input {
                node,
                slot,
                template,
                counts,
            } => {
                let Some(&index) = by_output.get(node) else {
                    continue;
                };
                let mut values = template.clone();
                for (element, positions) in counts {
                    if let Some(value) = values.get_mut(*element) {
                        *value = kept(masks, positions);
                    }
                }
                set_input(graph, index, *slot, &values);
            }
            Edit::Indices {
                node,
                slot,
                axis,
                indices,
            } => {
                let Some(&index) = by_output.get(node) else {
                    continue;
                };
                let values: Vec<i64> = indices
                    .iter()
                    .filter(|&&at| stays(masks, axis[at]))
                    .map(|&at| kept(masks, &axis[..at]))
                    .collect();
                set_input(graph, index, *slot, &values);
            }
            Edit::Split {
                node,
                parts,
                as_input,
            } => {
                let Some(&index) = by_output.get(node) else {
                    continue;
                };
                let sizes: Vec<i64> = parts.iter().map(|part| kept(masks, part)).collect();
                set_split(graph, index, &sizes, *as_input);
            }
        }
    }
}

/// Writes out the sizes of a split that had none, unless it still divides evenly.
fn set_split(graph: &mut GraphProto, index: usize, sizes: &[i64], as_input: bool) {
    if sizes.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    if as_input {
        set_input(graph, index, 1, sizes);
        graph.node[index]
            .attribute
            .retain(|a| a.name() != "num_outputs");
        return;
    }
    let mut attribute = AttributeProto::new();
    attribute.set_name("split".to_string());
    attribute.set_type(AttributeType::INTS);
    attribute.ints = sizes.to_vec();
    graph.node[index].attribute.push(attribute);
}

/// How often each value is read, outputs and subgraphs included.
fn readers(graph: &GraphProto, name: &str) -> usize {
    fn in_node(node: &NodeProto, name: &str) -> usize {
        let own = node.input.iter().filter(|input| *input == name).count();
        let graphs = node
            .attribute
            .iter()
            .flat_map(|a| a.g.as_ref().into_iter().chain(&a.graphs));
        own + graphs.map(|graph| readers(graph, name)).sum::<usize>()
    }
    graph
        .node
        .iter()
        .map(|node| in_node(node, name))
        .sum::<usize>()
        + graph
            .output
            .iter()
            .filter(|output| output.name() == name)
            .count()
}

/// Makes input `slot` of a node a constant with these values: in place where nobody
/// else reads it, else as a new initialiser.
fn set_input(graph: &mut GraphProto, index: usize, slot: usize, values: &[i64]) {
    let old = graph.node[index]
        .input
        .get(slot)
        .cloned()
        .unwrap_or_default();
    let alone = !old.is_empty() && readers(graph, &old) == 1;
    let mut like: Option<Tensor> = None;
    let mut taken: HashSet<String> = HashSet::new();
    for named in initializer::tensors_mut(graph) {
        if named.name == old {
            let Ok(mut tensor) = initializer::decode(named.proto, &old, None) else {
                continue;
            };
            replace(&mut tensor, values);
            if alone {
                initializer::store(named.proto, &tensor);
                return;
            }
            like = Some(tensor);
        }
        taken.insert(named.name);
    }
    let tensor = like.unwrap_or_else(|| Tensor {
        shape: vec![values.len()],
        values: Values::I64(values.to_vec()),
    });
    taken.extend(
        graph
            .node
            .iter()
            .flat_map(|node| node.output.iter().cloned()),
    );
    let base = format!(
        "{}/input{slot}",
        graph.node[index].output.first().map_or("", |o| o)
    );
    let mut name = base.clone();
    let mut number = 1;
    while taken.contains(&name) {
        number += 1;
        name = format!("{base}_{number}");
    }
    let mut proto = TensorProto::new();
    proto.set_name(name.clone());
    proto.set_data_type(match tensor.values {
        Values::I32(_) => DataType::INT32 as i32,
        _ => DataType::INT64 as i32,
    });
    proto.set_raw_data(Default::default());
    initializer::store(&mut proto, &tensor);
    graph.initializer.push(proto);
    let inputs = &mut graph.node[index].input;
    if inputs.len() <= slot {
        inputs.resize(slot + 1, String::new());
    }
    inputs[slot] = name;
}

/// Other values in a tensor of integers, its type and rank kept.
fn replace(tensor: &mut Tensor, values: &[i64]) {
    if !tensor.shape.is_empty() {
        tensor.shape = vec![values.len()];
    }
    tensor.values = match &tensor.values {
        Values::I32(_) => Values::I32(
            values
                .iter()
                .map(|&v| i32::try_from(v).unwrap_or(i32::MAX))
                .collect(),
        ),
        _ => Values::I64(values.to_vec()),
    };
}

/// Extents in a value's type that are no longer right.
pub(super) fn set_extents(
    graph: &mut GraphProto,
    mut extent: impl FnMut(&str, usize) -> Option<i64>,
) {
    for info in &mut graph.value_info {
        let name = info.name().to_string();
        let Some(type_) = info.type_.as_mut().filter(|t| t.has_tensor_type()) else {
            continue;
        };
        let shape: &mut MessageField<_> = &mut type_.mut_tensor_type().shape;
        let Some(shape) = shape.as_mut() else {
            continue;
        };
        for (axis, dim) in shape
            .dim
            .iter_mut()
            .enumerate()
            .filter(|(_, d)| d.has_dim_value())
        {
            if let Some(kept) = extent(&name, axis) {
                dim.set_dim_value(kept);
            }
        }
    }
    // Initialisers may be listed among the inputs, with their shapes.
    let stored: HashMap<String, Vec<i64>> = graph
        .initializer
        .iter()
        .map(|t| (t.name().to_string(), t.dims.clone()))
        .collect();
    for input in &mut graph.input {
        let Some(dims) = stored.get(input.name()) else {
            continue;
        };
        let Some(type_) = input.type_.as_mut().filter(|t| t.has_tensor_type()) else {
            continue;
        };
        let Some(shape) = type_.mut_tensor_type().shape.as_mut() else {
            continue;
        };
        for (dim, &extent) in shape
            .dim
            .iter_mut()
            .zip(dims)
            .filter(|(d, _)| d.has_dim_value())
        {
            dim.set_dim_value(extent);
        }
    }
}
