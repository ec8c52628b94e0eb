//! What tasks that are held against the original share: its outputs, and that others fit them.

use burn::tensor::Tensor;

use super::{Targets, Wanted};
use crate::engine::Engine;
use crate::error::{NetError, Result};
use crate::value::Output;

/// That values do not fit.
pub(super) fn misfit(name: &str, expected: &str, got: &str) -> NetError {
    NetError::Shape {
        node: name.to_string(),
        expected: expected.to_string(),
        got: got.to_string(),
    }
}

/// Fails unless a network and the original give so many outputs.
pub(super) fn check_count(expected: usize, given: usize, original: usize) -> Result<()> {
    if given == expected && original == expected {
        return Ok(());
    }
    let got = format!("{given}, and {original} of the original");
    Err(misfit("", &format!("{expected} outputs"), &got))
}

/// Fails unless an output of these extents has those of the original's.
pub(super) fn check_shape(name: &str, shape: &[usize], original: &Output) -> Result<()> {
    if shape == original.shape {
        return Ok(());
    }
    let expected = format!("{:?}, as the original gives it", original.shape);
    Err(misfit(name, &expected, &format!("{shape:?}")))
}

/// The original's outputs that others are judged by; `name` says in messages whose.
pub(super) fn judged_by<'a>(name: &str, wanted: Wanted<'a>) -> Result<&'a [Output]> {
    match wanted {
        Wanted::Original(original) => Ok(original),
        Wanted::Labels(_) => Err(misfit(name, "the original's outputs", "labels")),
    }
}

/// The original's outputs among targets.
pub(super) fn originals<'a>(targets: &'a Targets<'_>, expected: usize) -> Result<&'a [Output]> {
    let outputs = targets.teacher.as_ref().map(|teacher| &teacher.outputs);
    let outputs = outputs.ok_or_else(|| misfit("", "the original's outputs", "none"))?;
    check_count(expected, expected, outputs.len())?;
    Ok(outputs)
}

/// The mean of some losses.
pub(super) fn mean_loss(losses: Vec<Tensor<1>>, engine: &Engine) -> Tensor<1> {
    let n = losses.len().max(1);
    let sum = losses.into_iter().reduce(|sum, loss| sum + loss);
    sum.unwrap_or_else(|| Tensor::zeros([1], engine.device()))
        .div_scalar(n as f32)
}
