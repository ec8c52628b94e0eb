//! Every routine once more, plainly and in f64: what the tests compare with.

use secateur_cpu::block::{BlockSpec, Inputs};
use secateur_cpu::conv::{Activation, ConvShape};
use secateur_cpu::pool::PoolShape;

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
        other => unimplemented!("the reference of {other:?}"),
    }
}

/// The activation of every value, in place.
pub fn activate(y: &mut [f64], activation: Activation) {
    let [floor, ceiling] = limits(activation);
    y.iter_mut().for_each(|y| *y = y.clamp(floor, ceiling));
}

/// As [`secateur_cpu::conv::forward`].
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

/// As [`secateur_cpu::conv::input_gradient`], from an f64 dy.
pub fn conv_input_gradient(s: &ConvShape, dy: &[f64], w: &[f32]) -> Vec<f64> {
    let mut dx = vec![0.0; s.x_len()];
    each_product(s, |xi, wi, yi| dx[xi] += dy[yi] * f64::from(w[wi]));
    dx
}

/// As [`secateur_cpu::conv::weight_gradient`], from an f64 dy.
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

/// The convolution's output u and its batch norm: hat = (u - mean) · r, z = γ · hat + β + residual.
struct Normalised {
    mean: Vec<f64>,
    var: Vec<f64>,
    r: Vec<f64>,
    hat: Vec<f64>,
    z: Vec<f64>,
}

fn normalise(spec: &BlockSpec, u: &[f64], inputs: &Inputs<'_>) -> Normalised {
    let Inputs {
        gamma,
        beta,
        residual,
        ..
    } = *inputs;
    let c = spec.conv.c_out;
    let m = (u.len() / c) as f64;
    let mean: Vec<f64> = column_sums(u, c).iter().map(|v| v / m).collect();
    let centred = u.iter().enumerate().map(|(i, u)| u - mean[i % c]);
    let squares: Vec<f64> = centred.clone().map(|d| d.powi(2)).collect();
    let var: Vec<f64> = column_sums(&squares, c).iter().map(|v| v / m).collect();
    let r: Vec<f64> = var
        .iter()
        .map(|v| 1.0 / (v + f64::from(spec.eps)).sqrt())
        .collect();
    let hat: Vec<f64> = centred.enumerate().map(|(i, d)| d * r[i % c]).collect();
    let z = hat
        .iter()
        .enumerate()
        .map(|(i, v)| {
            let added = residual.map_or(0.0, |r| f64::from(r[i]));
            v * f64::from(gamma[i % c]) + f64::from(beta[i % c]) + added
        })
        .collect();
    Normalised {
        mean,
        var,
        r,
        hat,
        z,
    }
}

/// What the activation and the pooling make of z, and of the gradient dy on its way back.
struct Passed {
    /// The activation of z, before pooling.
    a: Vec<f64>,
    y: Vec<f64>,
    /// dy where it reaches z, else 0.
    d: Vec<f64>,
    /// See [`Block::margin`].
    margin: f64,
}

fn pass(spec: &BlockSpec, z: &[f64], dy: &[f32]) -> Passed {
    let [floor, ceiling] = limits(spec.activation);
    let mut a = z.to_vec();
    activate(&mut a, spec.activation);
    let mut passed = Passed {
        y: Vec::new(),
        d: vec![0.0; a.len()],
        margin: f64::INFINITY,
        a,
    };
    for (window, &dy) in pooling_windows(spec).iter().zip(dy) {
        let best = window
            .iter()
            .copied()
            .reduce(|best, i| if z[i] > z[best] { i } else { best })
            .expect("a window has pixels");
        let value = z[best];
        let mut margin = (value - floor).abs().min((ceiling - value).abs());
        if value > floor && value < ceiling {
            passed.d[best] = f64::from(dy);
            for &i in window.iter().filter(|&&i| i != best) {
                margin = margin.min(value - z[i]);
            }
        }
        passed.margin = passed.margin.min(margin);
        passed.y.push(passed.a[best]);
    }
    passed
}

/// Of every value of y, the values before pooling among which it is the largest: four, or one if
/// nothing is pooled.
fn pooling_windows(spec: &BlockSpec) -> Vec<Vec<usize>> {
    let s = &spec.conv;
    let (c, h, w) = (s.c_out, s.out_h(), s.out_w());
    if !spec.pool {
        return (0..s.y_len()).map(|i| vec![i]).collect();
    }
    let mut windows = Vec::new();
    for n in 0..s.n {
        for (oy, ox) in (0..h / 2).flat_map(|oy| (0..w / 2).map(move |ox| (oy, ox))) {
            for i in 0..c {
                let at = |j: usize| ((n * h + 2 * oy + j / 2) * w + 2 * ox + j % 2) * c + i;
                windows.push((0..4).map(at).collect());
            }
        }
    }
    windows
}

/// As [`secateur_cpu::block::forward_train`] and [`secateur_cpu::block::backward`].
pub fn block(spec: &BlockSpec, inputs: &Inputs<'_>, dy: &[f32]) -> Block {
    let Inputs { x, w, gamma, .. } = *inputs;
    let s = &spec.conv;
    let c = s.c_out;
    let u = conv_forward(s, x, w, inputs.bias, Activation::None);
    let Normalised {
        mean,
        var,
        r,
        hat,
        z,
    } = normalise(spec, &u, inputs);
    let Passed { a, y, d, margin } = pass(spec, &z, dy);
    let m = (u.len() / c) as f64;
    let count = (y.len() / c) as f64;
    let share = |values: &[f64]| column_sums(values, c).iter().map(|v| v / count).collect();
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
    let scores: Vec<f64> = a.iter().zip(&d).map(|(a, d)| a * d).collect();
    for image in scores.chunks_exact(scores.len() / s.n) {
        for (t, sum) in taylor.iter_mut().zip(column_sums(image, c)) {
            *t += sum.abs();
        }
    }
    Block {
        activation_mean: share(&y),
        positive: share(&positive),
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
