//! Loss functions on class scores.

use burn::tensor::{Tensor, TensorData, activation};

/// Mean cross-entropy with label smoothing.
///
/// ```text
/// L = -1/N · Σ_n Σ_c q[n,c] · log softmax(z[n])_c, with q = (1 - s) · one-hot + s / C.
/// ```
///
/// Source: Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7.
///
/// # Shapes
/// - `logits`: `[n, classes]`; `labels`: `[n]`, each below `classes`
pub fn cross_entropy(logits: Tensor<2>, labels: &[u32], smoothing: f32) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let mut targets = vec![smoothing / classes as f32; n * classes];
    for (row, &label) in targets.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] += 1.0 - smoothing;
    }
    soft_cross_entropy(logits, targets)
}

/// Cross-entropy mixed with that against a teacher's scores.
///
/// L = (1 - w) · CE(labels) + w · T² · CE(softmax(teacher / T), softmax(z / T))
///
/// Source: Hinton, Vinyals and Dean, 2015, arXiv:1503.02531.
///
/// # Shapes
/// - `logits`: `[n, classes]`; `teacher`: `[n, classes]` flat scores before softmax
/// # Range
/// `weight` 0..=1, `temperature` above 0.
pub fn distilled_cross_entropy(
    logits: Tensor<2>,
    labels: &[u32],
    smoothing: f32,
    teacher: &[f32],
    weight: f32,
    temperature: f32,
) -> Tensor<1> {
    let [_, classes] = logits.dims();
    let mut targets = vec![0.0f32; teacher.len()];
    for (row, scores) in targets
        .chunks_exact_mut(classes)
        .zip(teacher.chunks_exact(classes))
    {
        let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (target, &score) in row.iter_mut().zip(scores) {
            *target = ((score - max) / temperature).exp();
            sum += *target;
        }
        row.iter_mut().for_each(|target| *target /= sum);
    }
    let hard = cross_entropy(logits.clone(), labels, smoothing);
    let soft = soft_cross_entropy(logits.div_scalar(temperature), targets);
    hard.mul_scalar(1.0 - weight) + soft.mul_scalar(weight * temperature * temperature)
}

fn soft_cross_entropy(logits: Tensor<2>, targets: Vec<f32>) -> Tensor<1> {
    let [n, classes] = logits.dims();
    let device = logits.device();
    let targets: Tensor<2> = Tensor::from_data(TensorData::new(targets, [n, classes]), &device);
    (activation::log_softmax(logits, 1) * targets)
        .sum()
        .div_scalar(-(n as f32))
}
