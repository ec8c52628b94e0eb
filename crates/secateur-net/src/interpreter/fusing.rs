//! Which nodes a convolution takes in.
//!
//! A node is fused into the step before it if it is the only reader of that step's output and
//! the output is not the graph's. A convolution takes in a batch norm, a sum with another
//! value of the same shape that has been computed by then, a ReLU or ReLU6, a 2x2 max
//! pooling; each if it follows, in this order.

use std::collections::{HashMap, HashSet};

use secateur_cpu::conv::Activation;
use secateur_onnx::graph::{Dim, Node};

use crate::error::Result;
use crate::ops::{ConvBlock, Planner, Pool, norm_names};

/// Who reads which value.
pub(crate) struct Readers<'g> {
    by_value: HashMap<&'g str, Vec<&'g Node>>,
    outputs: Vec<&'g str>,
}

impl<'g> Readers<'g> {
    /// Of `nodes`; `outputs` are read by the caller.
    pub fn new(nodes: &[&'g Node], outputs: &[&'g str]) -> Self {
        let mut by_value: HashMap<&str, Vec<&Node>> = HashMap::new();
        for node in nodes {
            for name in node.inputs.iter().flatten() {
                by_value.entry(name).or_default().push(node);
            }
        }
        Self {
            by_value,
            outputs: outputs.to_vec(),
        }
    }

    /// True if a node or the caller reads `value`.
    pub fn is_read(&self, value: &str) -> bool {
        self.outputs.contains(&value) || self.by_value.contains_key(value)
    }

    /// The only reader of `value`, if it is of type `op_type`.
    pub fn only(&self, value: &str, op_type: &str) -> Option<&'g Node> {
        if self.outputs.contains(&value) {
            return None;
        }
        match self.by_value.get(value)?.as_slice() {
            [node] if node.op_type == op_type => Some(node),
            _ => None,
        }
    }

    /// True if `node` has an output besides its first that is read.
    pub fn has_further_output(&self, node: &Node) -> bool {
        node.outputs[1..].iter().any(|name| self.is_read(name))
    }
}

/// What fusing looks at.
pub(crate) struct Fusing<'p, 'g> {
    /// The graph and its shapes.
    pub planner: &'p Planner<'g>,
    /// Readers of its values.
    pub readers: &'p Readers<'g>,
    /// Values that earlier steps compute.
    pub computed: &'p HashSet<String>,
}

impl<'g> Fusing<'_, 'g> {
    /// The block that starts at the convolution `node`, and the nodes it has taken in; `None`
    /// for a convolution that is no block.
    ///
    /// # Errors
    /// As [`ConvBlock::new`], [`norm_names`] and [`Pool::new`].
    pub fn conv_block(&self, node: &'g Node) -> Result<Option<(ConvBlock, Vec<&'g str>)>> {
        let Some(mut block) = ConvBlock::new(self.planner, node)? else {
            return Ok(None);
        };
        let mut taken = Vec::new();
        if let Some(&[_, c, h, w]) = self.fixed(node.input(0)).as_deref() {
            block.set_input_shape([c, h, w]);
        }
        let mut value = node.outputs[0].as_str();
        if let Some(next) = self.readers.only(value, "BatchNormalization")
            && (1..5).all(|slot| self.is_stored(next, slot))
            && !self.readers.has_further_output(next)
        {
            block.fuse_norm(norm_names(next)?, &next.outputs[0]);
            taken.push(next.name.as_str());
            value = &next.outputs[0];
        }
        if let Some((next, other)) = self.residual_after(value) {
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
            && Pool::new(self.planner, next)?.is_fusable()
            && !self.readers.has_further_output(next)
        {
            block.fuse_pool(next);
            taken.push(&next.name);
        }
        Ok(Some((block, taken)))
    }

    fn is_stored(&self, node: &Node, slot: usize) -> bool {
        node.input(slot)
            .is_some_and(|name| self.planner.graph.initializers.contains_key(name))
    }

    /// Extents of a value, 0 for a batch that is not fixed; `None` if another one is open.
    fn fixed(&self, value: Option<&str>) -> Option<Vec<usize>> {
        let dims = self.planner.inferred.shapes.get(value?)?;
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
    fn residual_after(&self, value: &str) -> Option<(&'g Node, &'g str)> {
        let add = self.readers.only(value, "Add")?;
        let mut names = add.inputs.iter().flatten();
        let other = names.find(|name| *name != value)?;
        let (own, its) = (self.fixed(Some(value))?, self.fixed(Some(other))?);
        let fits =
            own == its && own.len() == 4 && self.computed.contains(other) && add.inputs.len() == 2;
        fits.then_some((add, other.as_str()))
    }

    /// The ReLU or ReLU6 that alone reads `value`.
    pub fn activation_after(&self, value: &str) -> Option<(&'g Node, Activation)> {
        if let Some(relu) = self.readers.only(value, "Relu") {
            return Some((relu, Activation::Relu));
        }
        let clip = self.readers.only(value, "Clip")?;
        let reads_value = clip.inputs[0].as_deref() == Some(value);
        (reads_value && self.bounds(clip) == Some([0.0, 6.0])).then_some((clip, Activation::Relu6))
    }

    /// Both bounds of a `Clip`: attributes before opset 11, stored inputs since.
    fn bounds(&self, clip: &Node) -> Option<[f32; 2]> {
        if self.planner.graph.opset < 11 {
            return Some([clip.attr_f("min", f32::MIN), clip.attr_f("max", f32::MAX)]);
        }
        let bound = |slot: usize| -> Option<f32> {
            let name = clip.inputs.get(slot)?.as_deref()?;
            self.planner
                .graph
                .initializers
                .get(name)?
                .as_f32()?
                .first()
                .copied()
        };
        Some([bound(1)?, bound(2)?])
    }
}
