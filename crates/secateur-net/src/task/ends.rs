//! What stands at the end of a graph: what a task is told by.

use std::collections::{HashMap, HashSet};

use secateur_onnx::graph::{Dim, Graph, Node, ValueInfo};
use secateur_onnx::shape::Shapes;

use crate::error::{NetError, Result, listed};

/// ONNX numbers of the types of whole numbers and truth values.
const WHOLE: [i32; 9] = [2, 3, 4, 5, 6, 7, 9, 12, 13];
/// Softmax works along one axis from this opset on, before along all from one on.
const ONE_AXIS_SOFTMAX: i64 = 13;

/// A graph, looked at from its outputs.
pub(super) struct Ends<'g> {
    pub graph: &'g Graph,
    shapes: Shapes,
    producers: HashMap<&'g str, &'g Node>,
}

impl<'g> Ends<'g> {
    /// # Errors
    /// As shape inference.
    pub fn new(graph: &'g Graph) -> Result<Self> {
        let of = |node: &'g Node| node.outputs.iter().map(move |name| (name.as_str(), node));
        Ok(Self {
            shapes: secateur_onnx::shape::infer_shapes(graph, None)?,
            producers: graph.nodes.iter().flat_map(of).collect(),
            graph,
        })
    }

    /// Extents of a value; empty if its rank is not known.
    pub fn dims(&self, name: &str) -> &[Dim] {
        let inferred = self.shapes.get(name).map(Vec::as_slice);
        let stated = || {
            let outputs = self.graph.outputs.iter();
            outputs
                .filter(|info| info.has_shape && info.name == name)
                .map(|info| info.shape.as_slice())
                .next()
        };
        inferred.or_else(stated).unwrap_or_default()
    }

    /// Extents as numbers where they are known.
    pub fn extents(&self, name: &str) -> Vec<Option<usize>> {
        self.dims(name).iter().map(Dim::fixed).collect()
    }

