//! Operators of any rank: what they are built from and what they see when they run.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use secateur_onnx::graph::{Attribute, Dim, Graph, Node};
use secateur_onnx::shape::Inferred;

use super::operator::unsupported;
use crate::error::{NetError, Result};
use crate::pass::Pass;
use crate::value::{Dense, Host, Laid, Value};

/// What a rule may look at when the network is planned.
pub struct Planner<'g> {
    /// The graph.
    pub graph: &'g Graph,
    /// Shapes, as far as the file fixes them.
    pub inferred: Inferred,
    /// Values in plain memory: constants and what shapes are computed with.
    host: HashSet<String>,
}

impl<'g> Planner<'g> {
    /// Prepares planning; `trained` are the parameters.
    ///
    /// # Errors
    /// [`NetError::Onnx`] if shapes contradict each other.
    pub fn new(graph: &'g Graph, trained: &HashSet<&str>) -> Result<Self> {
        let names = graph.initializers.keys();
        let names = names.filter(|name| !trained.contains(name.as_str()));
        // Indices, lengths and conditions have no gradient, so they stay in plain memory; pixels of
        // few bits do not.
        let inputs = graph.inputs.iter();
        let inputs = inputs.filter(|input| matches!(input.elem_type, INT32 | INT64 | BOOL));
        Ok(Self {
            graph,
            inferred: secateur_onnx::shape::infer(graph, None)?,
            host: names
                .chain(inputs.map(|input| &input.name))
                .cloned()
                .collect(),
        })
    }

    /// True if the value lies in plain memory.
    pub fn holds(&self, value: &str) -> bool {
        self.host.contains(value)
    }

    /// True if the value in `slot` lies in plain memory, or is left out.
    pub fn is_host(&self, node: &Node, slot: usize) -> bool {
        node.input(slot).is_none_or(|name| self.holds(name))
    }

    /// True if all inputs lie in plain memory.
    pub fn all_host(&self, node: &Node) -> bool {
        (0..node.inputs.len()).all(|slot| self.is_host(node, slot))
    }

    /// Notes the outputs of a planned node.
    pub fn note(&mut self, node: &Node) {
        let all = self.all_host(node) || gives_positions(node);
        // Of values that are sorted the places lie in plain memory.
        let first = match node.op_type.as_str() {
            "TopK" if !all => 1,
            _ if all => 0,
            _ => return,
        };
        self.host.extend(node.outputs.iter().skip(first).cloned());
    }

    /// Fails unless the value in `slot` lies in plain memory.
    ///
    /// # Errors
    /// [`NetError::Unsupported`]
    pub fn require_host(&self, node: &Node, slot: usize) -> Result<()> {
        if self.is_host(node, slot) {
            return Ok(());
        }
        Err(self.refuse(
            node,
            format!(
                "takes input {slot} (`{}`) from computed values, which training lacks",
                node.input(slot).unwrap_or_default()
            ),
        ))
    }

    /// Shape of input `slot`, if its rank is known.
    pub fn shape(&self, node: &Node, slot: usize) -> Option<&[Dim]> {
        let name = node.input(slot)?;
        self.inferred.shapes.get(name).map(Vec::as_slice)
    }

    /// An "unsupported" error for `node`.
    pub fn refuse(&self, node: &Node, reason: impl Into<String>) -> NetError {
        unsupported(self.graph, node, reason)
    }

    /// The batch size, if the file was exported for a fixed one and input and output of
    /// `node` both begin with it.
    pub fn fixed_batch(&self, node: &Node) -> Option<usize> {
        let batch = self.graph.inputs.first()?.shape.first()?.fixed()?;
        let output = self.inferred.shapes.get(node.outputs.first()?)?;
        let begins = |shape: &[Dim]| shape.first().and_then(Dim::fixed) == Some(batch);
        (begins(self.shape(node, 0)?) && begins(output)).then_some(batch)
    }

