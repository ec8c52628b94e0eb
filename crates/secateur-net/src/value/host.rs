//! Tensors in plain memory: constants, and what shapes are computed with.

use burn::tensor::{Device, Tensor, TensorData};
use secateur_onnx::model::{Tensor as Stored, Values};

use super::Dense;

/// Elements of a [`Host`] tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum HostData {
    /// Floating point, of any width in the file.
    Float(Vec<f32>),
    /// Whole numbers, of any width in the file.
    Int(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// A tensor in plain memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Extents; empty for a scalar.
    pub shape: Vec<usize>,
    /// Row-major elements.
    pub data: HostData,
}

impl Host {
    /// A stored tensor; `None` for types that operators do not read.
    pub fn from_stored(tensor: &Stored) -> Option<Self> {
        let data = if let Some(values) = tensor.as_f32() {
            HostData::Float(values.into_owned())
        } else if let Some(values) = tensor.as_i64() {
            HostData::Int(values.into_owned())
        } else if let Values::Bool(values) = &tensor.values {
            HostData::Bool(values.clone())
        } else {
            return None;
        };
        Some(Self {
            shape: tensor.shape.clone(),
            data,
        })
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.data {
            HostData::Float(values) => values.len(),
            HostData::Int(values) => values.len(),
            HostData::Bool(values) => values.len(),
        }
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements as floats.
    pub fn floats(&self) -> Vec<f32> {
        match &self.data {
            HostData::Float(values) => values.clone(),
            HostData::Int(values) => values.iter().map(|&v| v as f32).collect(),
            HostData::Bool(values) => values.iter().map(|&v| f32::from(u8::from(v))).collect(),
        }
    }

    /// Elements as integers; floats are cut off towards zero.
    pub fn ints(&self) -> Vec<i64> {
        match &self.data {
            HostData::Float(values) => values.iter().map(|&v| v as i64).collect(),
            HostData::Int(values) => values.clone(),
            HostData::Bool(values) => values.iter().map(|&v| i64::from(v)).collect(),
        }
    }

    /// Elements as truth values: not zero.
    pub fn bools(&self) -> Vec<bool> {
        match &self.data {
            HostData::Float(values) => values.iter().map(|&v| v != 0.0).collect(),
            HostData::Int(values) => values.iter().map(|&v| v != 0).collect(),
            HostData::Bool(values) => values.clone(),
        }
    }

    /// The elements at `indices`, in that order, as a tensor of `shape`.
    pub fn pick(&self, shape: Vec<usize>, indices: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            HostData::Float(values) => HostData::Float(indices.map(|i| values[i]).collect()),
            HostData::Int(values) => HostData::Int(indices.map(|i| values[i]).collect()),
            HostData::Bool(values) => HostData::Bool(indices.map(|i| values[i]).collect()),
        };
        Self { shape, data }
    }

    /// Positions `range` of `axis`.
    pub fn narrow(&self, axis: usize, range: std::ops::Range<usize>) -> Self {
        let inner: usize = self.shape[axis + 1..].iter().product();
        let outer: usize = self.shape[..axis].iter().product();
        let whole = self.shape[axis] * inner;
        let (from, to) = (range.start * inner, range.end * inner);
        let mut shape = self.shape.clone();
        shape[axis] = range.len();
        let indices = (0..outer).flat_map(|at| at * whole + from..at * whole + to);
        self.pick(shape, indices)
    }

    /// The same elements in another shape of the same length.
    pub fn reshaped(&self, shape: Vec<usize>) -> Self {
        Self {
            shape,
            data: self.data.clone(),
        }
    }

    /// As floats on a device.
    pub fn to_device(&self, device: &Device) -> Dense {
        let values = self.floats();
        let len = values.len();
        let flat = Tensor::<1>::from_data(TensorData::new(values, [len]), device);
        Dense::from_tensor(flat).reshape(&self.shape)
    }
}
