//! Random data, shapes and comparisons.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secateur_cpu::conv::{ConvShape, Method, with_method};

/// Largest difference accepted, relative to the root mean square of the reference (and to
/// each value): sums of up to some thousand f32 products of order one keep 5 digits.
pub const TOLERANCE: f64 = 2e-5;

/// `len` values, about normal with deviation 1.
pub fn random(seed: u64, len: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..len)
        .map(|_| {
            let sum: f32 = (0..4).map(|_| rng.random_range(-1.0..1.0f32)).sum();
            sum * 0.866
        })
        .collect()
}

/// The largest difference in units of the reference's rms (or `scale`) plus the value itself.
pub fn distance(got: &[f32], expected: &[f64], scale: f64) -> f64 {
    assert_eq!(got.len(), expected.len());
    let rms = (expected.iter().map(|e| e * e).sum::<f64>() / expected.len().max(1) as f64).sqrt();
    got.iter()
        .zip(expected)
        .map(|(&g, &e)| {
            let difference =
                (f64::from(g) - e).abs() / (rms.max(scale) + e.abs() + f64::MIN_POSITIVE);
            if f64::from(g) == e {
                0.0
            } else if difference.is_nan() {
                f64::INFINITY
            } else {
                difference
            }
        })
        .fold(0.0, f64::max)
}

/// As [`assert_close`], for sums of `terms` products of [`random`] values: where a tensor has a
/// few values only, all of them may cancel, while their rounding stays that of the summed terms.
pub fn assert_sum_close(what: &str, got: &[f32], expected: &[f64], terms: usize) {
    assert_close_on_scale(what, got, expected, (terms as f64).sqrt(), TOLERANCE);
}

pub fn assert_close(what: &str, got: &[f32], expected: &[f64], tolerance: f64) {
    assert_close_on_scale(what, got, expected, 0.0, tolerance);
}

pub fn assert_close_on_scale(
    what: &str,
    got: &[f32],
    expected: &[f64],
    scale: f64,
    tolerance: f64,
) {
    let distance = distance(got, expected, scale);
    assert!(
        distance <= tolerance,
        "{what}: off by {distance:e}, accepted {tolerance:e}"
    );
}

/// Calls `body` on every level of the machine.
pub fn on_every_level(mut body: impl FnMut(&str)) {
    for isa in secateur_cpu::isa::available() {
        secateur_cpu::isa::with(isa, || body(&isa.to_string()));
    }
}

/// Calls `body` on every level with the method of choice, and with each that can be forced.
pub fn on_every_level_and_method(mut body: impl FnMut(&str)) {
    on_every_level(|level| {
        body(level);
        for method in [Method::Direct, Method::Winograd4] {
            with_method(method, || body(&format!("{level}, {method}")));
        }
    });
}

/// A 3x3 convolution with stride 1 and padding 1, of images `[n, h, w]`.
pub fn same3x3(image: [usize; 3], channels: [usize; 2]) -> ConvShape {
    ConvShape::new(image, channels, [3, 3], [1, 1], [1; 4], [1, 1], 1).expect("fits")
}

/// Any convolution: kernel size, stride, padding, dilation, groups, 1 to 70 channels.
pub fn any_conv() -> impl Strategy<Value = ConvShape> {
    let image = (1..4usize, 1..15usize, 1..15usize);
    let kernel = (
        (1..6usize, 1..6usize),
        (1..4usize, 1..4usize),
        (1..4usize, 1..4usize),
    );
    let pads = [0..4usize, 0..4, 0..4, 0..4];
    let channels = prop_oneof![
        // One group; depthwise with a multiplier; other groups.
        3 => (1..71usize, 1..71usize).prop_map(|(i, o)| (1, i, o)),
        1 => (1..71usize, 1..3usize).prop_map(|(c, m)| (c, c, c * m)),
        1 => (2..5usize, 1..9usize, 1..9usize).prop_map(|(g, i, o)| (g, g * i, g * o)),
    ];
    (image, kernel, pads, channels).prop_filter_map(
        "window larger than the image",
        |((n, h, w), ((kh, kw), (sh, sw), (dh, dw)), pads, (groups, i, o))| {
            ConvShape::new(
                [n, h, w],
                [i, o],
                [kh, kw],
                [sh, sw],
                pads,
                [dh, dw],
                groups,
            )
            .ok()
        },
    )
}

/// Many images of a few pixels, most of them small enough to be computed side by side.
pub fn small_images() -> impl Strategy<Value = ConvShape> {
    let image = (12..70usize, 1..5usize, 1..5usize);
    let channels = (14..50usize, 14..50usize);
    let kernel = (
        (1..5usize, 1..5usize),
        (1..3usize, 1..3usize),
        (1..3usize, 1..3usize),
    );
    let pads = [0..3usize, 0..3, 0..3, 0..3];
    (image, channels, kernel, pads).prop_filter_map(
        "window larger than the image",
        |((n, h, w), (i, o), ((kh, kw), (sh, sw), (dh, dw)), pads)| {
            ConvShape::new([n, h, w], [i, o], [kh, kw], [sh, sw], pads, [dh, dw], 1).ok()
        },
    )
}

/// The common convolutions: 3x3 with padding, 1x1.
pub fn common_conv() -> impl Strategy<Value = ConvShape> {
    let image = (1..6usize, 2..18usize, 2..18usize);
    let channels = (1..71usize, 1..71usize);
    (
        image,
        channels,
        prop_oneof![4 => Just(3usize), 1 => Just(1)],
    )
        .prop_map(|((n, h, w), (i, o), k)| {
            ConvShape::new([n, h, w], [i, o], [k, k], [1, 1], [k / 2; 4], [1, 1], 1).expect("fits")
        })
}
