//! The bridge between Burn and the CPU routines: one differentiable Burn
//! operation that runs any [`FusedOp`].
//!
//! Burn's extension macro wants one trait method per operation and writes its
//! glue for each. Here there is one method, and what it computes is a value:
//! an object that knows its forward and backward pass on plain memory. So a new
//! fused operation is one `impl FusedOp`, and the glue is written once.
//!
//! Only the CPU device (`Flex`) has these; on other devices the network runs
//! through stock Burn operations (see [`crate::Engine`]).

mod gradient_sum;
mod storage;
mod timing;

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::{Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn_flex::FlexTensor;
use secateur_cpu::memory::Buffer;

use gradient_sum::GradientSum;
use storage::{contiguous_slice, flex_tensor, sum_tensor};
pub use storage::{tensor_from_buffer, tensor_from_vec};
pub use timing::time_in_routines;
pub(crate) use timing::timed;

/// Most tensors that one fused operation reads: input, weights, bias, scale, shift, residual.
pub const MAX_INPUTS: usize = 6;

/// Values that a thread takes at once where an operation goes over plain memory.
pub(crate) const CHUNK: usize = 16_384;

/// Gradients of a fused operation, in the order of its inputs; `None` where none was wanted.
pub type InputGradients = [Option<Buffer>; MAX_INPUTS];

/// An operation with its own forward and backward pass on contiguous memory.
///
/// One object is one call: what the backward pass needs, the forward pass
/// leaves in the object (behind a lock, since Burn wants `Sync`).
pub trait FusedOp: Debug + Send + Sync {
    /// Shape of the output.
    fn output_shape(&self) -> Vec<usize>;

    /// Computes the output; unused inputs are one element long. An object that needs its output
    /// for the backward pass keeps a reference.
    fn forward(&self, inputs: [&[f32]; MAX_INPUTS]) -> Arc<Buffer>;

    /// Gradients of the inputs marked in `wanted`, given that of the output.
    fn backward(
        &self,
        inputs: [&[f32]; MAX_INPUTS],
        output_gradient: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients;

    /// The same, where `first`, if given, is what other readers of the first input have found its
    /// gradient to be: the sum of both.
    fn backward_onto(
        &self,
        inputs: [&[f32]; MAX_INPUTS],
        output_gradient: &[f32],
        wanted: [bool; MAX_INPUTS],
        first: Option<&[f32]>,
    ) -> InputGradients {
        let mut gradients = self.backward(inputs, output_gradient, wanted);
        if let (Some(own), Some(first)) = (&mut gradients[0], first) {
            gradient_sum::add(own, first);
        }
        gradients
    }
}

/// A fused operation on its way through Burn's dispatch.
pub type FusedCall = Arc<dyn FusedOp>;

/// Where the gradients of a fused operation's inputs are added up: of those that other operations
/// gave and may read as well, not of parameters.
pub type GradientSums = [Option<Arc<GradientSum>>; MAX_INPUTS];

/// Backends that run fused operations.
#[backend_extension(Flex, Autodiff)]
pub trait FusedBackend: Backend {
    /// Runs the forward pass of `call`.
    #[allow(clippy::too_many_arguments)]
    fn fused(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        call: FusedCall,
    ) -> FloatTensor<Self>;

    /// Runs the backward pass of `call` and adds the gradients to those `sums` that there are; gives
    /// tensors of the others and of the sums that begin with it, and of one element where a sum
    /// had begun or no gradient is wanted.
    #[allow(clippy::too_many_arguments)]
    fn fused_gradients(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        output_gradient: FloatTensor<Self>,
        call: FusedCall,
        wanted: [bool; MAX_INPUTS],
        sums: GradientSums,
    ) -> Vec<FloatTensor<Self>>;
}

impl FusedBackend for Flex {
    fn fused(
        a: FlexTensor,
        b: FlexTensor,
        c: FlexTensor,
        d: FlexTensor,
        e: FlexTensor,
        f: FlexTensor,
        call: FusedCall,
    ) -> FlexTensor {
        let inputs = [a, b, c, d, e, f].map(|t| t.to_contiguous());
        let slices = inputs.each_ref().map(contiguous_slice);
        let output = timed(|| call.forward(slices));
        flex_tensor(output, &call.output_shape())
    }

    fn fused_gradients(
        a: FlexTensor,
        b: FlexTensor,
        c: FlexTensor,
        d: FlexTensor,
        e: FlexTensor,
        f: FlexTensor,
        output_gradient: FlexTensor,
        call: FusedCall,
        wanted: [bool; MAX_INPUTS],
        sums: GradientSums,
    ) -> Vec<FlexTensor> {
        let inputs = [a, b, c, d, e, f].map(|t| t.to_contiguous());
        let output_gradient = output_gradient.to_contiguous();
        let slices = inputs.each_ref().map(contiguous_slice);
        let dy = contiguous_slice(&output_gradient);
        let mut first = sums[0].as_ref().and_then(|sum| sum.take());
        let so_far = first.as_deref();
        let gradients = timed(|| call.backward_onto(slices, dy, wanted, so_far));
        let nothing = || flex_tensor(Buffer::zeroed(1), &[1]);
        let mut tensors = Vec::with_capacity(MAX_INPUTS);
        for ((gradient, sum), input) in gradients.into_iter().zip(sums).zip(&inputs) {
            let (before, shape) = (first.take(), input.layout().shape());
            tensors.push(match (gradient, sum) {
                (Some(of_leaf), None) => flex_tensor(of_leaf, shape),
                (gradient, Some(sum)) => {
                    let begins = sum.grow(gradient, before);
                    if begins {
                        sum_tensor(sum, shape)
                    } else {
                        nothing()
                    }
                }
                (None, None) => nothing(),
            });
        }
        tensors
    }
}

#[derive(Debug)]
struct FusedBackward;

impl<B: Backend + FusedBackend> Backward<B, MAX_INPUTS> for FusedBackward {
    type State = ([FloatTensor<B>; MAX_INPUTS], FusedCall);

    fn backward(
        self,
        ops: Ops<Self::State, MAX_INPUTS>,
        gradients: &mut Gradients,
        _: &mut Checkpointer,
    ) {
        let output_gradient = gradients.consume::<B>(&ops.node);
        let ([a, b, c, d, e, f], call) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let (mut sums, mut gives) = (GradientSums::default(), wanted);
        for (slot, parent) in ops.parents.iter().enumerate() {
            if let Some(parent) = parent.as_ref().filter(|node| !node.parents.is_empty()) {
                let sum = GradientSum::of(parent.id);
                let is_that = |other: &Arc<_>| Arc::ptr_eq(other, &sum);
                gives[slot] = !sum.has_begun() && !sums.iter().flatten().any(is_that);
                sums[slot] = Some(sum);
            }
        }
        let results = B::fused_gradients(a, b, c, d, e, f, output_gradient, call, wanted, sums);
        for ((parent, gradient), gives) in ops.parents.into_iter().zip(results).zip(gives) {
            if let Some(parent) = parent.filter(|_| gives) {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: Backend + FusedBackend, C: CheckpointStrategy> FusedBackend for Autodiff<B, C> {
    fn fused(
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
        f: FloatTensor<Self>,
        call: FusedCall,
    ) -> FloatTensor<Self> {
        let ((a, na), (b, nb), (c, nc)) = (a.into_parts(), b.into_parts(), c.into_parts());
        let ((d, nd), (e, ne), (f, nf)) = (d.into_parts(), e.into_parts(), f.into_parts());
        let output = B::fused(
            a.clone(),
            b.clone(),
            c.clone(),
            d.clone(),
            e.clone(),
            f.clone(),
            call.clone(),
        );
        let nodes = [na, nb, nc, nd, ne, nf];
        match FusedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(([a, b, c, d, e, f], call), output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn fused_gradients(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: FusedCall,
        _: [bool; MAX_INPUTS],
        _: GradientSums,
    ) -> Vec<FloatTensor<Self>> {
        unreachable!("second derivatives of fused operations are never taken")
    }
}

/// Inputs of a fused operation, gathered one by one.
pub struct FusedInputs {
    tensors: [FloatTensor<Dispatch>; MAX_INPUTS],
}

impl FusedInputs {
    /// Starts with the operation's first input.
    pub fn new<const D: usize>(x: Tensor<D>) -> Self {
        let filler = Tensor::<1>::zeros([1], &x.device()).into_dispatch();
        let rest = || filler.clone();
        Self {
            tensors: [x.into_dispatch(), rest(), rest(), rest(), rest(), rest()],
        }
    }

    /// Sets input number `slot` (1 and up) where there is one.
    pub fn with<const D: usize>(mut self, slot: usize, tensor: Option<Tensor<D>>) -> Self {
        if let Some(tensor) = tensor {
            self.tensors[slot] = tensor.into_dispatch();
        }
        self
    }

    /// Runs the operation; `D` is the rank of its output.
    pub fn run<const D: usize>(self, call: FusedCall) -> Tensor<D> {
        let [a, b, c, d, e, f] = self.tensors;
        Tensor::from_dispatch(<Dispatch as FusedBackend>::fused(a, b, c, d, e, f, call))
    }
}
