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

/// Hands a [`Buffer`] to Burn as raw bytes; dropping the last reference recycles the buffer.
/// Burn may write to bytes of which it holds the only copy: then a buffer that an operation
/// has kept as well is copied.
struct BufferController(Arc<Buffer>);

impl AllocationController for BufferController {
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
        Ok(floats_mut(Arc::make_mut(&mut self.0)))
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        Ok(floats(&self.0))
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

fn bytes(buffer: Arc<Buffer>) -> Bytes {
    let n_bytes = size_of_val::<[f32]>(&**buffer);
    // SAFETY: the controller owns `n_bytes` initialised bytes, aligned for f32, until it is dropped.
    unsafe { Bytes::from_controller(Box::new(BufferController(buffer)), n_bytes) }
}

/// Hands the values of a [`GradientSum`] to Burn, which are fixed once Burn looks at them. Where Burn
/// writes to them, it does so on a copy.
struct SumController {
    sum: Arc<GradientSum>,
    copy: Option<Arc<Buffer>>,
}

impl AllocationController for SumController {
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
        let copy = self
            .copy
            .get_or_insert_with(|| Arc::clone(self.sum.values()));
        Ok(floats_mut(Arc::make_mut(copy)))
    }

    fn memory(&self, _: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        Ok(floats(
            self.copy.as_ref().unwrap_or_else(|| self.sum.values()),
        ))
    }
}

/// A tensor of a sum that has begun and may still grow.
pub(super) fn sum_tensor(sum: Arc<GradientSum>, shape: &[usize]) -> FlexTensor {
    let n_bytes = shape.iter().product::<usize>() * size_of::<f32>();
    let controller = SumController { sum, copy: None };
    // SAFETY: the controller owns `n_bytes` initialised bytes, aligned for f32, until it is
    // dropped: its sum is as long as the tensor, and stays so however it grows.
    let bytes = unsafe { Bytes::from_controller(Box::new(controller), n_bytes) };
    FlexTensor::new(
        bytes,
        Layout::contiguous(Shape::from(shape.to_vec())),
        DType::F32,
    )
}

/// Wraps a buffer as a tensor of `shape`.
pub(super) fn flex_tensor(buffer: impl Into<Arc<Buffer>>, shape: &[usize]) -> FlexTensor {
    let buffer = buffer.into();
    debug_assert_eq!(buffer.len(), shape.iter().product::<usize>());
    FlexTensor::new(
        bytes(buffer),
        Layout::contiguous(Shape::from(shape.to_vec())),
        DType::F32,
    )
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
        TensorData::from_bytes(bytes(Arc::new(buffer)), [len], DType::F32),
        device,
    )
}
