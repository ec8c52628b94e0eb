//! Elementary functions in plain arithmetic, so that the compiler makes vector
//! code of loops over them. Errors are a few units in the last place of `f32`.

/// e^x: e^x = 2^n · e^r with |r| <= ln 2 / 2, and a polynomial of degree 6 for e^r.
///
/// Source: Cephes `expf` (Moshier), whose constants these are.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    // Beyond these, e^x is 0 or infinite in f32.
    let clamped = x.clamp(-87.336_54, 88.722_83);
    let n = clamped.mul_add_fast(std::f32::consts::LOG2_E, ROUND) - ROUND;
    let r = clamped - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4f32;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p * r + c;
    }
    let y = p * r * r + r + 1.0;
    // 2^n as a product of two powers: n = 128 itself does not fit the exponent of an f32.
    let half = (n as i32) >> 1;
    let rest = n as i32 - half;
    let power = |n: i32| f32::from_bits(((n + 127) << 23) as u32);
    let y = y * power(half) * power(rest);
    if x > 88.722_83 {
        f32::INFINITY
    } else if x < -103.972_08 {
        0.0
    } else if x.is_nan() {
        x
    } else {
        y
    }
}

/// A multiply and an add that may round twice: fused ones are slow where the processor lacks them.
trait MulAddFast {
    fn mul_add_fast(self, times: f32, plus: f32) -> f32;
}

impl MulAddFast for f32 {
    #[inline(always)]
    fn mul_add_fast(self, times: f32, plus: f32) -> f32 {
        self * times + plus
    }
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x = 1 - 2 / (e^2x + 1), and x - x³ / 3 + 2 x⁵ / 15 - 17 x⁷ / 315 near 0, where that
/// form cancels.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let s = x * x;
    let near =
        x * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * 62.0 / 2835.0))));
    let far = 1.0 - 2.0 / (exp(2.0 * x) + 1.0);
    if x.abs() < 0.25 { near } else { far }
}

/// The error function as a rational function, exactly ±1 beyond ±4.
///
/// Source: Eigen `generic_fast_erf_float`, whose constants these are.
#[inline(always)]
pub fn erf(x: f32) -> f32 {
    let clamped = x.clamp(-4.0, 4.0);
    let s = clamped * clamped;
    let mut p = -2.726_142_3e-10f32;
    for c in [
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_3e-5,
        -7.349_906_3e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ] {
        p = p * s + c;
    }
    let mut q = -1.456_607_2e-5f32;
    for c in [
        -2.133_740_6e-4,
        -1.682_826_9e-3,
        -7.373_329e-3,
        -1.426_473_9e-2,
    ] {
        q = q * s + c;
    }
    clamped * p / q
}

/// ln(1 + e^x), without overflow.
#[inline(always)]
pub fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_agree_with_double_precision() {
        let check = |name: &str, f: fn(f32) -> f32, expected: fn(f64) -> f64, tolerance: f64| {
            for step in -4000..=4000 {
                let x = step as f32 * 0.005;
                let (got, expected) = (f64::from(f(x)), expected(f64::from(x)));
                let error = (got - expected).abs() / expected.abs().max(1e-30);
                assert!(
                    error < tolerance,
                    "{name}({x}) = {got}, expected {expected}"
                );
            }
        };
        // A few units in the last place (1.2e-7 each).
        check("exp", exp, f64::exp, 4e-7);
        check("sigmoid", sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 6e-7);
        check("tanh", tanh, f64::tanh, 1e-6);
        check("softplus", softplus, |x| x.exp().ln_1p(), 4e-7);
    }

    #[test]
    fn erf_agrees_with_its_series() {
        // erf x = 2 / √π Σ (-1)^k x^(2k+1) / (k! (2k + 1)): Abramowitz and Stegun 7.1.5.
        let series = |x: f64| {
            let (mut term, mut sum) = (x, x);
            for k in 1..200 {
                term *= -x * x / f64::from(k);
                sum += term / f64::from(2 * k + 1);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        };
        for step in -800..=800 {
            let x = step as f32 * 0.005;
            let (got, expected) = (f64::from(erf(x)), series(f64::from(x)));
            assert!(
                (got - expected).abs() < 5e-7,
                "erf({x}) = {got}, expected {expected}"
            );
        }
        assert!((erf(30.0) - 1.0).abs() < 1e-6 && (erf(-30.0) + 1.0).abs() < 1e-6);
    }

    #[test]
    fn exp_has_the_right_ends() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(88.7).is_finite());
    }
}
