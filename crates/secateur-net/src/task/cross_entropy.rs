//! Cross-entropy on class scores.

use std::sync::{Arc, Mutex};

use burn::tensor::{Tensor, TensorData, activation};
use secateur_cpu::memory::Buffer;

use crate::engine::Engine;
use crate::extension::{FusedInputs, FusedOp, InputGradients, MAX_INPUTS};
use crate::lock::lock;

/// What the class scores of a batch should be: the loss is the sum of its terms.
#[derive(Debug)]
pub(super) struct CrossEntropy {
    classes: usize,
    terms: Vec<Term>,
}

/// w · T² · CE(q, softmax(z / T)); the factor T² keeps the gradient's size whatever T is.
#[derive(Debug)]
struct Term {
    /// q, `[n, classes]`; rows sum to 1.
    shares: Vec<f32>,
    temperature: f32,
    weight: f32,
}

impl Term {
    fn factor(&self) -> f32 {
        self.weight * self.temperature * self.temperature
    }
}

impl CrossEntropy {
    /// Mean cross-entropy with label smoothing.
    ///
    /// ```text
    /// L = -1/N · Σ_n Σ_c q[n,c] · log softmax(z[n])_c, with q = (1 - s) · one-hot + s / C.
    /// ```
    ///
    /// Source: Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7.
    ///
    /// # Shapes
    /// - `labels`: `[n]`, each below `classes`
    pub fn new(labels: &[u32], classes: usize, smoothing: f32) -> Self {
        let mut shares = vec![smoothing / classes as f32; labels.len() * classes];
        for (row, &label) in shares.chunks_exact_mut(classes).zip(labels) {
            row[label as usize] += 1.0 - smoothing;
        }
        let term = Term {
            shares,
            temperature: 1.0,
            weight: 1.0,
        };
        Self {
            classes,
            terms: vec![term],
        }
    }

    /// Held against a teacher's scores alone: without terms until [`Self::with_teacher`] adds one.
    pub fn of_teacher(classes: usize) -> Self {
        Self {
            classes,
            terms: Vec::new(),
        }
    }

    /// Mixed with a teacher's scores.
    ///
    /// L = (1 - w) · CE(labels) + w · T² · CE(softmax(teacher / T), softmax(z / T))
    ///
    /// Source: Hinton, Vinyals and Dean, 2015, arXiv:1503.02531.
    ///
    /// # Shapes
    /// - `teacher`: `[n, classes]` flat scores before softmax
    /// # Range
    /// `weight` 0..=1, `temperature` above 0.
    pub fn with_teacher(mut self, teacher: &[f32], weight: f32, temperature: f32) -> Self {
        let mut shares = teacher.to_vec();
        for row in shares.chunks_exact_mut(self.classes) {
            softmax(row, temperature);
        }
        for term in &mut self.terms {
            term.weight *= 1.0 - weight;
        }
        self.terms.push(Term {
            shares,
            temperature,
            weight,
        });
        self
    }

    /// The loss of some scores, `[n, classes]`: one operation, or stock Burn operations.
    pub fn loss(self, logits: Tensor<2>, engine: &Engine) -> Tensor<1> {
        if !engine.is_fused() {
            return self.stock(&logits);
        }
        FusedInputs::new(logits).run(Arc::new(LossCall {
            targets: self,
            gradient: Mutex::new(None),
        }))
    }

    fn stock(self, logits: &Tensor<2>) -> Tensor<1> {
        let [n, classes] = logits.dims();
        let device = logits.device();
        let losses = self.terms.into_iter().map(|term| {
            let factor = term.factor() / n as f32;
            let shares = TensorData::new(term.shares, [n, classes]);
            let shares: Tensor<2> = Tensor::from_data(shares, &device);
            let scores = logits.clone().div_scalar(term.temperature);
            (activation::log_softmax(scores, 1) * shares)
                .sum()
                .mul_scalar(-factor)
        });
        losses
            .reduce(|sum, loss| sum + loss)
            .unwrap_or_else(|| Tensor::zeros([1], &device))
    }
}

/// Turns scores into softmax(scores / temperature); returns the largest score, and the
/// logarithm of the sum of exp((score - largest score) / temperature).
fn softmax(scores: &mut [f32], temperature: f32) -> (f32, f32) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = ((*score - max) / temperature).exp();
        sum += *score;
    }
    scores.iter_mut().for_each(|share| *share /= sum);
    (max, sum.ln())
}

/// The loss as one operation, whose gradient is known with it.
#[derive(Debug)]
struct LossCall {
    targets: CrossEntropy,
    gradient: Mutex<Option<Buffer>>,
}

