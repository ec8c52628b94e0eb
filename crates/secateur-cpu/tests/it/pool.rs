use proptest::prelude::*;
use secateur_cpu::pool::{self, PoolShape};

use crate::common::{TOLERANCE, assert_close, random};
use crate::reference;

fn any_pool() -> impl Strategy<Value = PoolShape> {
    let image = (1..4usize, 1..12usize, 1..12usize, 1..40usize);
    let window = (
        (1..5usize, 1..5usize),
        (1..4usize, 1..4usize),
        (1..3usize, 1..3usize),
    );
    (image, window, [0..3usize, 0..3, 0..3, 0..3], any::<bool>()).prop_filter_map(
        "window larger than the image",
        |((n, h, w, c), (k, s, d), pads, ceil)| {
            PoolShape::new([n, h, w, c], [k.0, k.1], [s.0, s.1], pads, [d.0, d.1], ceil).ok()
        },
    )
}

proptest! {
    #[test]
    fn pooling_equals_the_reference(shape in any_pool(), include in any::<bool>(), seed in 0..999u64) {
        let x = random(seed, shape.x_len());
        let dy = random(seed + 1, shape.y_len());
        let (y_ref, dx_ref) = reference::max_pool(&shape, &x, &dy);
        let (y, indices) = pool::max_forward(&shape, &x);
        assert_close("max", &y, &y_ref, 0.0);
        let mut dx = vec![f32::NAN; x.len()];
        pool::max_backward(&shape, &dy, &indices, &mut dx);
        assert_close("max dx", &dx, &dx_ref, TOLERANCE);

        let (y_ref, dx_ref) = reference::average_pool(&shape, include, &x, &dy);
        let mut y = vec![f32::NAN; shape.y_len()];
        pool::average_forward(&shape, include, &x, &mut y);
        assert_close("average", &y, &y_ref, TOLERANCE);
        pool::average_backward(&shape, include, &dy, &mut dx);
        assert_close("average dx", &dx, &dx_ref, TOLERANCE);
    }

    #[test]
    fn global_average_is_an_average_over_all(n in 1..4usize, h in 1..9usize, w in 1..9usize, c in 1..40usize) {
        let shape = PoolShape::new([n, h, w, c], [h, w], [1, 1], [0; 4], [1, 1], false).unwrap();
        let (x, dy) = (random(1, shape.x_len()), random(2, shape.y_len()));
        let (y_ref, dx_ref) = reference::average_pool(&shape, true, &x, &dy);
        let mut y = vec![f32::NAN; n * c];
        pool::global_average_forward(n, h * w, c, &x, &mut y);
        assert_close("y", &y, &y_ref, TOLERANCE);
        let mut dx = vec![f32::NAN; x.len()];
        pool::global_average_backward(n, h * w, c, &dy, &mut dx);
        assert_close("dx", &dx, &dx_ref, TOLERANCE);
    }
}

#[test]
fn ceil_mode_drops_windows_that_start_behind_the_image() {
    let out = |size, k, s, pad, ceil| {
        PoolShape::new([1, size, size, 1], [k; 2], [s; 2], [pad; 4], [1; 2], ceil)
            .unwrap()
            .out_h()
    };
    // As PyTorch and ONNX (opset 19 and up).
    assert_eq!((out(5, 2, 2, 0, false), out(5, 2, 2, 0, true)), (2, 3));
    assert_eq!((out(4, 3, 2, 1, false), out(4, 3, 2, 1, true)), (2, 3));
    assert_eq!(out(4, 1, 3, 1, true), 2);
    assert_eq!(out(5, 1, 3, 1, true), 2);
}

#[test]
fn the_first_of_equal_pixels_wins() {
    let shape = PoolShape::new([1, 2, 2, 1], [2, 2], [2, 2], [0; 4], [1, 1], false).unwrap();
    assert_eq!(pool::max_forward(&shape, &[1.0, 1.0, 0.5, 1.0]).1, [0]);
    assert!(pool::max_forward(&shape, &[1.0, f32::NAN, 0.5, 2.0]).0[0].is_nan());
}
