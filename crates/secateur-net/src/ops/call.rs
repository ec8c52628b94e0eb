//! Operators of any rank: what they are built from and what they see when they run.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use secateur_onnx::graph::{Attribute, Dim, Graph, Node};
use secateur_onnx::ops::OpRule;
use secateur_onnx::shape::Inferred;

use super::operator::{Operator, unsupported};
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
        Ok(Self {
            graph,
            inferred: secateur_onnx::shape::infer(graph, None)?,
            host: names
                .filter(|name| !trained.contains(name.as_str()))
                .cloned()
                .collect(),
        })
    }

    /// True if the value in `slot` lies in plain memory, or is left out.
    pub fn is_host(&self, node: &Node, slot: usize) -> bool {
        node.input(slot).is_none_or(|name| self.host.contains(name))
    }

    /// True if all inputs lie in plain memory.
    pub fn all_host(&self, node: &Node) -> bool {
        (0..node.inputs.len()).all(|slot| self.is_host(node, slot))
    }

    /// Notes the outputs of a planned node.
    pub fn note(&mut self, node: &Node) {
        if matches!(node.op_type.as_str(), "Shape" | "Size") || self.all_host(node) {
            self.host.extend(node.outputs.iter().cloned());
        }
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

/// Reads a node; fails with [`NetError::Unsupported`] for a form that training lacks.
pub type Build = fn(&Planner<'_>, &Node) -> Result<Box<dyn Rule>>;

/// One call of a rule.
pub struct Call<'a> {
    /// The pass.
    pub pass: &'a Pass<'a>,
    /// Name of the node.
    pub node: &'a str,
    inputs: Vec<Option<&'a Value>>,
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

/// A step that runs a rule of any rank.
#[derive(Debug)]
pub struct General {
    node: String,
    op_type: String,
    inputs: Vec<Option<String>>,
    output: String,
    rule: Box<dyn Rule>,
}

impl General {
    /// The step for output `slot` of `node`.
    pub fn new(node: &Node, slot: usize, rule: Box<dyn Rule>) -> Self {
        Self {
            node: node.name.clone(),
            op_type: node.op_type.clone(),
            inputs: node.inputs.clone(),
            output: node.outputs[slot].clone(),
            rule,
        }
    }
}

impl Operator for General {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        self.inputs.iter().flatten().map(String::as_str).collect()
    }

    fn output(&self) -> &str {
        &self.output
    }

    fn describe(&self) -> String {
        format!("{} from `{}`", self.op_type, self.node)
    }

    fn normalises(&self) -> bool {
        secateur_onnx::ops::named(&self.op_type).is_some_and(OpRule::normalises)
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Value> {
        let mut given = inputs.iter();
        let inputs = self
            .inputs
            .iter()
            .map(|name| name.as_ref().and_then(|_| given.next()))
            .collect();
        self.rule.apply(&Call {
            pass,
            node: &self.node,
            inputs,
        })
    }
}
