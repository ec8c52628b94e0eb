//! Burn tensors on recycled, aligned buffers: no copy and, in a warm step, no
//! allocation between the routines and Burn.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::Arc;

use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use burn_flex::{FlexTensor, Layout};
use burn_std::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};
use secateur_cpu::memory::Buffer;

use super::gradient_sum::GradientSum;

/// Hands memory to Burn as raw bytes; dropping the last reference to a [`Buffer`] recycles it.
/// Burn may write to bytes of which it holds the only copy: then a buffer that somebody else has
/// kept as well is copied.
enum Controller {
    Buffer(Arc<Buffer>),
    /// Its values are fixed once Burn looks at them.
    Sum(Arc<GradientSum>),
}

impl Controller {
    fn buffer(&self) -> &Arc<Buffer> {
        match self {
            Self::Buffer(buffer) => buffer,
            Self::Sum(sum) => sum.values(),
        }
    }
}

impl AllocationController for Controller {
    fn alloc_align(&self) -> usize {
        align_of::<f32>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        if let Self::Sum(sum) = self {
            *self = Self::Buffer(Arc::clone(sum.values()));
        }
        match self {
            Self::Buffer(buffer) => Ok(floats_mut(Arc::make_mut(buffer))),
            Self::Sum(_) => unreachable!("made a buffer above"),
        }
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        Ok(floats(self.buffer()))
    }
}

/// The memory of a buffer.
fn floats(buffer: &[f32]) -> &[MaybeUninit<u8>] {
    // SAFETY: a slice of f32 is a valid slice of four times as many bytes, and MaybeUninit<u8> has
    // the size and alignment of u8.
    unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast(), size_of_val(buffer)) }
}

/// The memory of a buffer, to write to.
fn floats_mut(buffer: &mut Buffer) -> &mut [MaybeUninit<u8>] {
    // SAFETY: as above; the exclusive borrow is passed on. Any bytes are valid floats, and those who
    // write through this never leave bytes that are not initialised.
    unsafe {
        std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast(), size_of_val::<[f32]>(buffer))
    }
}

/// Of a buffer or sum of `len` floats.
fn bytes(controller: Controller, len: usize) -> Bytes {
    // SAFETY: the controller owns so many initialised bytes, aligned for f32, until it is dropped: a
    // sum stays as long as it is, however it grows.
    unsafe { Bytes::from_controller(Box::new(controller), len * size_of::<f32>()) }
}

fn tensor(controller: Controller, len: usize, shape: &[usize]) -> FlexTensor {
    debug_assert_eq!(len, shape.iter().product::<usize>());
    FlexTensor::new(
        bytes(controller, len),
        Layout::contiguous(Shape::from(shape.to_vec())),
        DType::F32,
    )
}

/// A tensor of a sum that has begun and may still grow.
pub(super) fn sum_tensor(sum: Arc<GradientSum>, shape: &[usize]) -> FlexTensor {
    tensor(Controller::Sum(sum), shape.iter().product(), shape)
}

/// Wraps a buffer as a tensor of `shape`.
pub(super) fn flex_tensor(buffer: impl Into<Arc<Buffer>>, shape: &[usize]) -> FlexTensor {
    let buffer = buffer.into();
    let len = buffer.len();
    tensor(Controller::Buffer(buffer), len, shape)
}

/// The elements of a contiguous f32 tensor.
pub(super) fn contiguous_slice(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice::<f32>()
        .expect("made contiguous f32 by the caller")
}

/// A tensor that takes over `values` without copying.
pub fn tensor_from_vec<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A vector that takes over `buffer` without copying.
pub fn tensor_from_buffer(buffer: Buffer, device: &Device) -> Tensor<1> {
    let len = buffer.len();
    Tensor::from_data(
        TensorData::from_bytes(
            bytes(Controller::Buffer(Arc::new(buffer)), len),
            [len],
            DType::F32,
        ),
        device,
    )
}
