//! One number of a shape computation, and the axes that it was read from.
//!
//! It may be known, the name of a dynamic extent, or unknown. What it was read from tells surgery
//! what a computed shape follows by itself.

use crate::graph::Dim;

/// A number of a shape computation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// Known.
    Known(i64),
    /// A dynamic extent of that name; never negative.
    Named(String),
    /// A known fraction, of 32 bits as files compute with them.
    Fraction(Fraction),
    /// Not known.
    Unknown,
}

/// A number that is not whole, or too large to be one for certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction(u32);

/// Whole numbers below this are exact in 32 bits.
const EXACT: f32 = 16_777_216.0;

impl Number {
    /// As an extent; negative numbers are unknown.
    pub fn dim(&self) -> Dim {
        match self {
            Self::Known(value) => usize::try_from(*value).map_or(Dim::Unknown, Dim::Fixed),
            Self::Named(name) => Dim::Named(name.clone()),
            Self::Fraction(_) | Self::Unknown => Dim::Unknown,
        }
    }

    /// The number, where known.
    pub fn known(&self) -> Option<i64> {
        match self {
            Self::Known(value) => Some(*value),
            _ => None,
        }
    }

    /// As a number of 32 bits, where it is known and exact.
    pub fn single(&self) -> Option<f32> {
        match self {
            Self::Known(value) => Some(*value as f32).filter(|value| value.abs() < EXACT),
            Self::Fraction(Fraction(bits)) => Some(f32::from_bits(*bits)),
            _ => None,
        }
    }

    /// A number of 32 bits; infinities and NaN are not known.
    pub fn of_single(value: f32) -> Self {
        if !value.is_finite() {
            Self::Unknown
        } else if value.fract() == 0.0 && value.abs() < EXACT {
            Self::Known(value as i64)
        } else {
            Self::Fraction(Fraction(value.to_bits()))
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
        Self::of(Number::Known(value))
    }

    /// A number that depends on nothing.
    pub fn of(number: Number) -> Self {
        Self {
            number,
            sources: Vec::new(),
            ratio: None,
        }
    }

    /// Bytes that it takes, about.
    pub(super) fn weight(&self) -> usize {
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
