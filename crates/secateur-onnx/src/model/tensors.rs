//! Every stored tensor of a message, wherever it lies: initialisers and attributes, in the
//! graph, in subgraphs and in functions.

use super::proto::{GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto};
use crate::error::Result;

/// Shows every stored tensor.
pub(super) fn visit(model: &ModelProto, visit: &mut dyn FnMut(&TensorProto)) {
    if let Some(graph) = model.graph.as_ref() {
        in_graph(graph, visit);
    }
    for function in &model.functions {
        function.node.iter().for_each(|node| in_node(node, visit));
    }
}

fn in_graph(graph: &GraphProto, visit: &mut dyn FnMut(&TensorProto)) {
    graph.initializer.iter().for_each(&mut *visit);
    for sparse in &graph.sparse_initializer {
        in_sparse(sparse, visit);
    }
    graph.node.iter().for_each(|node| in_node(node, visit));
}

fn in_sparse(sparse: &SparseTensorProto, visit: &mut dyn FnMut(&TensorProto)) {
    let parts = sparse
        .values
        .as_ref()
        .into_iter()
        .chain(sparse.indices.as_ref());
    parts.for_each(visit);
}

fn in_node(node: &NodeProto, visit: &mut dyn FnMut(&TensorProto)) {
    for attribute in &node.attribute {
        attribute
            .t
            .as_ref()
            .into_iter()
            .chain(&attribute.tensors)
            .for_each(&mut *visit);
        let sparse = attribute
            .sparse_tensor
            .as_ref()
            .into_iter()
            .chain(&attribute.sparse_tensors);
        sparse.for_each(|sparse| in_sparse(sparse, visit));
        let graphs = attribute.g.as_ref().into_iter().chain(&attribute.graphs);
        graphs.for_each(|graph| in_graph(graph, visit));
    }
}

/// What is done to a tensor.
type Change<'a> = &'a mut dyn FnMut(&mut TensorProto) -> Result<()>;

/// Changes every stored tensor, in the order of [`visit`].
///
/// # Errors
/// The first that `change` returns.
pub(super) fn try_visit_mut(model: &mut ModelProto, change: Change<'_>) -> Result<()> {
    if let Some(graph) = model.graph.as_mut() {
        change_graph(graph, change)?;
    }
    let mut functions = model.functions.iter_mut();
    functions.try_for_each(|function| change_nodes(&mut function.node, change))
}

fn change_graph(graph: &mut GraphProto, change: Change<'_>) -> Result<()> {
    graph.initializer.iter_mut().try_for_each(&mut *change)?;
    for sparse in &mut graph.sparse_initializer {
        change_sparse(sparse, change)?;
    }
    change_nodes(&mut graph.node, change)
}

fn change_sparse(sparse: &mut SparseTensorProto, change: Change<'_>) -> Result<()> {
    let parts = sparse
        .values
        .as_mut()
        .into_iter()
        .chain(sparse.indices.as_mut());
    parts.into_iter().try_for_each(change)
}

fn change_nodes(nodes: &mut [NodeProto], change: Change<'_>) -> Result<()> {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        let tensors = attribute
            .t
            .as_mut()
            .into_iter()
            .chain(&mut attribute.tensors);
        tensors.into_iter().try_for_each(&mut *change)?;
        let sparse = attribute.sparse_tensor.as_mut().into_iter();
        for sparse in sparse.chain(&mut attribute.sparse_tensors) {
            change_sparse(sparse, change)?;
        }
        let graphs = attribute
            .g
            .as_mut()
            .into_iter()
            .chain(&mut attribute.graphs);
        for graph in graphs {
            change_graph(graph, change)?;
        }
    }
    Ok(())
}
