//! Einstein sums, as matrix products of two operands after another.
//!
//! An index that no later operand and not the output has is summed over at once; what both operands
//! have and is still needed is a batch of products.
//!
//! Spec: <https://onnx.ai/onnx/operators/onnx__Einsum.html> (opset 12).

use secateur_onnx::graph::Node;
use secateur_onnx::ops::{Equation, Index};

use super::call::{Call, Planner, Rule};
use super::rows::Rows;
use crate::error::Result;
use crate::pass::Pass;
use crate::value::{Dense, Value};

#[derive(Debug)]
struct Einsum {
    equation: String,
}

/// A tensor whose axes have indices.
#[derive(Debug, Clone)]
struct Term {
    data: Dense,
    indices: Vec<Index>,
}

impl Term {
    fn extent(&self, index: Index) -> Option<usize> {
        let axis = self.indices.iter().position(|own| *own == index)?;
        Some(self.data.dims()[axis])
    }

    /// With every index once: of two axes with one index the diagonal is taken.
    fn without_repeats(mut self, pass: &Pass<'_>) -> Option<Self> {
        while let Some((first, second)) = repeated(&self.indices) {
            let dims = self.data.dims().to_vec();
            if dims[first] != dims[second] {
                return None;
            }
            let rank = dims.len();
            let rest: Vec<usize> = (0..rank)
                .filter(|&axis| axis != first && axis != second)
                .collect();
            let order = [&[first, second][..], &rest].concat();
            let size = dims[first];
            let len: usize = rest.iter().map(|&axis| dims[axis]).product();
            let rows = self.data.permute(&order).reshape(&[size * size, len]);
            let at = (0..size).map(|i| Some(i * (size + 1))).collect();
            let kept: Vec<usize> = [
                &[size][..],
                &rest.iter().map(|&axis| dims[axis]).collect::<Vec<_>>(),
            ]
            .concat();
            self.data = Rows::copies(at).read(pass, &rows, None).reshape(&kept);
            self.indices = order[1..].iter().map(|&axis| self.indices[axis]).collect();
        }
        Some(self)
    }

    /// Summed over what is not in `needed`.
    fn sum_over(&self, needed: impl Fn(Index) -> bool) -> Self {
        let mut sum = self.data.clone();
        for (axis, index) in self.indices.iter().enumerate() {
            if !needed(*index) {
                sum = sum.sum(axis);
            }
        }
        let kept = self
            .indices
            .iter()
            .zip(self.data.dims())
            .filter(|(index, _)| needed(**index));
        let (indices, dims): (Vec<Index>, Vec<usize>) = kept.unzip();
        Self {
            data: sum.reshape(&dims),
            indices,
        }
    }

    /// As a stack of matrices: axes in the order of the three lists of (index, extent), each list
    /// one axis.
    fn stacked(&self, lists: [&[(Index, usize)]; 3]) -> Dense {
        let all: Vec<(Index, usize)> = lists.concat();
        let order: Vec<usize> = all
            .iter()
            .filter_map(|(index, _)| self.indices.iter().position(|own| own == index))
            .collect();
        let extents: Vec<usize> = all.iter().map(|(_, extent)| *extent).collect();
        let sizes = lists.map(|list| list.iter().map(|(_, extent)| extent).product());
        self.data.permute(&order).expand(&extents).reshape(&sizes)
    }
}

/// Axes of the first index that is there twice.
fn repeated(indices: &[Index]) -> Option<(usize, usize)> {
    let mut axes = 0..indices.len();
    axes.find_map(|second| {
        let first = indices[..second]
            .iter()
            .position(|own| *own == indices[second])?;
        Some((first, second))
    })
}

/// The product of two terms, summed over what is not `needed`; `None` if extents do not fit.
fn multiply(a: &Term, b: &Term, needed: impl Fn(Index) -> bool) -> Option<Term> {
    let a = a.sum_over(|index| needed(index) || b.indices.contains(&index));
    let b = b.sum_over(|index| needed(index) || a.indices.contains(&index));
    let (mut batch, mut left, mut right, mut summed) = (vec![], vec![], vec![], vec![]);
    for &index in &a.indices {
        let own = a.extent(index)?;
        match b.extent(index) {
            None => left.push((index, own)),
            Some(other) => {
                let extent = match (own, other) {
                    (own, other) if own == other => own,
                    (1, size) | (size, 1) => size,
                    _ => return None,
                };
                if needed(index) {
                    batch.push((index, extent));
                } else {
                    summed.push((index, extent));
                }
            }
        }
    }
    for &index in &b.indices {
        if !a.indices.contains(&index) {
            right.push((index, b.extent(index)?));
        }
    }
    let product = a
        .stacked([&batch, &left, &summed])
        .matmul(&b.stacked([&batch, &summed, &right]));
    let all: Vec<(Index, usize)> = [batch, left, right].concat();
    let (indices, dims): (Vec<Index>, Vec<usize>) = all.into_iter().unzip();
    Some(Term {
        data: product.reshape(&dims),
        indices,
    })
}

impl Rule for Einsum {
    fn apply(&self, call: &Call<'_>) -> Result<Value> {
        let operands: Vec<Dense> = (0..call.len())
            .map(|slot| call.dense(slot))
            .collect::<Result<_>>()?;
        let shapes = || operands.iter().map(Dense::dims).collect::<Vec<_>>();
        let misfit = || {
            let expected = format!("inputs that fit the equation {}", self.equation);
            call.misfit(expected, format!("{:?}", shapes()))
        };
        let ranks: Vec<usize> = operands
            .iter()
            .map(|operand| operand.dims().len())
            .collect();
        let equation = Equation::parse(&self.equation, &ranks)
            .filter(|equation| repeated(&equation.output).is_none())
            .ok_or_else(misfit)?;
        let terms = operands
            .iter()
            .zip(&equation.operands)
            .map(|(data, indices)| {
                let term = Term {
                    data: data.clone(),
                    indices: indices.clone(),
                };
                term.without_repeats(call.pass)
            });
        let terms: Vec<Term> = terms.collect::<Option<_>>().ok_or_else(misfit)?;
        let mut result = terms[0].clone();
        for (slot, term) in terms.iter().enumerate().skip(1) {
            let needed = |index: Index| {
                let later = &equation.operands[slot + 1..];
                equation.output.contains(&index) || later.iter().any(|own| own.contains(&index))
            };
            result = multiply(&result, term, needed).ok_or_else(misfit)?;
        }
        let result = result.sum_over(|index| equation.output.contains(&index));
        let place = |index: &Index| result.indices.iter().position(|own| own == index);
        let order: Option<Vec<usize>> = equation.output.iter().map(place).collect();
        Ok(Value::Dense(
            result.data.permute(&order.ok_or_else(misfit)?),
        ))
    }
}

/// Reads an `Einsum` node.
///
/// # Errors
/// [`crate::NetError::Unsupported`] without an equation or operands.
pub fn einsum(planner: &Planner<'_>, node: &Node) -> Result<Box<dyn Rule>> {
    match node.attr_s("equation") {
        Some(equation) if !node.inputs.is_empty() => Ok(Box::new(Einsum { equation })),
        _ => Err(planner.refuse(node, "has no equation")),
    }
}
