//! The three ways in which a block runs: inference, training without batch norm, training
//! with it.

use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;
use secateur_cpu::block::{self, ActivationStats, BlockSpec, InputGradient, Inputs, Saved};
use secateur_cpu::conv::{self, Activation};
use secateur_cpu::memory::Buffer;

use crate::extension::{CHUNK, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::score::{Collector, LayerPass, Score};
use crate::value::PendingNorm;

fn output_shape(spec: &BlockSpec) -> Vec<usize> {
    spec.output_shape().to_vec()
}

fn output_len(spec: &BlockSpec) -> usize {
    spec.output_shape().iter().product()
}

/// Inference with folded batch norm, of one block or of several that follow each other; has no
/// gradient.
#[derive(Debug)]
pub(super) struct InferenceCall {
    /// The blocks; weights and biases lie behind each other.
    pub specs: Vec<BlockSpec>,
    /// A residual is added before the last activation.
    pub has_residual: bool,
}

impl FusedOp for InferenceCall {
    fn output_shape(&self) -> Vec<usize> {
        self.specs.last().map(output_shape).unwrap_or_default()
    }

    fn forward(&self, [x, weights, biases, _, _, residual]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(self.specs.last().map_or(0, output_len));
        let residual = self.has_residual.then_some(residual);
        match self.specs.as_slice() {
            [spec] => block::forward_folded_residual(spec, x, weights, biases, residual, &mut y),
            specs => block::forward_chain(specs, x, weights, biases, residual, &mut y),
        }
        y.into()
    }

    fn backward(
        &self,
        _: [&[f32]; MAX_INPUTS],
        _: &[f32],
        _: [bool; MAX_INPUTS],
    ) -> InputGradients {
        unreachable!("inference runs without a tape")
    }
}

/// Convolution without batch norm, with bias, residual and activation.
#[derive(Debug)]
pub(super) struct ConvCall {
    spec: BlockSpec,
    has_bias: bool,
    has_residual: bool,
    /// The activated output, kept for the activation's gradient.
    output: Mutex<Option<Arc<Buffer>>>,
    node: String,
    collector: Option<Arc<Collector>>,
}

impl ConvCall {
    pub fn new(
        spec: BlockSpec,
        has_bias: bool,
        has_residual: bool,
        node: String,
        collector: Option<Arc<Collector>>,
    ) -> Self {
        Self {
            spec,
            has_bias,
            has_residual,
            output: Mutex::new(None),
            node,
            collector,
        }
    }

    /// dy where the activation passes it on, told by its output y.
    fn masked(&self, y: &[f32], dy: &[f32]) -> Buffer {
        let mut masked = Buffer::get(dy.len());
        let activation = self.spec.activation;
        let parts = masked
            .par_chunks_mut(CHUNK)
            .zip(y.par_chunks(CHUNK))
            .zip(dy.par_chunks(CHUNK));
        parts.for_each(|((to, y), dy)| {
            for ((to, &y), &d) in to.iter_mut().zip(y).zip(dy) {
                *to = d * activation.derivative(y);
            }
        });
        masked
    }
}

impl FusedOp for ConvCall {
    fn output_shape(&self) -> Vec<usize> {
        output_shape(&self.spec)
    }

    fn forward(&self, [x, weight, bias, _, _, residual]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let spec = &self.spec;
        let mut y = Buffer::get(output_len(spec));
        if self.has_residual {
            let zeros;
            let bias = if self.has_bias {
                bias
            } else {
                zeros = vec![0.0; spec.conv.c_out];
                &zeros
            };
            block::forward_folded_residual(spec, x, weight, bias, Some(residual), &mut y);
        } else {
            let bias = self.has_bias.then_some(bias);
            conv::forward(&spec.conv, x, weight, bias, spec.activation, &mut y);
        }
        let y = Arc::new(y);
        if spec.activation != Activation::None || self.collector.is_some() {
            *lock(&self.output) = Some(Arc::clone(&y));
        }
        y
    }

    fn backward(
        &self,
        [x, weight, bias, ..]: [&[f32]; MAX_INPUTS],
        dy_output: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let shape = &self.spec.conv;
        let output = lock(&self.output).take();
        if let (Some(collector), Some(y)) = (&self.collector, &output) {
            let layer = LayerPass {
                n: shape.n,
                channels: shape.c_out,
                output: y,
                gradient: dy_output,
            };
            collector.add_layer(&self.node, &layer);
        }
        let masked = match &output {
            Some(y) if self.spec.activation != Activation::None => Some(self.masked(y, dy_output)),
            _ => None,
        };
        let dy: &[f32] = masked.as_deref().unwrap_or(dy_output);
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::get(x.len());
            conv::input_gradient(shape, dy, weight, &mut dx);
            gradients[0] = Some(dx);
        }
        if wanted[1] {
            let mut dw = Buffer::get(weight.len());
            conv::weight_gradient(shape, x, dy, &mut dw);
            gradients[1] = Some(dw);
        }
        if wanted[2] && self.has_bias {
            let mut db = Buffer::get(bias.len());
            conv::bias_gradient(shape, dy, &mut db);
            gradients[2] = Some(db);
        }
        if wanted[5] && self.has_residual {
            gradients[5] = Some(masked.unwrap_or_else(|| Buffer::from(dy_output)));
        }
        gradients
    }
}

/// Where a block's batch norm is applied.
#[derive(Debug)]
enum Norm {
    /// Here.
    Own,
    /// In the next block, which finds it here after the forward pass (with pooling: only its
    /// sums are taken there).
    Left(OnceLock<Arc<PendingNorm>>),
}