    /// Axes of the first input and of the output that hold a fixed batch behind other axes, such as
    /// steps: what lies before them has the same number of elements.
    pub fn inner_batch(&self, node: &Node) -> Option<(usize, usize)> {
        let batch = self.graph.inputs.first()?.shape.first()?.fixed()?;
        let output = self.inferred.shapes.get(node.outputs.first()?)?;
        // Axes of that extent, and how many elements lie before each.
        let axes = |shape: &[Dim]| {
            let mut before = Some(1usize);
            let mut found = Vec::new();
            for (axis, dim) in shape.iter().enumerate() {
                if let (Some(before), true) = (before, dim.fixed() == Some(batch)) {
                    found.push((axis, before));
                }
                before = before.zip(dim.fixed()).and_then(|(a, b)| a.checked_mul(b));
            }
            found
        };
        let (from, to) = (axes(self.shape(node, 0)?), axes(output));
        let pairs = from.iter().flat_map(|a| to.iter().map(move |b| (a, b)));
        let mut pairs = pairs.filter(|(a, b)| a.0 > 0 && b.0 > 0 && a.1 == b.1);
        pairs.next().map(|(a, b)| (a.0, b.0))
    }
}

/// Numbers of ONNX data types.
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// True for the numbers of floating point types.
pub fn is_float_type(elem_type: i64) -> bool {
    matches!(elem_type, 1 | 10 | 11 | 16)
}

/// True for nodes that give whole numbers, truth values or steps whatever they read: those have no
/// gradient, and lie in plain memory.
fn gives_positions(node: &Node) -> bool {
    match node.op_type.as_str() {
        "And" | "ArgMax" | "ArgMin" | "Equal" | "EyeLike" | "Greater" | "GreaterOrEqual"
        | "Hardmax" | "IsInf" | "IsNaN" | "Less" | "LessOrEqual" | "NonZero" | "Not" | "OneHot"
        | "Or" | "Shape" | "Size" | "Xor" => true,
        "Cast" => !is_float_type(node.attr_i("to", 1)),
        _ => false,
    }
}

/// A parameter that is an attribute in older opsets and an input in newer ones.
#[derive(Debug, Clone)]
pub enum Setting {
    /// Written in the node.
    Fixed(Vec<i64>),
    /// In this input slot, if given.
    Slot(usize),
}

impl Setting {
    /// Attribute `name`, else input `slot`.
    pub fn new(planner: &Planner<'_>, node: &Node, name: &str, slot: usize) -> Result<Self> {
        match node.attr_ints(name) {
            Some(values) => Ok(Self::Fixed(values.to_vec())),
            None => {
                planner.require_host(node, slot)?;
                Ok(Self::Slot(slot))
            }
        }
    }

    /// Its value now; `None` if it is left out.
    pub fn get(&self, call: &Call<'_>) -> Option<Vec<i64>> {
        match self {
            Self::Fixed(values) => Some(values.clone()),
            Self::Slot(slot) => call.ints(*slot),
        }
    }
}

/// What an operator of any rank computes.
pub trait Rule: Debug + Send + Sync {
    /// Computes the output.
    ///
    /// # Errors
    /// [`NetError::Shape`] for inputs that do not fit.
    fn apply(&self, call: &Call<'_>) -> Result<Value>;
}

/// What an operator with several outputs computes.
pub trait MultiRule: Debug + Send + Sync {
    /// Computes the outputs in `slots`, in that order.
    ///
    /// # Errors
    /// [`NetError::Shape`] for inputs that do not fit.
    fn apply(&self, call: &Call<'_>, slots: &[usize]) -> Result<Vec<Value>>;
}

/// Reads a node; fails with [`NetError::Unsupported`] for a form that training lacks.
pub type BuildOf<R> = fn(&Planner<'_>, &Node) -> Result<Box<R>>;

/// Reader of a node.
#[derive(Clone, Copy)]
pub enum Build {
    /// Whose first output is computed.
    One(BuildOf<dyn Rule>),
    /// Whose outputs are all computed.
    Several(BuildOf<dyn MultiRule>),
}

/// One call of a rule.
pub struct Call<'a> {
    /// The pass.
    pub pass: &'a Pass<'a>,
    /// Name of the node.
    pub node: &'a str,
    pub(super) inputs: Vec<Option<&'a Value>>,
}

impl Call<'_> {
    /// Number of inputs, with those left out.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// The value in `slot`, if given.
    pub fn optional(&self, slot: usize) -> Option<&Value> {
        self.inputs.get(slot).copied().flatten()
    }

