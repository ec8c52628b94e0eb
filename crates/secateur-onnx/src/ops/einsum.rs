//! Einstein sums: an index that the output keeps passes through, one that is summed over meets
//! columns of a stored operand, as in a matrix product.
//!
//! `...` stands for indices that are aligned at the end.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Einsum.html> (opset 12).

use std::collections::BTreeSet;

use super::axes::misfit;
use super::product::Product;
use super::rule::{Macs, OpRule, OutputShapes, Stored, WeightRole};
use crate::error::Result;
use crate::extents::{AxisOf, ShapeContext};
use crate::graph::{Dim, Node};
use crate::labels::{AxisLabels, LabelContext, Role};

pub(super) struct Einsum;

/// An index of the equation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Index {
    /// A letter of the equation.
    Letter(char),
    /// An axis of `...`, counted from the end.
    Dots(usize),
}

/// An equation for operands of known ranks.
#[derive(Debug, PartialEq, Eq)]
pub struct Equation {
    /// Of every operand, an index for each axis.
    pub operands: Vec<Vec<Index>>,
    /// Of the output.
    pub output: Vec<Index>,
}

const DOTS: &str = "...";

/// The indices of a term; `dots` tells how many axes `...` stands for.
fn indices(term: &str, dots: usize) -> Option<Vec<Index>> {
    let letters = |part: &str| -> Option<Vec<Index>> {
        let letters = part.chars();
        letters
            .map(|letter| letter.is_alphabetic().then_some(Index::Letter(letter)))
            .collect()
    };
    match term.split_once(DOTS) {
        None => letters(term),
        Some((front, behind)) => {
            let own = (0..dots).rev().map(Index::Dots).collect();
            Some([letters(front)?, own, letters(behind)?].concat())
        }
    }
}

impl Equation {
    /// Reads an equation; `None` if it does not fit operands of these ranks.
    pub fn parse(text: &str, ranks: &[usize]) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (inputs, output) = match text.split_once("->") {
            Some((inputs, output)) => (inputs, Some(output)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = inputs.split(',').collect();
        if terms.len() != ranks.len() {
            return None;
        }
        let mut operands = Vec::with_capacity(terms.len());
        let mut most = 0;
        for (term, &rank) in terms.iter().zip(ranks) {
            let named = indices(term, 0)?.len();
            let dots = match term.contains(DOTS) {
                true => rank.checked_sub(named)?,
                false => 0,
            };
            if named + dots != rank {
                return None;
            }
            most = most.max(dots);
            operands.push(indices(term, dots)?);
        }
        let output = match output {
            Some(output) => indices(output, most)?,
            None => {
                // What occurs once, in alphabetical order.
                let all: Vec<Index> = operands.iter().flatten().copied().collect();
                let letters = all.iter().copied().filter(|index| {
                    matches!(index, Index::Letter(_))
                        && all.iter().filter(|other| *other == index).count() == 1
                });
                let letters: BTreeSet<Index> = letters.collect();
                let dots = (0..most).rev().map(Index::Dots);
                dots.chain(letters).collect()
            }
        };
        let known = |index: &Index| operands.iter().any(|own| own.contains(index));
        output
            .iter()
            .all(known)
            .then_some(Self { operands, output })
    }

    /// The equation of a node.
    fn of(node: &Node, context: &ShapeContext<'_>) -> Option<Self> {
        let ranks = (0..node.inputs.len()).map(|slot| Some(context.input(node, slot)?.len()));
        let ranks: Vec<usize> = ranks.collect::<Option<_>>()?;
        Self::parse(&node.attr_s("equation")?, &ranks)
    }

    /// True if an operand has an index twice: its diagonal is taken.
    fn takes_a_diagonal(&self) -> bool {
        let mut terms = self.operands.iter().chain([&self.output]);
        terms.any(|own| own.iter().collect::<BTreeSet<_>>().len() != own.len())
    }

    /// Slots and axes that have an index.
    fn places(&self, index: Index) -> Vec<(usize, usize)> {
        let operands = self.operands.iter().enumerate();
        let axes = operands.filter_map(|(slot, own)| {
            let axis = own.iter().position(|other| *other == index);
            Some((slot, axis?))
        });
        axes.collect()
    }

    /// All indices, each once.
    fn all(&self) -> BTreeSet<Index> {
        self.operands.iter().flatten().copied().collect()
    }
}

const NO_EQUATION: &str = "its equation does not fit its inputs";

impl OpRule for Einsum {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let all_known = (0..node.inputs.len()).all(|slot| context.input(node, slot).is_some());
        if !all_known {
            return Ok(vec![None]);
        }
        let Some(equation) = Equation::of(node, context) else {
            return Err(misfit(context, node, NO_EQUATION));
        };
        let extent = |index: &Index| {
            let places = equation.places(*index);
            let dims = places.iter().filter_map(|&(slot, axis)| {
                let dim = context.input(node, slot)?.get(axis)?;
                Some(dim.clone())
            });
            // An extent of 1 is repeated; a known one says more than a name.
            let dims: Vec<Dim> = dims.collect();
            let more = |dim: &&Dim| dim.fixed().is_some_and(|size| size != 1);
            dims.iter()
                .find(more)
                .or(dims.iter().find(|dim| dim.fixed().is_none()))
                .or(dims.first())
                .cloned()
                .unwrap_or(Dim::Unknown)
        };
        Ok(vec![Some(equation.output.iter().map(extent).collect())])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let operands = (0..node.inputs.len())
            .map(|slot| context.input(node, slot))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let equation = Equation::of(node, &context.shapes()).ok_or(NO_EQUATION)?;
        if equation.takes_a_diagonal() {
            return Err("it takes a diagonal".to_string());
        }
        let mut output: Vec<AxisLabels> = vec![None; equation.output.len()];
        for index in equation.all() {
            let places = equation.places(index);
            let kept = equation.output.iter().position(|own| *own == index);
            let (stored, computed): (Vec<_>, Vec<_>) = places
                .iter()
                .copied()
                .partition(|&(slot, _)| context.is_stored(node, slot));
            if kept.is_none() && (stored.is_empty() || computed.is_empty()) {
                let axes = places
                    .iter()
                    .map(|&(slot, axis)| operands[slot][axis].clone());
                let axes: Vec<AxisLabels> = axes.collect();
                context.pin_axes(&axes, node, "it sums over this axis without stored weights");
            }
            let role = match (kept, computed.is_empty()) {
                (None, _) => Role::Input,
                (Some(_), true) => Role::Output,
                (Some(_), false) => Role::Norm,
            };
            for (slot, axis) in stored {
                context.use_parameter(node, slot, axis, role);
            }
            let mut joined: AxisLabels = None;
            for (number, (slot, axis)) in places.into_iter().enumerate() {
                let own = &operands[slot][axis];
                joined = match number {
                    0 => own.clone(),
                    _ => context.join(node, &joined, own)?,
                };
            }
            if let Some(axis) = kept {
                output[axis] = joined;
            }
        }
        context.set_output(node, 0, output);
        Ok(())
    }

