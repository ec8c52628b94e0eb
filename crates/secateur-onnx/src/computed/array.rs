//! Tensors to compute with, whatever type the file stores.

use ndarray::{ArrayD, IxDyn, Zip};

use crate::model::{Tensor, Values};

/// Elements of one value beyond which nothing is computed: a hostile file may ask for any number.
const MOST_ELEMENTS: usize = 1 << 28;

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F64,
    F16,
    Bf16,
    I64,
    I32,
    Bool,
}

impl Kind {
    /// The type of that ONNX data type number.
    pub(super) fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::F32,
            6 => Self::I32,
            7 => Self::I64,
            9 => Self::Bool,
            10 => Self::F16,
            11 => Self::F64,
            16 => Self::Bf16,
            _ => return None,
        })
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

/// A tensor with its type. Everything is computed in 64 bits and rounded once, at the end.
#[derive(Debug, Clone)]
pub(super) struct Array {
    pub kind: Kind,
    pub values: ArrayD<f64>,
}

/// Number of elements of that shape, if it is not too large.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    let mut extents = shape.iter();
    let count = extents.try_fold(1usize, |count, &extent| count.checked_mul(extent))?;
    (count <= MOST_ELEMENTS).then_some(count)
}

impl Array {
    pub(super) fn new(kind: Kind, shape: &[usize], values: Vec<f64>) -> Option<Self> {
        let values = ArrayD::from_shape_vec(IxDyn(shape), values).ok()?;
        Some(Self { kind, values })
    }

    /// Integers as a vector.
    pub(super) fn integers(values: impl Iterator<Item = usize>) -> Option<Self> {
        let values: Vec<f64> = values.map(|value| value as f64).collect();
        Self::new(Kind::I64, &[values.len()], values)
    }

    /// A stored tensor; `None` for types that no weights are computed from, and large ones.
    pub(super) fn from_tensor(tensor: &Tensor) -> Option<Self> {
        count(&tensor.shape)?;
        let (kind, values): (Kind, Vec<f64>) = match &tensor.values {
            Values::F64(v) => (Kind::F64, v.clone()),
            Values::I64(v) => (Kind::I64, v.iter().map(|&v| v as f64).collect()),
            Values::I32(v) => (Kind::I32, v.iter().map(|&v| f64::from(v)).collect()),
            Values::Bool(v) => (
                Kind::Bool,
                v.iter().map(|&v| f64::from(u8::from(v))).collect(),
            ),
            other => {
                let kind = match other {
                    Values::F32(_) => Kind::F32,
                    Values::F16(_) => Kind::F16,
                    Values::Bf16(_) => Kind::Bf16,
                    _ => return None,
                };
                (
                    kind,
                    tensor.as_f32()?.iter().map(|&v| f64::from(v)).collect(),
                )
            }
        };
        Self::new(kind, &tensor.shape, values)
    }

    /// The tensor to be stored.
    pub(super) fn to_tensor(&self) -> Tensor {
        let values = self.values.iter();
        Tensor {
            shape: self.values.shape().to_vec(),
            values: match self.kind {
                Kind::F32 => Values::F32(values.map(|&v| v as f32).collect()),
                Kind::F64 => Values::F64(values.copied().collect()),
                Kind::F16 => {
                    Values::F16(values.map(|&v| half::f16::from_f64(v).to_bits()).collect())
                }
                Kind::Bf16 => {
                    Values::Bf16(values.map(|&v| half::bf16::from_f64(v).to_bits()).collect())
                }
                Kind::I64 => Values::I64(values.map(|&v| v as i64).collect()),
                Kind::I32 => Values::I32(values.map(|&v| v as i32).collect()),
                Kind::Bool => Values::Bool(values.map(|&v| v != 0.0).collect()),
            },
        }
    }

    /// All elements as integers.
    pub(super) fn as_integers(&self) -> Vec<i64> {
        self.values.iter().map(|&v| v as i64).collect()
    }

    pub(super) fn rank(&self) -> usize {
        self.values.ndim()
    }

    /// The same elements in another shape.
    pub(super) fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        (count(shape)? == self.values.len()).then_some(())?;
        Self::new(self.kind, shape, self.values.iter().copied().collect())
    }

    /// Repeated to a shape that it broadcasts to.
    pub(super) fn broadcast(&self, shape: &[usize]) -> Option<Self> {
        count(shape)?;
        let values = self.values.broadcast(IxDyn(shape))?.to_owned();
        Some(Self { values, ..*self })
    }

    /// Applied to each element.
    pub(super) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            kind: self.kind,
            values: self.values.mapv(f),
        }
    }

    /// Applied to pairs of elements, after broadcasting.
    pub(super) fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let shape = common_shape(self.values.shape(), other.values.shape())?;
        let (a, b) = (self.broadcast(&shape)?, other.broadcast(&shape)?);
        let values = Zip::from(&a.values)
            .and(&b.values)
            .map_collect(|&a, &b| f(a, b));
        Some(Self {
            kind: self.kind,
            values,
        })
    }
}

/// The shape that two shapes broadcast to.
pub(super) fn common_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let mut shape = long.to_vec();
    let offset = long.len() - short.len();
    for (mine, &other) in shape[offset..].iter_mut().zip(short) {
        match (*mine, other) {
            (a, b) if a == b => {}
            (1, b) => *mine = b,
            (_, 1) => {}
            _ => return None,
        }
    }
    Some(shape)
}
