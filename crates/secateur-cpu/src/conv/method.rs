//! Which way a convolution is computed.

use std::cell::Cell;
use std::fmt;
use std::sync::OnceLock;

use super::shape::ConvShape;
use super::{across, depthwise, winograd};

/// A way to compute a convolution and its gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Register tiles over padded images; any convolution.
    Direct,
    /// 1x1 with stride 1, without padding: one matrix product over all pixels.
    Pointwise,
    /// One channel in every group: vectors of channels, tap by tap.
    Depthwise,
    /// Winograd F(4x4, 3x3): a quarter of the multiplications.
    Winograd4,
    /// Register tiles whose pixels are those of many images; a few pixels an image.
    Across,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Direct => "direct",
            Method::Pointwise => "pointwise",
            Method::Depthwise => "depthwise",
            Method::Winograd4 => "winograd4",
            Method::Across => "across images",
        })
    }
}

thread_local! {
    static FORCED: Cell<Option<Method>> = const { Cell::new(None) };
}

/// Calls `body` with `method` for all convolutions started from this thread that support
/// it. Made for tests and measurements that compare methods; the environment variable
/// `SECATEUR_CONV` (`direct`, `winograd4`) does the same for a whole run.
#[doc(hidden)]
pub fn with_method<T>(method: Method, body: impl FnOnce() -> T) -> T {
    struct Restore(Option<Method>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(Some(method)));
    body()
}

fn from_environment() -> Option<Method> {
    static CHOSEN: OnceLock<Option<Method>> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("SECATEUR_CONV").ok()?;
        match name.as_str() {
            "direct" => Some(Method::Direct),
            "winograd4" => Some(Method::Winograd4),
            _ => {
                tracing::warn!("cannot use SECATEUR_CONV={name}: expected direct or winograd4");
                None
            }
        }
    })
}

/// The method that [`super::forward`] and the fused blocks use for a convolution.
pub fn method(s: &ConvShape) -> Method {
    let forced = FORCED.get().or_else(from_environment);
    if forced.is_none() && across::supports(s) {
        return Method::Across;
    }
    if s.is_pointwise() {
        return Method::Pointwise;
    }
    // One channel in one group has the form of a depthwise convolution, but is left to the
    // direct method.
    if depthwise::supports(s) && s.groups > 1 && forced != Some(Method::Direct) {
        return Method::Depthwise;
    }
    let can_cut = winograd::supports(s);
    match forced {
        Some(Method::Winograd4) if can_cut => Method::Winograd4,
        Some(_) => Method::Direct,
        None if can_cut && pays(s) => Method::Winograd4,
        None => Method::Direct,
    }
}

/// Least ratio of c_in · c_out, with which the products grow, to c_in + c_out, with which the
/// transforms grow. Below it the transforms cost more than the products save (measured on Zen 4
/// with AVX-512 and AVX2, where 5 to 6 channels lose and 6 to 10 gain).
const LEAST_RATIO: usize = 3;

/// Most transformed floats of an image, which is always transformed whole: more of them would not
/// stay in the last-level cache between the passes.
const MOST_TRANSFORMED: usize = 2_500_000;

/// True if Winograd is faster than the direct method.
fn pays(s: &ConvShape) -> bool {
    // 36 points for a tile of 16 pixels.
    let transformed = s.out_h() * s.out_w() * s.c_in.max(s.c_out) / 16 * 36;
    s.c_in * s.c_out >= LEAST_RATIO * (s.c_in + s.c_out) && transformed <= MOST_TRANSFORMED
}
