//! Matrix products.
//!
//! Specs: <https://onnx.ai/onnx/operators/onnx__Gemm.html> (opset 1-13),
//! <https://onnx.ai/onnx/operators/onnx__MatMul.html>.

use super::{OpRule, OutputShapes, misfit};
use crate::coupling::{LabelContext, Role};
use crate::error::Result;
use crate::graph::{Dim, Node};
use crate::shape::ShapeContext;

pub(super) struct Gemm;

impl OpRule for Gemm {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(a), Some(b)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        let ([a0, a1], [b0, b1]) = (a, b) else {
            return Err(misfit(context, node, "expected two matrices"));
        };
        let (rows, inner_a) = if node.attr_i("transA", 0) != 0 {
            (a1, a0)
        } else {
            (a0, a1)
        };
        let (inner_b, columns) = if node.attr_i("transB", 0) != 0 {
            (b1, b0)
        } else {
            (b0, b1)
        };
        if let (Some(x), Some(y)) = (inner_a.fixed(), inner_b.fixed())
            && x != y
        {
            return Err(misfit(
                context,
                node,
                format!("its input has {x} features, its weights take {y}"),
            ));
        }
        Ok(vec![Some(vec![rows.clone(), columns.clone()])])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        if node.attr_i("transA", 0) != 0 {
            return Err("its first input is transposed".to_string());
        }
        let a = context.input(node, 0)?;
        let b = context.input(node, 1)?;
        let [rows, features] = a.as_slice() else {
            return Err("expected a matrix".to_string());
        };
        let [b0, b1] = b.as_slice() else {
            return Err("expected a matrix".to_string());
        };
        let transposed = node.attr_i("transB", 0) != 0;
        let (inner, columns) = if transposed { (b1, b0) } else { (b0, b1) };
        let (Some(features), Some(inner), Some(columns)) = (features, inner, columns) else {
            return Err("the number of features is not known".to_string());
        };
        if features.len() != inner.len() {
            return Err("its weights do not fit its input".to_string());
        }
        let (inner_axis, column_axis) = if transposed { (1, 0) } else { (0, 1) };
        let (features, inner, columns) = (features.clone(), inner.clone(), columns.clone());
        context.use_parameter(node, 1, inner_axis, Role::Input);
        context.use_parameter(node, 1, column_axis, Role::Output);
        context.merge(&features, &inner);
        if node.input(2).is_some() {
            let bias = context.input(node, 2)?;
            if let Some(Some(labels)) = bias.last()
                && labels.len() == columns.len()
            {
                let axis = bias.len() - 1;
                context.use_parameter(node, 2, axis, Role::Output);
                context.merge(&columns, labels);
            }
        }
        context.set_output(node, 0, vec![rows.clone(), Some(columns)]);
        Ok(())
    }

    fn weighted_pixels(&self, node: &Node, context: &ShapeContext<'_>) -> Option<u64> {
        context.stored(node, 1).map(|_| 1)
    }
}

pub(super) struct MatMul;

impl OpRule for MatMul {
    fn shapes(&self, node: &Node, context: &ShapeContext<'_>) -> Result<OutputShapes> {
        let (Some(a), Some(b)) = (context.input(node, 0), context.input(node, 1)) else {
            return Ok(vec![None]);
        };
        if a.len() < 2 || b.len() < 2 {
            return Ok(vec![None]);
        }
        let (inner_a, inner_b) = (&a[a.len() - 1], &b[b.len() - 2]);
        if let (Some(x), Some(y)) = (inner_a.fixed(), inner_b.fixed())
            && x != y
        {
            return Err(misfit(
                context,
                node,
                format!("extents {x} and {y} do not fit"),
            ));
        }
        let mut shape: Vec<Dim> = if a.len() >= b.len() {
            a.to_vec()
        } else {
            b[..b.len() - 2].to_vec()
        };
        if a.len() < b.len() {
            shape.extend_from_slice(&a[a.len() - 2..]);
        }
        if let Some(last) = shape.last_mut() {
            *last = b[b.len() - 1].clone();
        }
        Ok(vec![Some(shape)])
    }

    fn labels(&self, node: &Node, context: &mut LabelContext<'_>) -> Result<(), String> {
        let mut output = context.input(node, 0)?;
        let weights = context.input(node, 1)?;
        if !context.is_stored(node, 1) {
            return Err("it multiplies two computed values".to_string());
        }
        let [inner, columns] = weights.as_slice() else {
            return Err("expected a stored matrix".to_string());
        };
        let (Some(Some(features)), Some(inner), Some(columns)) = (output.last(), inner, columns)
        else {
            return Err("the number of features is not known".to_string());
        };
        if features.len() != inner.len() {
            return Err("its weights do not fit its input".to_string());
        }
        let features = features.clone();
        context.use_parameter(node, 1, 0, Role::Input);
        context.use_parameter(node, 1, 1, Role::Output);
        context.merge(&features, inner);
        if let Some(last) = output.last_mut() {
            *last = Some(columns.clone());
        }
        context.set_output(node, 0, output);
        Ok(())
    }

    fn weighted_pixels(&self, node: &Node, context: &ShapeContext<'_>) -> Option<u64> {
        context.stored(node, 1)?;
        let shape = context.input(node, 0)?;
        // Rows of a sample: everything between batch and features.
        shape
            .get(1..shape.len().saturating_sub(1))
            .unwrap_or(&[])
            .iter()
            .try_fold(1u64, |product, dim| {
                product.checked_mul(dim.fixed()? as u64)
            })
    }
}
