//! Which nodes a convolution takes in.
//!
//! A node is fused into the step before it if it is the only reader of that step's output and
//! the output is not the graph's. A convolution takes in a batch norm, a sum with another
//! value of the same shape that has been computed by then, a ReLU or ReLU6, a 2x2 max
//! pooling; each if it follows, in this order.

use std::collections::{HashMap, HashSet};

use secateur_cpu::conv::Activation;
use secateur_onnx::graph::{Dim, Graph, Node};
use secateur_onnx::shape::Shapes;

use crate::error::Result;
use crate::ops::{ConvBlock, NormNames, Pool};

/// Who reads which value.
pub(crate) struct Readers<'g> {
    by_value: HashMap<&'g str, Vec<&'g Node>>,
    output: &'g str,
}

impl<'g> Readers<'g> {
    /// Of all nodes; `output` is read by the caller.
    pub fn new(graph: &'g Graph, output: &'g str) -> Self {
        let mut by_value: HashMap<&str, Vec<&Node>> = HashMap::new();
        for node in &graph.nodes {
            for name in node.inputs.iter().flatten() {
                by_value.entry(name).or_default().push(node);
            }
        }
        Self { by_value, output }
    }

    /// The only reader of `value`, if it is of type `op_type`.
    pub fn only(&self, value: &str, op_type: &str) -> Option<&'g Node> {
        if self.output == value {
            return None;
        }
        match self.by_value.get(value)?.as_slice() {
            [node] if node.op_type == op_type => Some(node),
            _ => None,
        }
    }
}

/// What fusing looks at.
pub(crate) struct Fusing<'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// Readers of its values.
    pub readers: Readers<'g>,
    /// Shapes, as far as the file fixes them.
    pub shapes: Shapes,
}

impl<'g> Fusing<'g> {
    /// The block that starts at the convolution `node`, and the nodes it has taken in.
    ///
    /// `computed` are the values that earlier steps compute.
    ///
    /// # Errors
    /// As [`ConvBlock::new`], [`NormNames::new`] and [`Pool::new`].
    pub fn conv_block(
        &self,
        node: &'g Node,
        computed: &HashSet<String>,
    ) -> Result<(ConvBlock, Vec<&'g str>)> {
        let mut block = ConvBlock::new(self.graph, node)?;
        let mut taken = Vec::new();
        if let Some(&[_, c, h, w]) = self.fixed(node.inputs[0].as_deref()).as_deref() {
            block.set_input_shape([c, h, w]);
        }
        let mut value = node.outputs[0].as_str();
        if let Some(next) = self.readers.only(value, "BatchNormalization") {
            block.fuse_norm(NormNames::new(next)?, &next.outputs[0]);
            taken.push(next.name.as_str());
            value = &next.outputs[0];
        }
        if let Some((next, other)) = self.residual_after(value, computed) {
            block.fuse_residual(next, other);
            taken.push(&next.name);
            value = &next.outputs[0];
        }
        if let Some((next, activation)) = self.activation_after(value) {
            block.fuse_activation(next, activation);
            taken.push(&next.name);
            value = &next.outputs[0];
        }
        if block.accepts_pool()
            && let Some(next) = self.readers.only(value, "MaxPool")
            && Pool::new(self.graph, next)?.is_fusable()
        {
            block.fuse_pool(next);
            taken.push(&next.name);
        }
        Ok((block, taken))
    }

    /// Extents of a value, 0 for a batch that is not fixed; `None` if another one is open.
    fn fixed(&self, value: Option<&str>) -> Option<Vec<usize>> {
        let dims = self.shapes.get(value?)?;
        dims.iter()
            .enumerate()
            .map(|(axis, dim)| match (axis, dim) {
                (_, Dim::Fixed(size)) => Some(*size),
                (0, _) => Some(0),
                _ => None,
            })
            .collect()
    }

    /// The sum after `value`, with its other term: computed by now, and of the same shape.
    fn residual_after(
        &self,
        value: &str,
        computed: &HashSet<String>,
    ) -> Option<(&'g Node, &'g str)> {
        let add = self.readers.only(value, "Add")?;
        let mut names = add.inputs.iter().flatten();
        let other = names.find(|name| *name != value)?;
        let (own, its) = (self.fixed(Some(value))?, self.fixed(Some(other))?);
        let fits = own == its && computed.contains(other) && add.inputs.len() == 2;
        fits.then_some((add, other.as_str()))
    }

    fn activation_after(&self, value: &str) -> Option<(&'g Node, Activation)> {
        if let Some(relu) = self.readers.only(value, "Relu") {
            return Some((relu, Activation::Relu));
        }
        let clip = self.readers.only(value, "Clip")?;
        let reads_value = clip.inputs[0].as_deref() == Some(value);
        (reads_value && self.bounds(clip) == Some([0.0, 6.0])).then_some((clip, Activation::Relu6))
    }

    /// Both bounds of a `Clip`: attributes before opset 11, stored inputs since.
    fn bounds(&self, clip: &Node) -> Option<[f32; 2]> {
        if self.graph.opset < 11 {
            return Some([clip.attr_f("min", f32::MIN), clip.attr_f("max", f32::MAX)]);
        }
        let bound = |slot: usize| -> Option<f32> {
            let name = clip.inputs.get(slot)?.as_deref()?;
            self.graph
                .initializers
                .get(name)?
                .as_f32()?
                .first()
                .copied()
        };
        Some([bound(1)?, bound(2)?])
    }
}
