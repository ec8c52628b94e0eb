//! Every routine once more, plainly and in f64: what the tests compare with.

use crate::block::BlockSpec;
use crate::conv::{Activation, ConvShape};
use crate::pool::PoolShape;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Visits every multiplication of a convolution: indices into x, w and y.
fn each_product(s: &ConvShape, mut visit: impl FnMut(usize, usize, usize)) {
    let (oh, ow) = (s.out_h(), s.out_w());
    let (ci, co) = (s.c_in / s.groups, s.c_out / s.groups);
    let [kh, kw] = s.kernel_size;
    for n in 0..s.n {
        for oy in 0..oh {
            for ox in 0..ow {
                for ky in 0..kh {
                    let y = (oy * s.stride[0] + ky * s.dilation[0]).wrapping_sub(s.pads[0]);
                    for kx in 0..kw {
                        let x = (ox * s.stride[1] + kx * s.dilation[1]).wrapping_sub(s.pads[1]);
                        if y >= s.h || x >= s.w {
                            continue;
                        }
                        for o in 0..s.c_out {
                            for i in 0..ci {
                                visit(
                                    ((n * s.h + y) * s.w + x) * s.c_in + o / co * ci + i,
                                    ((o * ci + i) * kh + ky) * kw + kx,
                                    ((n * oh + oy) * ow + ox) * s.c_out + o,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

fn limits(activation: Activation) -> [f64; 2] {
    match activation {
        Activation::None => [f64::NEG_INFINITY, f64::INFINITY],
        Activation::Relu => [0.0, f64::INFINITY],
        Activation::Relu6 => [0.0, 6.0],
    }
}

fn activate(y: &mut [f64], activation: Activation) {
    let [floor, ceiling] = limits(activation);
    y.iter_mut().for_each(|y| *y = y.clamp(floor, ceiling));
}

/// As [`crate::conv::forward`].
pub fn conv_forward(
    s: &ConvShape,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    activation: Activation,
) -> Vec<f64> {
    let mut y = vec![0.0; s.y_len()];
    if let Some(bias) = bias {
        for pixel in y.chunks_exact_mut(s.c_out) {
            pixel.copy_from_slice(&wide(bias));
        }
    }
    each_product(s, |xi, wi, yi| y[yi] += f64::from(x[xi]) * f64::from(w[wi]));
    activate(&mut y, activation);
    y
}

/// As [`crate::conv::input_gradient`], from an f64 dy.
pub fn conv_input_gradient(s: &ConvShape, dy: &[f64], w: &[f32]) -> Vec<f64> {
    let mut dx = vec![0.0; s.x_len()];
    each_product(s, |xi, wi, yi| dx[xi] += dy[yi] * f64::from(w[wi]));
    dx
}

/// As [`crate::conv::weight_gradient`], from an f64 dy.
pub fn conv_weight_gradient(s: &ConvShape, x: &[f32], dy: &[f64]) -> Vec<f64> {
    let mut dw = vec![0.0; s.w_len()];
    each_product(s, |xi, wi, yi| dw[wi] += f64::from(x[xi]) * dy[yi]);
    dw
}

/// Sum over all but the channels.
pub fn column_sums(x: &[f64], c: usize) -> Vec<f64> {
    let mut sum = vec![0.0; c];
    for pixel in x.chunks_exact(c) {
        sum.iter_mut().zip(pixel).for_each(|(s, x)| *s += x);
    }
    sum
}

/// All that a block's forward and backward pass compute.
#[derive(Debug)]
pub struct Block {
    /// Output.
    pub y: Vec<f64>,
    /// Batch mean of the convolution with bias.
    pub mean: Vec<f64>,
    /// Biased batch variance.
    pub var: Vec<f64>,
    /// Mean of y.
    pub activation_mean: Vec<f64>,
    /// Share of y > 0.
    pub positive: Vec<f64>,
    /// Gradients.
    pub dx: Vec<f64>,
    /// As w.
    pub dw: Vec<f64>,
    /// Root mean square of the terms that add up to a value of dw, times the root of their
    /// number: what rounding is relative to where they cancel (as for a single weight, whose
    /// size batch norm takes away).
    pub dw_scale: f64,
    /// As gamma.
    pub dgamma: Vec<f64>,
    /// As `dw_scale`, for dgamma.
    pub dgamma_scale: f64,
    /// As beta.
    pub dbeta: Vec<f64>,
    /// Gradient of the residual: dy where the activation passes it on.
    pub dresidual: Vec<f64>,
    /// Taylor score.
    pub taylor: Vec<f64>,
    /// Least distance of a decision (ReLU's zero, a pooling window's winner) from a tie: below
    /// rounding, gradients may go either way.
    pub margin: f64,
}

/// As [`crate::block::forward_train`] and [`crate::block::backward`].
pub fn block(
    spec: &BlockSpec,
    x: &[f32],
    w: &[f32],
    bias: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    residual: Option<&[f32]>,
    dy: &[f32],
) -> Block {
    let s = &spec.conv;
    let (c, h, wd) = (s.c_out, s.out_h(), s.out_w());
    let u = conv_forward(s, x, w, bias, Activation::None);
    let m = (s.n * h * wd) as f64;
    let mean: Vec<f64> = column_sums(&u, c).iter().map(|v| v / m).collect();
    let squares: Vec<f64> = u
        .iter()
        .enumerate()
        .map(|(i, u)| (u - mean[i % c]).powi(2))
        .collect();
    let var: Vec<f64> = column_sums(&squares, c).iter().map(|v| v / m).collect();
    let r: Vec<f64> = var
        .iter()
        .map(|v| 1.0 / (v + f64::from(spec.eps)).sqrt())
        .collect();
    let hat: Vec<f64> = u
        .iter()
        .enumerate()
        .map(|(i, u)| (u - mean[i % c]) * r[i % c])
        .collect();
    let z: Vec<f64> = hat
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let added = residual.map_or(0.0, |r| f64::from(r[i]));
            v * f64::from(gamma[i % c]) + f64::from(beta[i % c]) + added
        })
        .collect();
    let [floor, ceiling] = limits(spec.activation);
    let passes = |z: f64| z > floor && z < ceiling;
    let to_limit = |z: f64| (z - floor).abs().min((ceiling - z).abs());
    let mut a = z.clone();
    activate(&mut a, spec.activation);
    let mut margin = f64::INFINITY;
    let mut d = vec![0.0; a.len()];
    let mut y = Vec::new();
    if spec.pool {
        for n in 0..s.n {
            for oy in 0..h / 2 {
                for ox in 0..wd / 2 {
                    for i in 0..c {
                        let at =
                            |j: usize| ((n * h + 2 * oy + j / 2) * wd + 2 * ox + j % 2) * c + i;
                        let best = (1..4).fold(0, |b, j| if z[at(j)] > z[at(b)] { j } else { b });
                        for j in (0..4).filter(|&j| j != best) {
                            if passes(z[at(best)]) {
                                margin = margin.min(z[at(best)] - z[at(j)]);
                            }
                        }
                        margin = margin.min(to_limit(z[at(best)]));
                        if passes(z[at(best)]) {
                            d[at(best)] = f64::from(dy[y.len()]);
                        }
                        y.push(a[at(best)]);
                    }
                }
            }
        }
    } else {
        for i in 0..a.len() {
            margin = margin.min(to_limit(z[i]));
            if passes(z[i]) {
                d[i] = f64::from(dy[i]);
            }
        }
        y.clone_from(&a);
    }
    let count = (y.len() / c) as f64;
    let positive: Vec<f64> = y.iter().map(|&y| f64::from(u8::from(y > 0.0))).collect();
    let dbeta = column_sums(&d, c);
    let products: Vec<f64> = d.iter().zip(&hat).map(|(d, hat)| d * hat).collect();
    let dgamma = column_sums(&products, c);
    let product_squares: f64 = products.iter().map(|p| p * p).sum();
    let du: Vec<f64> = (0..d.len())
        .map(|i| {
            let k = i % c;
            f64::from(gamma[k]) * r[k] * (d[i] - dbeta[k] / m - hat[i] * dgamma[k] / m)
        })
        .collect();
    let x_squares: Vec<f32> = x.iter().map(|x| x * x).collect();
    let du_squares: Vec<f64> = du.iter().map(|d| d * d).collect();
    let dw_squares = conv_weight_gradient(s, &x_squares, &du_squares);
    let mut taylor = vec![0.0; c];
    for n in 0..s.n {
        let image = n * h * wd * c..(n + 1) * h * wd * c;
        let scores: Vec<f64> = image.map(|i| a[i] * d[i]).collect();
        for (t, sum) in taylor.iter_mut().zip(column_sums(&scores, c)) {
            *t += sum.abs();
        }
    }
    Block {
        activation_mean: column_sums(&y, c).iter().map(|v| v / count).collect(),
        positive: column_sums(&positive, c)
            .iter()
            .map(|v| v / count)
            .collect(),
        y,
        mean,
        var,
        dx: conv_input_gradient(s, &du, w),
        dw: conv_weight_gradient(s, x, &du),
        dw_scale: (dw_squares.iter().sum::<f64>() / dw_squares.len() as f64).sqrt(),
        dgamma,
        dgamma_scale: (product_squares / c as f64).sqrt(),
        dbeta,
        dresidual: d,
        taylor,
        margin,
    }
}

/// Values of x in each window (with the pixel), in the order of y; and the windows' sizes
/// with padding.
fn windows(s: &PoolShape, x: &[f32]) -> (Vec<Vec<(usize, f64)>>, Vec<f64>) {
    let mut values = Vec::new();
    let mut sizes = Vec::new();
    for n in 0..s.n {
        for o in 0..s.out_h() * s.out_w() {
            for c in 0..s.c {
                let mut window = Vec::new();
                let mut size = 0.0;
                for ky in 0..s.kernel_size[0] {
                    for kx in 0..s.kernel_size[1] {
                        let y = o / s.out_w() * s.stride[0] + ky * s.dilation[0];
                        let xx = o % s.out_w() * s.stride[1] + kx * s.dilation[1];
                        if y >= s.h + s.pads[0] + s.pads[2] || xx >= s.w + s.pads[1] + s.pads[3] {
                            continue;
                        }
                        size += 1.0;
                        let y = y.wrapping_sub(s.pads[0]);
                        let xx = xx.wrapping_sub(s.pads[1]);
                        if y < s.h && xx < s.w {
                            let at = ((n * s.h + y) * s.w + xx) * s.c + c;
                            window.push((at, f64::from(x[at])));
                        }
                    }
                }
                values.push(window);
                sizes.push(size);
            }
        }
    }
    (values, sizes)
}

/// y and dx of max pooling.
pub fn max_pool(s: &PoolShape, x: &[f32], dy: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let mut dx = vec![0.0; x.len()];
    let y = windows(s, x)
        .0
        .iter()
        .zip(dy)
        .map(|(window, &dy)| {
            let best = window
                .iter()
                .copied()
                .reduce(|a, b| if b.1 > a.1 { b } else { a });
            if let Some((at, _)) = best {
                dx[at] += f64::from(dy);
            }
            best.map_or(f64::NEG_INFINITY, |b| b.1)
        })
        .collect();
    (y, dx)
}

/// y and dx of average pooling.
pub fn average_pool(
    s: &PoolShape,
    count_include_pad: bool,
    x: &[f32],
    dy: &[f32],
) -> (Vec<f64>, Vec<f64>) {
    let mut dx = vec![0.0; x.len()];
    let (values, sizes) = windows(s, x);
    let y = values
        .iter()
        .zip(sizes)
        .zip(dy)
        .map(|((window, size), &dy)| {
            let count = if count_include_pad {
                size
            } else {
                window.len() as f64
            }
            .max(1.0);
            for &(at, _) in window {
                dx[at] += f64::from(dy) / count;
            }
            window.iter().map(|v| v.1).sum::<f64>() / count
        })
        .collect();
    (y, dx)
}