/// The whole block in training mode.
#[derive(Debug)]
pub(super) struct BlockCall {
    spec: BlockSpec,
    has_bias: bool,
    has_residual: bool,
    norm: Norm,
    /// What is still to be applied to the input.
    input: Option<Arc<PendingNorm>>,
    saved: Mutex<Option<Saved>>,
    node: String,
    collector: Option<Arc<Collector>>,
}

impl BlockCall {
    pub fn new(
        spec: BlockSpec,
        has_bias: bool,
        has_residual: bool,
        node: String,
        collector: Option<Arc<Collector>>,
    ) -> Self {
        Self {
            spec,
            has_bias,
            has_residual,
            norm: Norm::Own,
            input: None,
            saved: Mutex::new(None),
            node,
            collector,
        }
    }

    /// With what is still to be applied to the input.
    pub fn with_input(mut self, input: Option<Arc<PendingNorm>>) -> Self {
        self.input = input;
        self
    }

    /// Leaves the batch norm and activation to the next block, or what of them it can do.
    pub fn leaving_norm(mut self) -> Self {
        self.norm = Norm::Left(OnceLock::new());
        self
    }

    /// The batch norm that was left, once the forward pass has run.
    pub fn left(&self) -> Option<Arc<PendingNorm>> {
        match &self.norm {
            Norm::Own => None,
            Norm::Left(norm) => norm.get().cloned(),
        }
    }

    /// Calls `body` with mean and biased variance of the batch, once the forward pass has run.
    pub fn with_statistics(&self, body: impl FnOnce(&[f32], &[f32])) {
        if let Some(saved) = lock(&self.saved).as_ref() {
            body(&saved.mean, &saved.var);
        }
    }

    fn inputs<'a>(&'a self, slices: [&'a [f32]; MAX_INPUTS]) -> Inputs<'a> {
        let [x, w, bias, gamma, beta, residual] = slices;
        Inputs {
            pending: self.input.as_ref().map(|norm| &norm.pending),
            bias: self.has_bias.then_some(bias),
            residual: self.has_residual.then_some(residual),
            ..Inputs::new(x, w, gamma, beta)
        }
    }
}

impl FusedOp for BlockCall {
    fn output_shape(&self) -> Vec<usize> {
        output_shape(&self.spec)
    }

    fn forward(&self, slices: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let inputs = self.inputs(slices);
        let wanted = || {
            let collector = self.collector.as_ref();
            collector.map(|_| ActivationStats::default())
        };
        let is_left = |norm: &Arc<PendingNorm>| norm.pending.is_norm();
        let mut of_input = wanted().filter(|_| self.input.as_ref().is_some_and(is_left));
        // Where the batch norm is left to the next block, that one knows these statistics.
        let is_own = self.spec.pool || matches!(self.norm, Norm::Own);
        let mut stats = wanted().filter(|_| is_own);
        let (own, left_here) = (stats.as_mut(), of_input.as_mut());
        let (output, saved) = match &self.norm {
            Norm::Own => {
                let (y, saved) = block::forward_train(&self.spec, &inputs, own, left_here);
                (Arc::new(y), saved)
            }
            Norm::Left(left) => {
                let (output, saved, pending) =
                    block::forward_pending(&self.spec, &inputs, own, left_here);
                left.get_or_init(|| Arc::new(PendingNorm::new(self.node.clone(), pending)));
                (output, saved)
            }
        };
        if let Some(collector) = &self.collector {
            let input = self.input.as_ref().map_or("", |norm| &norm.node);
            for (node, stats) in [(input, of_input), (&self.node, stats)] {
                if let Some(stats) = stats {
                    for (score, values) in
                        [(Score::Mean, stats.mean), (Score::Positive, stats.positive)]
                    {
                        collector.add(node, score, values.into_iter().map(f64::from));
                    }
                }
            }
        }
        *lock(&self.saved) = Some(saved);
        output
    }

    fn backward(
        &self,
        slices: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        self.backward_onto(slices, dy, wanted, None)
    }

    fn backward_onto(
        &self,
        slices: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
        first: Option<&[f32]>,
    ) -> InputGradients {
        let mut gradients = InputGradients::default();
        let Some(saved) = lock(&self.saved).take() else {
            return gradients;
        };
        let inputs = self.inputs(slices);
        let c_out = self.spec.conv.c_out;
        let mut taylor = self.collector.as_ref().map(|_| vec![0.0f64; c_out]);
        let sums = self.left().and_then(|norm| norm.take_sums());
        let dx = match first {
            _ if !wanted[0] => InputGradient::Unwanted,
            Some(first) => InputGradient::AddedTo(first),
            None => InputGradient::Own,
        };
        let result = block::backward(
            &self.spec,
            &inputs,
            &saved,
            dy,
            dx,
            sums.as_deref(),
            taylor.as_deref_mut(),
        );
        if let (Some(collector), Some(taylor)) = (&self.collector, taylor) {
            collector.add(&self.node, Score::Taylor, taylor.into_iter());
        }
        if let Some(input) = &self.input {
            input.put_sums(result.pending_sums);
        }
        gradients[0] = result.dx;
        gradients[1] = Some(result.dw);
        if wanted[2] && self.has_bias {
            gradients[2] = result.dbias.map(|db| Buffer::from(db.as_slice()));
        }
        gradients[3] = Some(Buffer::from(result.dgamma.as_slice()));
        gradients[4] = Some(Buffer::from(result.dbeta.as_slice()));
        gradients[5] = result.dresidual;
        gradients
    }
}
