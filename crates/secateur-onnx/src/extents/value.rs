//! Small integer tensors that carry shapes: constants, and what `Shape`, `Gather`,
//! `Concat` and arithmetic make of them.
//!
//! An element may be a number, the name of a dynamic extent, or unknown; it also
//! remembers which axes its value was read from, so that surgery knows what a
//! computed shape follows by itself.

use crate::graph::Dim;
use crate::model::{ALWAYS_READ, Tensor, Values};

/// Tensors up to this length are followed: shapes, axes, pads, indices of a shuffle.
pub(crate) const FOLD_LIMIT: usize = ALWAYS_READ;

/// Floating point tensors of more elements are weights, not sizes.
const FLOAT_LIMIT: usize = 16;

/// A number of a shape computation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// Known.
    Known(i64),
    /// A dynamic extent of that name; never negative.
    Named(String),
    /// Not known.
    Unknown,
}

impl Number {
    /// As an extent; negative numbers are unknown.
    pub fn dim(&self) -> Dim {
        match self {
            Self::Known(value) => usize::try_from(*value).map_or(Dim::Unknown, Dim::Fixed),
            Self::Named(name) => Dim::Named(name.clone()),
            Self::Unknown => Dim::Unknown,
        }
    }

    /// The number, where known.
    pub fn known(&self) -> Option<i64> {
        match self {
            Self::Known(value) => Some(*value),
            _ => None,
        }
    }
}

impl From<&Dim> for Number {
    fn from(dim: &Dim) -> Self {
        match dim {
            Dim::Fixed(size) => i64::try_from(*size).map_or(Self::Unknown, Self::Known),
            Dim::Named(name) => Self::Named(name.clone()),
            Dim::Unknown => Self::Unknown,
        }
    }
}

/// An axis of a value.
pub type AxisOf = (String, usize);

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its value.
    pub number: Number,
    /// Axes whose extents it depends on.
    pub sources: Vec<AxisOf>,
    /// If it is the extent of its only source times a fraction: numerator and
    /// denominator. The extent itself is 1 / 1, half of the channels 1 / 2.
    pub ratio: Option<(u64, u64)>,
}

impl Element {
    /// A constant.
    pub fn constant(value: i64) -> Self {
        Self {
            number: Number::Known(value),
            sources: Vec::new(),
            ratio: None,
        }
    }

    /// Bytes that it takes, about.
    fn weight(&self) -> usize {
        let sources = self.sources.iter().map(|(name, _)| name.len());
        let named = match &self.number {
            Number::Named(name) => name.len(),
            _ => 0,
        };
        let entries = self.sources.len().saturating_mul(size_of::<AxisOf>());
        sources.fold(size_of::<Self>() + named + entries, usize::saturating_add)
    }

    /// True for what is an extent after any removal, and so never negative.
    pub fn is_extent(&self) -> bool {
        self.ratio.is_some() || matches!(self.number, Number::Named(_))
    }

    /// The same times a constant fraction; the ratio is lost where it does not divide.
    pub fn scaled(&self, number: Number, times: i64, by: i64) -> Self {
        let whole = |value: i64| u64::try_from(value).ok().filter(|&value| value > 0);
        let ratio = self
            .ratio
            .zip(whole(times).zip(whole(by)))
            .and_then(|((n, d), (t, b))| Some((n.checked_mul(t)?, d.checked_mul(b)?)));
        let divides = self
            .number
            .known()
            .is_none_or(|value| by > 0 && value % by == 0);
        Self {
            number,
            sources: self.sources.clone(),
            ratio: ratio.filter(|_| divides),
        }
    }

    /// The result of a computation on `inputs`.
    pub fn computed(number: Number, inputs: &[&Self]) -> Self {
        let mut sources: Vec<AxisOf> = inputs
            .iter()
            .flat_map(|element| element.sources.iter().cloned())
            .collect();
        sources.sort_unstable();
        sources.dedup();
        Self {
            number,
            sources,
            ratio: None,
        }
    }
}

/// An integer tensor of rank 0 or 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntValue {
    /// True for rank 0.
    pub scalar: bool,
    /// True where the file computes in floating point (division does not truncate).
    pub is_float: bool,
    /// Elements; one for a scalar.
    pub elements: Vec<Element>,
}

impl IntValue {
    /// A stored tensor of whole numbers, if it is small and of rank 0 or 1.
    pub fn from_tensor(tensor: &Tensor) -> Option<Self> {
        if tensor.shape.len() > 1 || tensor.len() > FOLD_LIMIT {
            return None;
        }
        let (values, is_float) = match (&tensor.values, tensor.as_i64()) {
            (_, Some(values)) => (values.into_owned(), false),
            (Values::Bool(values), _) => (values.iter().map(|&b| i64::from(b)).collect(), false),
            _ => {
                // Exporters compute sizes in floating point too.
                const EXACT: f32 = 16_777_216.0;
                if tensor.len() > FLOAT_LIMIT {
                    return None;
                }
                let values = tensor.as_f32()?;
                if !values.iter().all(|v| v.fract() == 0.0 && v.abs() < EXACT) {
                    return None;
                }
                (values.iter().map(|&v| v as i64).collect(), true)
            }
        };
        Some(Self {
            scalar: tensor.shape.is_empty(),
            is_float,
            elements: values.into_iter().map(Element::constant).collect(),
        })
    }

    /// Bytes that it takes, about.
    pub(crate) fn weight(&self) -> usize {
        let weights = self.elements.iter().map(Element::weight);
        weights.fold(0, usize::saturating_add)
    }

    /// Bytes of its largest element, about.
    pub(crate) fn largest(&self) -> usize {
        self.elements.iter().map(Element::weight).max().unwrap_or(0)
    }

    /// A vector of these elements.
    pub fn vector(elements: Vec<Element>) -> Self {
        Self {
            scalar: false,
            is_float: false,
            elements,
        }
    }

    /// All numbers, if all are known.
    pub fn known(&self) -> Option<Vec<i64>> {
        self.elements
            .iter()
            .map(|element| element.number.known())
            .collect()
    }
}
