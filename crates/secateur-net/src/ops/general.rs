//! The step of every node that nothing else takes in: it runs the operator's rule.

use secateur_onnx::graph::Node;
use secateur_onnx::ops::OpRule;

use super::call::{Build, Call, MultiRule, Planner, Rule, host};
use super::operator::Operator;
use crate::error::Result;
use crate::pass::Pass;
use crate::value::{HostData, Value};

/// A step that runs a rule of any rank.
#[derive(Debug)]
pub struct General {
    node: String,
    op_type: String,
    inputs: Vec<Option<String>>,
    /// Which of the node's outputs are computed.
    slots: Vec<usize>,
    outputs: Vec<String>,
    /// All inputs lie in plain memory, so the outputs do.
    in_memory: bool,
    rule: AnyRule,
}

#[derive(Debug)]
enum AnyRule {
    One(Box<dyn Rule>),
    Several(Box<dyn MultiRule>),
}

impl General {
    /// The step for the outputs in `slots` of `node`.
    ///
    /// # Errors
    /// [`crate::NetError::Unsupported`] for a form, or a further output, that training lacks.
    pub fn new(
        planner: &Planner<'_>,
        node: &Node,
        slots: Vec<usize>,
        build: Build,
    ) -> Result<Self> {
        let rule = match build {
            Build::Several(build) => AnyRule::Several(build(planner, node)?),
            Build::One(build) => {
                if let Some(slot) = slots.iter().find(|&&slot| slot > 0) {
                    let extra = &node.outputs[*slot];
                    return Err(planner.refuse(
                        node,
                        format!(
                            "has a further output `{extra}` that is read, which training lacks"
                        ),
                    ));
                }
                AnyRule::One(build(planner, node)?)
            }
        };
        Ok(Self {
            node: node.name.clone(),
            op_type: node.op_type.clone(),
            inputs: node.inputs.clone(),
            outputs: slots
                .iter()
                .map(|&slot| node.outputs[slot].clone())
                .collect(),
            slots,
            in_memory: planner.all_host(node),
            rule,
        })
    }
}

impl Operator for General {
    fn node(&self) -> &str {
        &self.node
    }

    fn inputs(&self) -> Vec<&str> {
        self.inputs.iter().flatten().map(String::as_str).collect()
    }

    fn outputs(&self) -> Vec<&str> {
        self.outputs.iter().map(String::as_str).collect()
    }

    fn describe(&self) -> String {
        format!("{} from `{}`", self.op_type, self.node)
    }

    fn normalises(&self) -> bool {
        secateur_onnx::ops::named(&self.op_type).is_some_and(OpRule::normalises)
    }

    fn forward(&self, pass: &Pass<'_>, inputs: &[Value]) -> Result<Vec<Value>> {
        let mut given = inputs.iter();
        let inputs = self
            .inputs
            .iter()
            .map(|name| name.as_ref().and_then(|_| given.next()))
            .collect();
        let call = Call {
            pass,
            node: &self.node,
            inputs,
        };
        let mut outputs = match &self.rule {
            AnyRule::One(rule) => vec![rule.apply(&call)?],
            AnyRule::Several(rule) => rule.apply(&call, &self.slots)?,
        };
        if self.in_memory {
            let is_int = call.hosts().is_some_and(|all| {
                all.first()
                    .is_some_and(|first| matches!(first.data, HostData::Int(_)))
            });
            for output in outputs.iter_mut().filter(|output| output.host().is_none()) {
                let mut constant = output.to_host(&pass.device);
                if is_int {
                    constant.data = HostData::Int(constant.ints());
                }
                *output = host(constant);
            }
        }
        Ok(outputs)
    }
}