    fn stored(&self, _: usize) -> Stored {
        Stored::Parameter(WeightRole::Weight)
    }

    /// Operands are multiplied one after the other; an index that no later one needs is summed
    /// over at once.
    fn macs(&self, node: &Node, context: &ShapeContext<'_>) -> Macs {
        let Some(equation) = Equation::of(node, context) else {
            return Macs::Unknown;
        };
        let names: Vec<&str> = node.inputs.iter().flatten().map(String::as_str).collect();
        let is_constant = |slot: usize| context.is_constant(names[slot]);
        let place = |index: &Index| -> Option<AxisOf> {
            // The axis of a stored operand has a known extent.
            let mut places = equation.places(*index);
            places.sort_by_key(|&(slot, _)| !is_constant(slot));
            let (slot, axis) = *places.first()?;
            Some((names[slot].to_string(), axis))
        };
        let mut left: BTreeSet<Index> = equation.operands[0].iter().copied().collect();
        let mut left_is_constant = is_constant(0);
        let mut products = Vec::new();
        for slot in 1..equation.operands.len() {
            let own: BTreeSet<Index> = equation.operands[slot].iter().copied().collect();
            let later = equation.operands[slot + 1..].iter().flatten();
            let needed: BTreeSet<Index> = later.chain(&equation.output).copied().collect();
            let both: BTreeSet<Index> = left.union(&own).copied().collect();
            let sums = both.iter().any(|index| !needed.contains(index));
            let constant = [(left_is_constant, &left), (is_constant(slot), &own)];
            if sums && !constant.iter().all(|(is_constant, _)| *is_constant) {
                let stored = |index: &Index| {
                    let mut constant = constant.iter();
                    constant.any(|(is_constant, own)| *is_constant && own.contains(index))
                };
                let is_row = |index: &Index| needed.contains(index) && !stored(index);
                // The batch comes first, as in the output.
                let output = equation.output.iter().filter(|index| both.contains(index));
                let others = both.iter().filter(|index| !equation.output.contains(index));
                let ordered: Vec<&Index> = output.chain(others).collect();
                let (rows, columns): (Vec<&Index>, Vec<&Index>) =
                    ordered.into_iter().partition(|index| is_row(index));
                let places = |indices: Vec<&Index>| indices.into_iter().filter_map(place).collect();
                products.push(Product {
                    rows: places(rows),
                    columns: places(columns),
                });
            }
            left = both.intersection(&needed).copied().collect();
            left_is_constant &= is_constant(slot);
        }
        Macs::sum(products.into_iter().map(|product| product.macs(context)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of an equation, `.` for an axis of dots.
    fn output(text: &str, ranks: &[usize]) -> Option<String> {
        let equation = Equation::parse(text, ranks)?;
        let output = equation.output.iter().map(|index| match index {
            Index::Letter(letter) => *letter,
            Index::Dots(_) => '.',
        });
        Some(output.collect())
    }

    #[test]
    fn equations_are_read_as_numpy_reads_them() {
        let check = |text: &str, ranks: &[usize], expected: Option<&str>| {
            assert_eq!(output(text, ranks).as_deref(), expected, "{text} {ranks:?}");
        };
        check("bchw,oc->bohw", &[4, 2], Some("bohw"));
        check(" b c h w , o c -> b o h w ", &[4, 2], Some("bohw"));
        check("ij,jk", &[2, 2], Some("ik"));
        check("ba", &[2], Some("ab"));
        check("...ij,...jk->...ik", &[4, 3], Some("..ik"));
        check("...ij,jk", &[3, 2], Some(".ik"));
        check("ii->i", &[2], Some("i"));
        check("ij->", &[2], Some(""));
        check("ij,jk", &[2, 3], None);
        check("ij->k", &[2], None);
        check("i1", &[2], None);
    }
}