    /// The value in `slot`.
    ///
    /// # Errors
    /// [`NetError::Graph`] if it is left out.
    pub fn value(&self, slot: usize) -> Result<&Value> {
        self.optional(slot).ok_or_else(|| NetError::Graph {
            place: format!("node `{}`", self.node),
            reason: format!("input {slot} is missing"),
        })
    }

    /// The value in `slot` as it lies.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn laid(&self, slot: usize) -> Result<Laid> {
        Ok(self.value(slot)?.laid(&self.pass.device))
    }

    /// The value in `slot` in the file's order.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn dense(&self, slot: usize) -> Result<Dense> {
        Ok(self.value(slot)?.dense(&self.pass.device))
    }

    /// Integers in `slot`, if it is given and lies in plain memory.
    pub fn ints(&self, slot: usize) -> Option<Vec<i64>> {
        Some(self.optional(slot)?.host()?.ints())
    }

    /// Floats in `slot`, if it is given and lies in plain memory.
    pub fn floats(&self, slot: usize) -> Option<Vec<f32>> {
        Some(self.optional(slot)?.host()?.floats())
    }

    /// Integers in `slot`.
    ///
    /// # Errors
    /// [`NetError::Shape`] for a computed value.
    pub fn known_ints(&self, slot: usize) -> Result<Vec<i64>> {
        self.value(slot)?;
        let computed = || self.misfit(format!("known integers as input {slot}"), "computed ones");
        self.ints(slot).ok_or_else(computed)
    }

    /// The value in `slot` in plain memory, without its history.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn in_memory(&self, slot: usize) -> Result<Cow<'_, Host>> {
        let value = self.value(slot)?;
        Ok(match value.host() {
            Some(host) => Cow::Borrowed(host),
            None => Cow::Owned(value.to_host(&self.pass.device)),
        })
    }

    /// Index `index` counted from the front.
    ///
    /// # Errors
    /// [`NetError::Shape`] if it lies outside.
    pub fn index(&self, index: i64, extent: usize) -> Result<usize> {
        let from_front = match index {
            ..0 => index.saturating_add(extent as i64),
            _ => index,
        };
        let inside = usize::try_from(from_front).ok().filter(|&at| at < extent);
        inside.ok_or_else(|| self.misfit(format!("indices below {extent}"), index.to_string()))
    }

    /// All inputs, if all lie in plain memory.
    pub fn hosts(&self) -> Option<Vec<&Host>> {
        self.inputs
            .iter()
            .flatten()
            .map(|value| value.host())
            .collect()
    }

    /// An error about the inputs' shapes.
    pub fn misfit(&self, expected: impl Into<String>, got: impl Into<String>) -> NetError {
        NetError::Shape {
            node: self.node.to_string(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    /// Axis `axis` counted from the front.
    ///
    /// # Errors
    /// [`NetError::Shape`] if it lies outside.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        let from_front = if axis < 0 {
            axis.saturating_add(rank as i64)
        } else {
            axis
        };
        usize::try_from(from_front)
            .ok()
            .filter(|&axis| axis < rank)
            .ok_or_else(|| self.misfit(format!("an axis of rank {rank}"), format!("axis {axis}")))
    }

    /// Axes counted from the front, sorted.
    ///
    /// # Errors
    /// [`NetError::Shape`] if one lies outside.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>> {
        let mut axes = axes
            .iter()
            .map(|&axis| self.axis(axis, rank))
            .collect::<Result<Vec<_>>>()?;
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }
}

/// A host value.
pub fn host(value: Host) -> Value {
    Value::Host(Arc::new(value))
}

/// Floats attribute.
pub fn attr_floats<'n>(node: &'n Node, name: &str) -> Option<&'n [f32]> {
    match node.attributes.get(name) {
        Some(Attribute::Floats(values)) => Some(values),
        _ => None,
    }
}

/// Texts attribute.
pub fn attr_texts<'n>(node: &'n Node, name: &str) -> Option<&'n [String]> {
    match node.attributes.get(name) {
        Some(Attribute::Texts(values)) => Some(values),
        _ => None,
    }
}