impl FusedOp for LossCall {
    fn output_shape(&self) -> Vec<usize> {
        vec![1]
    }

    /// dL/dz of a term is w · T · (softmax(z / T) - q) / N, since the rows of q sum to 1.
    fn forward(&self, [logits, ..]: [&[f32]; MAX_INPUTS]) -> Arc<Buffer> {
        let classes = self.targets.classes;
        let n = logits.len() / classes;
        let mut gradient = Buffer::zeroed(logits.len());
        let mut loss = 0.0f64;
        let mut softened = vec![0.0f32; classes];
        for term in &self.targets.terms {
            let temperature = term.temperature;
            let slope = term.factor() / temperature / n as f32;
            let mut sum = 0.0f64;
            let rows = logits
                .chunks_exact(classes)
                .zip(term.shares.chunks_exact(classes))
                .zip(gradient.chunks_exact_mut(classes));
            for ((scores, shares), gradient) in rows {
                softened.copy_from_slice(scores);
                let (max, log_sum) = softmax(&mut softened, temperature);
                for (((&z, &q), &p), d) in scores.iter().zip(shares).zip(&softened).zip(gradient) {
                    sum += f64::from(q * (log_sum - (z - max) / temperature));
                    *d += slope * (p - q);
                }
            }
            loss += f64::from(term.factor()) * sum / n as f64;
        }
        *lock(&self.gradient) = Some(gradient);
        Buffer::from([loss as f32].as_slice()).into()
    }

    fn backward(
        &self,
        [logits, ..]: [&[f32]; MAX_INPUTS],
        output_gradient: &[f32],
        _: [bool; MAX_INPUTS],
    ) -> InputGradients {
        let kept = lock(&self.gradient).take();
        let mut gradient = kept.unwrap_or_else(|| Buffer::zeroed(logits.len()));
        let factor = output_gradient[0];
        gradient.iter_mut().for_each(|d| *d *= factor);
        let mut gradients = InputGradients::default();
        gradients[0] = Some(gradient);
        gradients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loss and gradient of scores for three images of four classes.
    fn run(targets: CrossEntropy, engine: &Engine, scores: &[f32; 12]) -> (f32, Vec<f32>) {
        let device = engine.training_device();
        let data = TensorData::new(scores.to_vec(), [3, 4]);
        let logits = Tensor::<2>::from_data(data, &device).require_grad();
        // Times 3, so that the gradient which reaches the loss is not 1.
        let loss = targets.loss(logits.clone(), engine).mul_scalar(3.0);
        let gradients = loss.clone().backward();
        let gradient = logits.grad(&gradients).unwrap().into_data();
        (loss.into_scalar(), gradient.iter().collect())
    }

    #[test]
    fn one_operation_gives_what_stock_operations_give() {
        let scores = [
            0.3, -1.2, 2.0, 0.1, 50.0, -50.0, 0.0, 3.0, -0.5, 0.5, 0.25, -90.0,
        ];
        let teacher = [1.0, 0.0, -2.0, 0.5, 9.0, -3.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.4];
        let labels = [2, 3, 0];
        let all: [&dyn Fn() -> CrossEntropy; 4] = [
            &|| CrossEntropy::new(&labels, 4, 0.0),
            &|| CrossEntropy::new(&labels, 4, 0.2),
            &|| CrossEntropy::new(&labels, 4, 0.1).with_teacher(&teacher, 0.4, 3.0),
            &|| CrossEntropy::new(&labels, 4, 0.0).with_teacher(&teacher, 1.0, 1.0),
        ];
        for (case, targets) in all.iter().enumerate() {
            let (fused, stock) = (
                run(targets(), &Engine::fused(), &scores),
                run(targets(), &Engine::stock(), &scores),
            );
            assert!(
                (fused.0 - stock.0).abs() < 1e-5 * stock.0.abs(),
                "{case}: {} and {}",
                fused.0,
                stock.0
            );
            for (a, b) in fused.1.iter().zip(&stock.1) {
                assert!((a - b).abs() < 1e-6, "{case}: {a} and {b}");
            }
        }
    }

    #[test]
    fn a_loss_that_is_not_a_number_is_seen() {
        let mut scores = [0.0; 12];
        scores[5] = f32::NAN;
        let (loss, _) = run(
            CrossEntropy::new(&[0, 1, 2], 4, 0.0),
            &Engine::fused(),
            &scores,
        );
        assert!(!loss.is_finite());
    }
}
