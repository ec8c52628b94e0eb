//! Steps of a plan.

use std::ops::Deref;

use crate::ops::{ConvBlock, Operator};

/// One step; convolutions are told apart because they work together with their neighbours.
#[derive(Debug)]
pub(super) enum Step {
    Conv(Box<ConvBlock>),
    Other(Box<dyn Operator>),
}

impl Step {
    /// The convolution with what was fused into it, if it is one.
    pub fn conv_block(&self) -> Option<&ConvBlock> {
        match self {
            Self::Conv(block) => Some(block),
            Self::Other(_) => None,
        }
    }
}

impl Deref for Step {
    type Target = dyn Operator;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Conv(block) => block.as_ref(),
            Self::Other(step) => step.as_ref(),
        }
    }
}
