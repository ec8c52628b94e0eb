//! Functions of one number, with their derivatives and their form in stock Burn.

use secateur_onnx::graph::Node;

use super::math;
use crate::value::Dense;

/// A function applied to every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// max(x, 0); opset 6, 13, 14.
    Relu,
    /// x or α x; opset 6, 16.
    LeakyRelu(f32),
    /// Bounds; attributes before opset 11, inputs since.
    Clip(f32, f32),
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// clip(α x + β, 0, 1); opset 6, 22.
    HardSigmoid(f32, f32),
    /// x · clip(x / 6 + 1/2, 0, 1); opset 14, 22.
    HardSwish,
    /// x · sigmoid(α x): SiLU with α = 1; `Swish` of opset 24.
    Swish(f32),
    /// x · Φ(x), by erf; `Gelu` of opset 20.
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    /// x or α (e^x - 1); opset 6, 22.
    Elu(f32),
    /// γ · (x or α (e^x - 1)); opset 6, 22.
    Selu(f32, f32),
    /// max(x, 0) + min(α (e^(x/α) - 1), 0); opset 12.
    Celu(f32),
    /// ln(1 + e^x)
    Softplus,
    /// x / (1 + |x|)
    Softsign,
    /// x where above α, else 0; opset 10, 22.
    ThresholdedRelu(f32),
    /// x · tanh(softplus x); opset 18, 22.
    Mish,
    /// tanh x
    Tanh,
    /// erf x
    Erf,
    /// e^x
    Exp,
    /// ln x
    Log,
    /// √x
    Sqrt,
    /// 1 / x
    Reciprocal,
    /// |x|
    Abs,
    /// -x
    Neg,
    /// -1, 0 or 1
    Sign,
    /// Rounded down.
    Floor,
    /// Rounded up.
    Ceil,
    /// Rounded to even.
    Round,
    /// sin x
    Sin,
    /// cos x
    Cos,
    /// tan x
    Tan,
    /// arcsin x
    Asin,
    /// arccos x
    Acos,
    /// arctan x
    Atan,
    /// sinh x
    Sinh,
    /// cosh x
    Cosh,
    /// arsinh x
    Asinh,
    /// arcosh x
    Acosh,
    /// artanh x
    Atanh,
    /// x moved towards 0 by the first number, 0 within the second; opset 9.
    Shrink(f32, f32),
}

/// √(2 / π) and the cubic coefficient of the approximate Gelu: Hendrycks and Gimpel,
/// arXiv:1606.08415.
const GELU_SCALE: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;
/// 1 / √(2π), the density of the normal distribution at 0.
const NORMAL: f32 = 0.398_942_3;

/// Defaults of `Selu` in ONNX: Klambauer et al., arXiv:1706.02515.
const SELU_ALPHA: f32 = 1.673_263_2;
const SELU_GAMMA: f32 = 1.050_700_9;

impl Function {
    /// The function of a node that takes nothing else than attributes; `Clip` is elsewhere.
    pub fn of(node: &Node) -> Option<Self> {
        let alpha = |default| node.attr_f("alpha", default);
        Some(match node.op_type.as_str() {
            "Relu" => Self::Relu,
            "LeakyRelu" => Self::LeakyRelu(alpha(0.01)),
            "Sigmoid" => Self::Sigmoid,
            "HardSigmoid" => Self::HardSigmoid(alpha(0.2), node.attr_f("beta", 0.5)),
            "HardSwish" => Self::HardSwish,
            "Swish" => Self::Swish(alpha(1.0)),
            "Gelu" if node.attr_s("approximate").as_deref() == Some("tanh") => Self::GeluTanh,
            "Gelu" => Self::Gelu,
            "Elu" => Self::Elu(alpha(1.0)),
            "Selu" => Self::Selu(alpha(SELU_ALPHA), node.attr_f("gamma", SELU_GAMMA)),
            "Celu" => Self::Celu(alpha(1.0)),
            "Softplus" => Self::Softplus,
            "Softsign" => Self::Softsign,
            "ThresholdedRelu" => Self::ThresholdedRelu(alpha(1.0)),
            "Mish" => Self::Mish,
            "Tanh" => Self::Tanh,
            "Erf" => Self::Erf,
            "Exp" => Self::Exp,
            "Log" => Self::Log,
            "Sqrt" => Self::Sqrt,
            "Reciprocal" => Self::Reciprocal,
            "Abs" => Self::Abs,
            "Neg" => Self::Neg,
            "Sign" => Self::Sign,
            "Floor" => Self::Floor,
            "Ceil" => Self::Ceil,
            "Round" => Self::Round,
            "Sin" => Self::Sin,
            "Cos" => Self::Cos,
            "Tan" => Self::Tan,
            "Asin" => Self::Asin,
            "Acos" => Self::Acos,
            "Atan" => Self::Atan,
            "Sinh" => Self::Sinh,
            "Cosh" => Self::Cosh,
            "Asinh" => Self::Asinh,
            "Acosh" => Self::Acosh,
            "Atanh" => Self::Atanh,
            "Shrink" => Self::Shrink(node.attr_f("bias", 0.0), node.attr_f("lambd", 0.5)),
            _ => return None,
        })
    }

