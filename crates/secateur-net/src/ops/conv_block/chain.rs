//! Blocks that an inference pass computes image by image (`secateur_cpu::block::forward_chain`).

use std::sync::Arc;

use burn::tensor::Tensor;
use secateur_cpu::block::BlockSpec;

use super::ConvBlock;
use super::calls::InferenceCall;
use crate::error::Result;
use crate::extension::FusedInputs;
use crate::pass::Pass;
use crate::value::Value;

impl ConvBlock {
    /// What it computes for one image, if the file fixes the sizes.
    pub(crate) fn planned_spec(&self) -> Option<BlockSpec> {
        let [c, h, w] = self.input_shape?;
        let shape = self.conv_shape([1, h, w, c], &self.weight_shape).ok()?;
        Some(self.spec(shape))
    }

    /// Name of the value it writes.
    pub(crate) fn output(&self) -> &str {
        &self.output
    }

    /// True if it adds another value before its activation.
    pub(crate) fn has_residual(&self) -> bool {
        self.residual.is_some()
    }

    /// Runs blocks that follow each other, of which only the last may have a residual, on the
    /// value that the first reads. Their folded parameters are bound together, as the first's.
    ///
    /// # Errors
    /// As [`crate::ops::Operator::forward`].
    pub(crate) fn forward_chain(
        blocks: &[&Self],
        pass: &Pass<'_>,
        x: &Value,
        residual: Option<&Value>,
    ) -> Result<Value> {
        let [Some(first), Some(last)] = [blocks.first(), blocks.last()] else {
            return Ok(x.clone());
        };
        let x = x.image(&first.node, &pass.device)?;
        let mut dims = x.dims();
        let mut specs = Vec::with_capacity(blocks.len());
        for block in blocks {
            let spec = block.spec(block.conv_shape(dims, &block.weight_shape)?);
            dims = spec.output_shape();
            specs.push(spec);
        }
        let residual = residual
            .map(|value| last.checked_residual(pass, value, dims))
            .transpose()?;
        let (weights, biases) = pass.folded(&first.node)?;
        let call = InferenceCall {
            specs,
            has_residual: residual.is_some(),
        };
        let y: Tensor<4> = FusedInputs::new(x)
            .with(1, Some(weights))
            .with(2, Some(biases))
            .with(5, residual)
            .run(Arc::new(call));
        Ok(Value::Image(y))
    }
}
