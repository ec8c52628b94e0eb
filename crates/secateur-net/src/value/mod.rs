//! Values that flow between operators.
//!
//! Images keep the channels-last form of the fast path from one operator to the
//! next; everything else lies in the file's own order of axes. A value changes its
//! form only where an operator needs the other one. What shapes are computed with
//! (sizes, indices, bounds) never becomes a tensor of the device: it stays in plain
//! memory, where it costs nothing and may depend on the batch.

mod dense;
mod host;
mod inputs;
mod output;
mod pending;

use std::sync::Arc;

use burn::tensor::{Device, Gradients, Tensor};

pub use dense::Dense;
pub use host::{Host, HostData};
pub use inputs::{Input, Inputs};
pub use output::Output;
pub use pending::PendingImage;
pub(crate) use pending::PendingNorm;

use crate::error::{NetError, Result};

/// A tensor of a rank that is known only when the file is read.
#[derive(Debug, Clone)]
pub enum Value {
    /// Images, channels last: `[n, h, w, c]`, whatever the file says (ONNX: `[n, c, h, w]`).
    Image(Tensor<4>),
    /// Images, channels last, whose batch norm and activation their only reader applies: a
    /// convolution, which the plan sees to.
    Pending(PendingImage),
    /// Any other computed value or parameter, in the file's order.
    Dense(Dense),
    /// Constants, and what shapes are computed with.
    Host(Arc<Host>),
}

/// Where the axes `[n, c, h, w]` of the file lie in a channels-last image.
const IMAGE_AXES: [usize; 4] = [0, 3, 1, 2];

/// A tensor in the order in which it lies in memory.
#[derive(Debug, Clone)]
pub struct Laid {
    /// The values.
    pub data: Dense,
    /// True for images `[n, h, w, c]`; false for the file's order.
    pub channels_last: bool,
}

impl Laid {
    /// Where axis `axis` of the file lies.
    pub fn axis(&self, axis: usize) -> usize {
        if self.channels_last {
            IMAGE_AXES[axis]
        } else {
            axis
        }
    }

    /// A value with the same order of axes.
    pub fn with(&self, data: Dense) -> Value {
        if self.channels_last {
            Value::Image(data.tensor())
        } else {
            Value::Dense(data)
        }
    }
}

impl Value {
    /// Integers in plain memory, as a vector.
    pub fn ints(values: Vec<i64>) -> Self {
        Self::Host(Arc::new(Host {
            shape: vec![values.len()],
            data: HostData::Int(values),
        }))
    }

    /// Features `[n, c]`.
    pub fn from_features(features: Tensor<2>) -> Self {
        Self::Dense(Dense::from_tensor(features))
    }

    /// Dimensions in the order of the file (ONNX).
    pub fn onnx_dims(&self) -> Vec<usize> {
        match self {
            Self::Image(t) => {
                let [n, h, w, c] = t.dims();
                vec![n, c, h, w]
            }
            Self::Pending(image) => {
                let [n, h, w, c] = image.dims();
                vec![n, c, h, w]
            }
            Self::Dense(t) => t.dims().to_vec(),
            Self::Host(t) => t.shape.clone(),
        }
    }

    /// As images `[n, h, w, c]`.
    ///
    /// # Errors
    /// [`NetError::Shape`] if the value has another rank.
    pub fn image(&self, node: &str, device: &Device) -> Result<Tensor<4>> {
        match self {
            Self::Image(t) => Ok(t.clone()),
            Self::Host(t) if t.shape.len() == 4 => {
                Self::Dense(t.to_device(device)).image(node, device)
            }
            Self::Dense(t) if t.dims().len() == 4 => {
                let [n, c, h, w] = t.tensor::<4>().dims();
                // With one pixel or one channel both orders are the same in memory.
                Ok(if h * w == 1 || c == 1 {
                    t.reshape(&[n, h, w, c]).tensor()
                } else {
                    t.tensor::<4>().permute([0, 2, 3, 1])
                })
            }
            other => Err(other.misfit(node, "images [n, c, h, w]")),
        }
    }

    /// As features.
    ///
    /// # Errors
    /// [`NetError::Shape`] if the value has another rank.
    pub fn features(&self, node: &str) -> Result<Tensor<2>> {
        match self {
            Self::Dense(t) if t.dims().len() == 2 => Ok(t.tensor()),
            other => Err(other.misfit(node, "features [n, c]")),
        }
    }

    /// In the file's order of axes.
    pub fn dense(&self, device: &Device) -> Dense {
        match self {
            Self::Image(t) => {
                let [n, h, w, c] = t.dims();
                if h * w == 1 || c == 1 {
                    Dense::from_tensor(t.clone()).reshape(&[n, c, h, w])
                } else {
                    Dense::from_tensor(t.clone().permute(IMAGE_AXES))
                }
            }
            Self::Pending(_) => unreachable!("the plan hands these to a convolution alone"),
            Self::Dense(t) => t.clone(),
            Self::Host(t) => t.to_device(device),
        }
    }

    /// In the order in which it lies.
    pub fn laid(&self, device: &Device) -> Laid {
        match self {
            Self::Image(t) => Laid {
                data: Dense::from_tensor(t.clone()),
                channels_last: true,
            },
            other => Laid {
                data: other.dense(device),
                channels_last: false,
            },
        }
    }

    /// A copy in plain memory, without its history.
    pub fn to_host(&self, device: &Device) -> Host {
        match self {
            Self::Host(host) => host.as_ref().clone(),
            computed => Host {
                shape: computed.onnx_dims(),
                data: HostData::Float(computed.dense(device).to_vec()),
            },
        }
    }

    /// What lies in plain memory.
    pub fn host(&self) -> Option<&Host> {
        match self {
            Self::Host(host) => Some(host),
            _ => None,
        }
    }

    /// The same as a leaf of a gradient tape, without what was before it.
    pub(crate) fn leaf(&self) -> Self {
        match self {
            Self::Image(t) => Self::Image(t.clone().detach().require_grad()),
            Self::Dense(t) => Self::Dense(t.leaf()),
            other => other.clone(),
        }
    }

    /// The gradient of a leaf, flat.
    pub(crate) fn gradient(&self, gradients: &Gradients) -> Option<Tensor<1>> {
        match self {
            Self::Image(t) => Some(t.grad(gradients)?.flatten(0, 3)),
            Self::Dense(t) => t.gradient(gradients),
            _ => None,
        }
    }

    /// Its numbers in the order in which they lie; `None` of what is no tensor.
    pub(crate) fn flat(&self) -> Option<Tensor<1>> {
        match self {
            Self::Image(t) => Some(t.clone().flatten(0, 3)),
            Self::Dense(t) => Some(t.flat()),
            _ => None,
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