    /// The node that computes a value.
    pub fn node(&self, name: &str) -> Option<&'g Node> {
        self.producers.get(name).copied()
    }

    /// The value itself, behind nodes that only hand it on.
    pub fn plain<'a>(&'a self, mut name: &'a str) -> &'a str {
        while let Some(node) = self.node(name)
            && node.op_type == "Identity"
            && let Some(input) = node.input(0)
        {
            name = input;
        }
        name
    }

    /// The node that computes a value, behind nodes that only hand it on.
    pub fn last<'a>(&'a self, name: &'a str) -> Option<&'g Node> {
        self.node(self.plain(name))
    }

    /// What a sigmoid at the end is taken of.
    pub fn before_sigmoid(&self, name: &str) -> Option<&'g str> {
        let node = self.last(name)?;
        (node.op_type == "Sigmoid").then(|| node.input(0)).flatten()
    }

    /// What a softmax at the end, or its logarithm, is taken of, if it is along `axis` of
    /// `rank`.
    pub fn before_softmax(&self, name: &str, axis: usize, rank: usize) -> Option<&'g str> {
        let node = self.last(name)?;
        if !matches!(node.op_type.as_str(), "Softmax" | "LogSoftmax") {
            return None;
        }
        let is_new = self.graph.opset >= ONE_AXIS_SOFTMAX;
        let own = node.attr_i("axis", if is_new { -1 } else { 1 });
        let own = if own < 0 { own + rank as i64 } else { own };
        // An old softmax over several axes is along one where the others have one place each.
        let behind = self.dims(name).get(axis + 1..).unwrap_or_default();
        let is_single = behind.iter().all(|dim| dim.fixed() == Some(1));
        let is_alone = axis + 1 == rank || !behind.is_empty() && is_single;
        let is_it = own == axis as i64 && (is_new || is_alone);
        is_it.then(|| node.input(0)).flatten()
    }

    /// True if the output holds whole numbers or truth values.
    pub fn is_whole(&self, name: &str) -> bool {
        let outputs = self.graph.outputs.iter().find(|info| info.name == name);
        let info = outputs.or_else(|| self.graph.value_info.get(name));
        info.is_some_and(|info| WHOLE.contains(&info.elem_type))
    }

    /// The values of the layers with weights that an output is computed from without a further
    /// such layer: the raw heads.
    pub fn heads(&self, output: &str) -> Vec<&'g str> {
        self.tail(output).1
    }

    /// The operators between an output and the layers with weights before it, and the values of
    /// those layers.
    pub fn tail(&self, output: &str) -> (HashSet<&'g str>, Vec<&'g str>) {
        let (mut operators, mut heads) = (HashSet::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut stack: Vec<&'g str> = Vec::new();
        let own = self.producers.get_key_value(output);
        stack.extend(own.map(|(name, _)| *name));
        while let Some(name) = stack.pop() {
            let Some(node) = self.node(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            match node.op_type.as_str() {
                "Conv" | "ConvTranspose" | "Gemm" | "MatMul" if !self.counts(node) => {
                    heads.push(name);
                }
                operator => {
                    operators.insert(operator);
                    stack.extend(node.inputs.iter().flatten().map(String::as_str));
                }
            }
        }
        heads.reverse();
        (operators, heads)
    }

    /// True for a convolution by 0, 1, 2, ...: it takes the mean of a distribution over
    /// distances (YOLOv8) and learns nothing.
    fn counts(&self, node: &Node) -> bool {
        let weight = node.input(1).and_then(|w| self.graph.initializers.get(w));
        weight.is_some_and(|weight| {
            let values = weight.as_f32().unwrap_or_default();
            node.op_type == "Conv"
                && weight.shape.first() == Some(&1)
                && values.iter().enumerate().all(|(i, &v)| v == i as f32)
        })
    }

    /// Height and width of the images that the graph takes, where it takes images alone.
    pub fn image_size(&self) -> Option<[Option<usize>; 2]> {
        match self.graph.inputs.as_slice() {
            [ValueInfo { shape, .. }] => match shape.as_slice() {
                [_, c, h, w] if matches!(c.fixed(), Some(1 | 3 | 4)) => {
                    Some([h.fixed(), w.fixed()])
                }
                [_, h, w, c] if matches!(c.fixed(), Some(1 | 3 | 4)) => {
                    Some([h.fixed(), w.fixed()])
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// That the outputs are not what a task takes.
    pub fn misfit(&self, expected: &str) -> NetError {
        NetError::Task {
            place: format!("graph `{}`", self.graph.name),
            reason: format!(
                "{expected}; its outputs are {}",
                listed(&self.graph.outputs)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use indexmap::IndexMap;
    use secateur_onnx::graph::Attribute;

    use super::*;

    /// `y = Softmax(x, axis 1)`, handed on as `z`.
    fn softmax(opset: i64, shape: &[usize]) -> Graph {
        let info = |name: &str| ValueInfo {
            name: name.to_string(),
            shape: shape.iter().copied().map(Dim::Fixed).collect(),
            elem_type: 1,
            has_shape: true,
        };
        let node = |op_type: &str, from: &str, to: &str| Node {
            name: to.to_string(),
            op_type: op_type.to_string(),
            domain: String::new(),
            inputs: vec![Some(from.to_string())],
            outputs: vec![to.to_string()],
            attributes: [("axis".to_string(), Attribute::Int(1))].into(),
            bodies: Vec::new(),
            is_inner: false,
        };
        Graph {
            name: "softmax".to_string(),
            opset,
            inputs: vec![info("x")],
            outputs: vec![info("z")],
            value_info: HashMap::new(),
            nodes: vec![node("Softmax", "x", "y"), node("Identity", "y", "z")],
            initializers: IndexMap::new(),
            uncut: BTreeSet::new(),
            computed: Vec::new(),
            allow_mixing: false,
            no_batch: false,
        }
    }

    #[test]
    fn scores_are_found_before_a_softmax_along_their_axis() {
        let check = |opset: i64, shape: &[usize], expected: Option<&str>| {
            let graph = softmax(opset, shape);
            let ends = Ends::new(&graph).unwrap();
            let found = ends.before_softmax("z", 1, shape.len());
            assert_eq!(found, expected, "opset {opset}, {shape:?}");
        };
        check(13, &[2, 5], Some("x"));
        check(11, &[2, 5], Some("x"));
        check(13, &[2, 5, 4, 4], Some("x"));
        // Before opset 13 over all axes from the first on.
        check(11, &[2, 5, 4, 4], None);
        check(11, &[2, 5, 1, 1], Some("x"));
    }
}