    /// Gives `body` the function, so that loops over it are compiled for each.
    pub fn with_value(self, body: impl Apply) {
        match self {
            Self::Relu => body.apply(|x| x.max(0.0)),
            Self::LeakyRelu(a) => body.apply(|x| if x < 0.0 { a * x } else { x }),
            Self::Clip(low, high) => body.apply(|x| x.max(low).min(high)),
            Self::Sigmoid => body.apply(math::sigmoid),
            Self::HardSigmoid(a, b) => body.apply(|x| (a * x + b).clamp(0.0, 1.0)),
            Self::HardSwish => body.apply(|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            Self::Swish(a) => body.apply(|x| x * math::sigmoid(a * x)),
            Self::Gelu => {
                body.apply(|x| 0.5 * x * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2)))
            }
            Self::GeluTanh => body
                .apply(|x| 0.5 * x * (1.0 + math::tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x)))),
            Self::Elu(a) => body.apply(|x| if x < 0.0 { a * x.exp_m1() } else { x }),
            Self::Selu(a, g) => body.apply(|x| g * if x < 0.0 { a * x.exp_m1() } else { x }),
            Self::Celu(a) => body.apply(|x| if x < 0.0 { a * (x / a).exp_m1() } else { x }),
            Self::Softplus => body.apply(math::softplus),
            Self::Softsign => body.apply(|x| x / (1.0 + x.abs())),
            Self::ThresholdedRelu(a) => body.apply(|x| if x > a { x } else { 0.0 }),
            Self::Mish => body.apply(|x| x * math::tanh(math::softplus(x))),
            Self::Tanh => body.apply(math::tanh),
            Self::Erf => body.apply(math::erf),
            Self::Exp => body.apply(math::exp),
            Self::Log => body.apply(f32::ln),
            Self::Sqrt => body.apply(f32::sqrt),
            Self::Reciprocal => body.apply(|x| 1.0 / x),
            Self::Abs => body.apply(f32::abs),
            Self::Neg => body.apply(|x| -x),
            Self::Sign => body.apply(|x| f32::from(i8::from(x > 0.0) - i8::from(x < 0.0))),
            Self::Floor => body.apply(f32::floor),
            Self::Ceil => body.apply(f32::ceil),
            Self::Round => body.apply(f32::round_ties_even),
            Self::Sin => body.apply(f32::sin),
            Self::Cos => body.apply(f32::cos),
            Self::Tan => body.apply(f32::tan),
            Self::Asin => body.apply(f32::asin),
            Self::Acos => body.apply(f32::acos),
            Self::Atan => body.apply(f32::atan),
            Self::Sinh => body.apply(f32::sinh),
            Self::Cosh => body.apply(f32::cosh),
            Self::Asinh => body.apply(f32::asinh),
            Self::Acosh => body.apply(f32::acosh),
            Self::Atanh => body.apply(f32::atanh),
            Self::Shrink(bias, within) => body.apply(|x| {
                if x < -within {
                    x + bias
                } else if x > within {
                    x - bias
                } else {
                    0.0
                }
            }),
        }
    }

    /// Gives `body` the derivative. Kinks take the slope of one side.
    pub fn with_slope(self, body: impl Apply) {
        let step = |on: bool| f32::from(u8::from(on));
        match self {
            Self::Relu => body.apply(|x| step(x > 0.0)),
            Self::LeakyRelu(a) => body.apply(|x| if x < 0.0 { a } else { 1.0 }),
            Self::Clip(low, high) => body.apply(|x| step(x > low && x < high)),
            Self::Sigmoid => body.apply(|x| {
                let s = math::sigmoid(x);
                s * (1.0 - s)
            }),
            Self::HardSigmoid(a, b) => body.apply(|x| {
                let y = a * x + b;
                if y > 0.0 && y < 1.0 { a } else { 0.0 }
            }),
            Self::HardSwish => body.apply(|x| {
                if x <= -3.0 {
                    0.0
                } else if x >= 3.0 {
                    1.0
                } else {
                    x / 3.0 + 0.5
                }
            }),
            Self::Swish(a) => body.apply(|x| {
                let s = math::sigmoid(a * x);
                s + a * x * s * (1.0 - s)
            }),
            Self::Gelu => body.apply(|x| {
                0.5 * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2))
                    + x * NORMAL * math::exp(-0.5 * x * x)
            }),
            Self::GeluTanh => body.apply(|x| {
                let t = math::tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x));
                let inner = GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * x * x);
                0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
            }),
            Self::Elu(a) => body.apply(|x| if x < 0.0 { a * math::exp(x) } else { 1.0 }),
            Self::Selu(a, g) => {
                body.apply(|x| g * if x < 0.0 { a * math::exp(x) } else { 1.0 });
            }
            Self::Celu(a) => body.apply(|x| if x < 0.0 { math::exp(x / a) } else { 1.0 }),
            Self::Softplus => body.apply(math::sigmoid),
            Self::Softsign => body.apply(|x| {
                let d = 1.0 + x.abs();
                1.0 / (d * d)
            }),
            Self::ThresholdedRelu(a) => body.apply(|x| step(x > a)),
            Self::Mish => body.apply(|x| {
                let t = math::tanh(math::softplus(x));
                t + x * (1.0 - t * t) * math::sigmoid(x)
            }),
            Self::Tanh => body.apply(|x| {
                let t = math::tanh(x);
                1.0 - t * t
            }),
            Self::Erf => body.apply(|x| std::f32::consts::FRAC_2_SQRT_PI * math::exp(-x * x)),
            Self::Exp => body.apply(math::exp),
            Self::Log => body.apply(|x| 1.0 / x),
            Self::Sqrt => body.apply(|x| 0.5 / x.sqrt()),
            Self::Reciprocal => body.apply(|x| -1.0 / (x * x)),
            Self::Abs => body.apply(|x| f32::from(i8::from(x > 0.0) - i8::from(x < 0.0))),
            Self::Neg => body.apply(|_| -1.0),
            Self::Sign | Self::Floor | Self::Ceil | Self::Round => body.apply(|_| 0.0),
            Self::Sin => body.apply(f32::cos),
            Self::Cos => body.apply(|x| -x.sin()),
            Self::Tan => body.apply(|x| 1.0 + x.tan() * x.tan()),
            Self::Asin => body.apply(|x| 1.0 / (1.0 - x * x).sqrt()),
            Self::Acos => body.apply(|x| -1.0 / (1.0 - x * x).sqrt()),
            Self::Atan => body.apply(|x| 1.0 / (1.0 + x * x)),
            Self::Sinh => body.apply(f32::cosh),
            Self::Cosh => body.apply(f32::sinh),
            Self::Asinh => body.apply(|x| 1.0 / (1.0 + x * x).sqrt()),
            Self::Acosh => body.apply(|x| 1.0 / (x * x - 1.0).sqrt()),
            Self::Atanh => body.apply(|x| 1.0 / (1.0 - x * x)),
            Self::Shrink(_, within) => body.apply(|x| step(x.abs() > within)),
        }
    }

    /// Through stock Burn, whose tape differentiates it.
    pub fn stock(self, x: &Dense) -> Dense {
        let sigmoid = |x: &Dense| x.neg().exp().add_scalar(1.0).recip();
        // ln(1 + e^-|x|) + max(x, 0)
        let softplus = |x: &Dense| {
            let small = x.abs().neg().exp().add_scalar(1.0).log();
            small.add(&x.clamp_min(0.0))
        };
        let expm1 = |x: &Dense| x.clamp_max(0.0).exp().add_scalar(-1.0);
        match self {
            Self::Relu => x.clamp_min(0.0),
            Self::LeakyRelu(a) => x.clamp_min(0.0).add(&x.clamp_max(0.0).mul_scalar(a)),
            Self::Clip(low, high) => x.clamp_min(low).clamp_max(high),
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid(a, b) => x.mul_scalar(a).add_scalar(b).clamp_min(0.0).clamp_max(1.0),
            Self::HardSwish => x.mul(&Self::HardSigmoid(1.0 / 6.0, 0.5).stock(x)),
            Self::Swish(a) => x.mul(&sigmoid(&x.mul_scalar(a))),
            Self::Gelu => {
                let phi = x.mul_scalar(std::f32::consts::FRAC_1_SQRT_2).erf();
                x.mul_scalar(0.5).mul(&phi.add_scalar(1.0))
            }
            Self::GeluTanh => {
                let cube = x.mul(x).mul(x).mul_scalar(GELU_CUBIC);
                let t = x.add(&cube).mul_scalar(GELU_SCALE).tanh();
                x.mul_scalar(0.5).mul(&t.add_scalar(1.0))
            }
            Self::Elu(a) => x.clamp_min(0.0).add(&expm1(x).mul_scalar(a)),
            Self::Selu(a, g) => Self::Elu(a).stock(x).mul_scalar(g),
            Self::Celu(a) => {
                let below = expm1(&x.mul_scalar(1.0 / a)).mul_scalar(a);
                x.clamp_min(0.0).add(&below)
            }
            Self::Softplus => softplus(x),
            Self::Softsign => x.div(&x.abs().add_scalar(1.0)),
            Self::ThresholdedRelu(a) => {
                let keep: Vec<bool> = x.to_vec().iter().map(|&v| v > a).collect();
                x.where_mask(&keep, &x.mul_scalar(0.0))
            }
            Self::Mish => x.mul(&softplus(x).tanh()),
            Self::Tanh => x.tanh(),
            Self::Erf => x.erf(),
            Self::Exp => x.exp(),
            Self::Log => x.log(),
            Self::Sqrt => x.sqrt(),
            Self::Reciprocal => x.recip(),
            Self::Abs => x.abs(),
            Self::Neg => x.neg(),
            Self::Sign => x.detach().sign(),
            Self::Floor => x.detach().floor(),
            Self::Ceil => x.detach().ceil(),
            Self::Round => x.detach().round(),
            Self::Sin => x.sin(),
            Self::Cos => x.cos(),
            Self::Tan => x.tan(),
            Self::Asin => x.asin(),
            Self::Acos => x.acos(),
            Self::Atan => x.atan(),
            Self::Sinh => x.sinh(),
            Self::Cosh => x.cosh(),
            Self::Asinh => x.asinh(),
            Self::Acosh => x.acosh(),
            Self::Atanh => x.atanh(),
            Self::Shrink(bias, within) => {
                let values = x.to_vec();
                let moved: Vec<f32> = values.iter().map(|v| -bias * v.signum()).collect();
                let keep: Vec<bool> = values.iter().map(|v| v.abs() > within).collect();
                x.add(&x.like(moved)).where_mask(&keep, &x.mul_scalar(0.0))
            }
        }
    }
}

/// A loop that is compiled for each function.
pub trait Apply {
    /// Runs it.
    fn apply(self, f: impl Fn(f32) -> f32 + Copy + Send + Sync);
}
