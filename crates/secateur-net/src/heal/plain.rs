//! Values in plain memory, looked at by the file's axes.

use burn::tensor::Device;

use super::form::unravel;
use crate::value::Value;

/// Elements with the extents of the file's axes, and how far apart neighbours along each lie.
#[derive(Debug, Clone)]
pub(super) struct Plain {
    pub dims: Vec<usize>,
    pub strides: Vec<usize>,
    pub data: Vec<f32>,
}

impl Plain {
    /// Of a value, in the order in which it lies.
    pub fn new(value: &Value, device: &Device) -> Self {
        let laid = value.laid(device);
        let lies = laid.data.dims();
        let mut steps = vec![1; lies.len()];
        for axis in (1..lies.len()).rev() {
            steps[axis - 1] = steps[axis] * lies[axis];
        }
        let axes: Vec<usize> = (0..lies.len()).map(|axis| laid.axis(axis)).collect();
        Self {
            dims: axes.iter().map(|&axis| lies[axis]).collect(),
            strides: axes.iter().map(|&axis| steps[axis]).collect(),
            data: laid.data.to_vec(),
        }
    }

    /// Where the elements along `axis` begin at these indices of the other axes, in order, and
    /// how far apart they lie.
    pub fn line(&self, at: &[usize], axis: usize) -> (usize, usize) {
        let others = (0..self.dims.len()).filter(|&other| other != axis);
        let start = others
            .zip(at)
            .map(|(other, index)| index * self.strides[other]);
        (start.sum(), self.strides[axis])
    }

    /// The channels at `positions`, counted over all axes but `axis`, a row each.
    pub fn channels(&self, positions: &[usize], axis: usize) -> Vec<f32> {
        let mut extents = self.dims.clone();
        let channels = extents.remove(axis);
        let mut rows = Vec::with_capacity(positions.len() * channels);
        for &position in positions {
            let (start, stride) = self.line(&unravel(position, &extents), axis);
            rows.extend((0..channels).map(|channel| self.data[start + channel * stride]));
        }
        rows
    }
}
