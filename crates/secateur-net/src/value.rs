//! Values that flow between operators.

use burn::tensor::Tensor;

use crate::error::{NetError, Result};

/// A tensor of a rank that is known only when the file is read.
#[derive(Debug, Clone)]
pub enum Value {
    /// Images, channels last: `[n, h, w, c]`, whatever the file says (ONNX: `[n, c, h, w]`).
    Image(Tensor<4>),
    /// Features: `[n, c]`.
    Features(Tensor<2>),
}

impl Value {
    /// Dimensions in the order of the file (ONNX).
    pub fn onnx_dims(&self) -> Vec<usize> {
        match self {
            Self::Image(t) => {
                let [n, h, w, c] = t.dims();
                vec![n, c, h, w]
            }
            Self::Features(t) => t.dims().to_vec(),
        }
    }

    /// As images.
    ///
    /// # Errors
    /// [`NetError::Shape`] if the value has another rank.
    pub fn image(&self, node: &str) -> Result<Tensor<4>> {
        match self {
            Self::Image(t) => Ok(t.clone()),
            other => Err(other.misfit(node, "images [n, c, h, w]")),
        }
    }

    /// As features.
    ///
    /// # Errors
    /// [`NetError::Shape`] if the value has another rank.
    pub fn features(&self, node: &str) -> Result<Tensor<2>> {
        match self {
            Self::Features(t) => Ok(t.clone()),
            other => Err(other.misfit(node, "features [n, c]")),
        }
    }

    fn misfit(&self, node: &str, expected: &str) -> NetError {
        NetError::Shape {
            node: node.to_string(),
            expected: expected.to_string(),
            got: format!("{:?}", self.onnx_dims()),
        }
    }
}
