//! Both ways of a convolution or transposed convolution, by the routines.

use std::sync::{Arc, Mutex};

use secateur_cpu::conv::{self, Activation, ConvShape};
use secateur_cpu::memory::Buffer;

use crate::extension::{FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;
use crate::score::{Collector, LayerPass};

#[derive(Debug)]
pub(super) struct GeneralCall {
    /// Of the convolution, also where its transpose is computed.
    pub shape: ConvShape,
    pub transposed: bool,
    pub has_bias: bool,
    pub collector: Option<Arc<Collector>>,
    pub node: String,
    /// Kept for the scores of kernels.
    pub output: Mutex<Option<Vec<f32>>>,
}

impl GeneralCall {
    fn c_out(&self) -> usize {
        if self.transposed {
            self.shape.c_in
        } else {
            self.shape.c_out
        }
    }
}

impl FusedOp for GeneralCall {
    fn output_shape(&self) -> Vec<usize> {
        let s = &self.shape;
        if self.transposed {
            vec![s.n, s.h, s.w, s.c_in]
        } else {
            vec![s.n, s.out_h(), s.out_w(), s.c_out]
        }
    }

    fn forward(&self, [x, weight, bias, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let mut y = Buffer::get(self.output_shape().iter().product());
        if self.transposed {
            conv::input_gradient(&self.shape, x, weight, &mut y);
            if self.has_bias {
                for y in y.chunks_exact_mut(self.c_out()) {
                    y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
                }
            }
        } else {
            let bias = self.has_bias.then_some(bias);
            conv::forward(&self.shape, x, weight, bias, Activation::None, &mut y);
        }
        if self.collector.is_some() {
            let mut output = lock(&self.output);
            *output = Some(y.to_vec());
        }
        y.into()
    }

    fn backward(
        &self,
        [x, weight, ..]: [&[f32]; MAX_INPUTS],
        dy: &[f32],
        wanted: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let mut output = lock(&self.output);
        if let (Some(collector), Some(y)) = (&self.collector, output.take()) {
            let layer = LayerPass {
                n: self.shape.n,
                channels: self.c_out(),
                output: &y,
                gradient: dy,
            };
            collector.add_layer(&self.node, &layer);
        }
        let mut gradients = InputGradients::default();
        if wanted[0] {
            let mut dx = Buffer::get(x.len());
            if self.transposed {
                conv::forward(&self.shape, dy, weight, None, Activation::None, &mut dx);
            } else {
                conv::input_gradient(&self.shape, dy, weight, &mut dx);
            }
            gradients[0] = Some(dx);
        }
        if wanted[1] {
            let mut dw = Buffer::get(weight.len());
            if self.transposed {
                conv::weight_gradient(&self.shape, dy, x, &mut dw);
            } else {
                conv::weight_gradient(&self.shape, x, dy, &mut dw);
            }
            gradients[1] = Some(dw);
        }
        if wanted[2] && self.has_bias {
            let mut sums = vec![0.0f64; self.c_out()];
            for dy in dy.chunks_exact(self.c_out()) {
                for (sum, &dy) in sums.iter_mut().zip(dy) {
                    *sum += f64::from(dy);
                }
            }
            let mut db = Buffer::get(sums.len());
            for (db, sum) in db.iter_mut().zip(sums) {
                *db = sum as f32;
            }
            gradients[2] = Some(db);
        }
        gradients
    }
}
