//! The values of a pass that some step or the caller still reads.

use std::collections::HashMap;

use super::Interpreter;
use super::chains::count_readers;
use super::step::Step;
use crate::error::{NetError, Result};
use crate::pass::{Pass, missing};
use crate::value::Value;

/// Values by name. One is dropped after its last reader, so that its memory serves the next
/// step.
#[derive(Clone)]
pub(super) struct Live<'n> {
    network: &'n Interpreter,
    values: HashMap<&'n str, Value>,
    readers: HashMap<&'n str, usize>,
}

impl<'n> Live<'n> {
    /// Of a pass from `inputs` to `outputs`.
    ///
    /// # Errors
    /// [`NetError::Shape`] for an input without elements.
    pub fn new(
        network: &'n Interpreter,
        inputs: &[(&'n str, Value)],
        outputs: &[&'n str],
    ) -> Result<Self> {
        for (name, value) in inputs {
            if value.onnx_dims().contains(&0) {
                return Err(NetError::Shape {
                    node: (*name).to_string(),
                    expected: "at least one element".to_string(),
                    got: format!("{:?}", value.onnx_dims()),
                });
            }
        }
        Ok(Self::at(
            network,
            0,
            inputs.iter().cloned().collect(),
            outputs,
        ))
    }

    /// In front of step `at`, with these values.
    pub fn at(
        network: &'n Interpreter,
        at: usize,
        values: HashMap<&'n str, Value>,
        outputs: &[&'n str],
    ) -> Self {
        Self {
            network,
            values,
            readers: count_readers(&network.steps[at..], outputs),
        }
    }

    /// The values that are held.
    pub fn values(&self) -> &HashMap<&'n str, Value> {
        &self.values
    }

    /// What steps that run together read, without what they hand to each other.
    ///
    /// # Errors
    /// [`NetError::Graph`] for what nobody computes.
    pub fn read(&self, pass: &Pass<'_>, steps: &[Step]) -> Result<Vec<Value>> {
        let (last, before) = (&steps[steps.len() - 1], &steps[..steps.len() - 1]);
        steps
            .iter()
            .flat_map(|step| step.inputs())
            .filter(|name| !before.iter().any(|step| step.outputs().contains(name)))
            .map(|name| {
                self.find(pass, name).ok_or_else(|| NetError::Graph {
                    place: format!("node `{}`", last.node()),
                    reason: format!("its input `{name}` is neither computed nor readable"),
                })
            })
            .collect()
    }

    /// Takes in what steps that ran together gave, and drops what nobody reads any more.
    pub fn put(&mut self, steps: &'n [Step], outputs: Vec<Value>) {
        for name in steps.iter().flat_map(|step| step.inputs()) {
            if let Some(count) = self.readers.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    self.values.remove(name);
                }
            }
        }
        let names = steps[steps.len() - 1].outputs();
        self.values.extend(names.into_iter().zip(outputs));
    }

    /// A value that was computed, a parameter or a stored tensor.
    pub fn find(&self, pass: &Pass<'_>, name: &str) -> Option<Value> {
        let computed = self.values.get(name).cloned();
        computed
            .or_else(|| pass.parameter(name).map(Value::Dense))
            .or_else(|| self.network.stored.get(name).cloned())
    }

    /// Values by name, in order.
    ///
    /// # Errors
    /// [`NetError::Graph`] for one that was not planned.
    pub fn find_all(&self, pass: &Pass<'_>, names: &[&str]) -> Result<Vec<Value>> {
        let found = names.iter();
        found
            .map(|name| self.find(pass, name).ok_or_else(|| missing(name, "output")))
            .collect()
    }

    /// Number of elements of all values.
    pub fn len(&self) -> usize {
        let len = |value: &Value| value.onnx_dims().iter().product::<usize>();
        self.values.values().map(len).sum()
    }
}
