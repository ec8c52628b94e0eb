//! Small integer tensors that carry shapes: constants, and what `Shape`, `Gather`,
//! `Concat` and arithmetic make of them.

use super::element::{AxisOf, Element, Number};
use crate::model::{ALWAYS_READ, Tensor, Values};

/// Tensors up to this length are followed: shapes, axes, pads, indices of a shuffle.
pub(crate) const FOLD_LIMIT: usize = ALWAYS_READ;

/// Floating point tensors of more elements are weights, not sizes.
const FLOAT_LIMIT: usize = 16;

/// Bytes of one folded value; names of axes make elements large.
pub(crate) const MAX_VALUE_BYTES: usize = 1 << 23;

/// What a file computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Integers and truth values: division truncates.
    Integer,
    /// 32 bits in floating point.
    Single,
    /// Floating point of other precision: only whole numbers are followed.
    Float,
}

/// A small tensor of any rank, of integers or of sizes in floating point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntValue {
    /// Extents.
    pub shape: Vec<usize>,
    /// What the file computes with.
    pub format: Format,
    /// Elements, row-major.
    pub elements: Vec<Element>,
    /// Axes that decide how many elements there are, where no element is left to remember them.
    pub counted: Vec<AxisOf>,
}

impl IntValue {
    /// A tensor of that shape with these elements.
    pub fn new(shape: Vec<usize>, format: Format, elements: Vec<Element>) -> Self {
        Self {
            shape,
            format,
            elements,
            counted: Vec::new(),
        }
    }

    /// A stored tensor of whole numbers, if it is small.
    pub fn from_tensor(tensor: &Tensor) -> Option<Self> {
        if tensor.len() > FOLD_LIMIT {
            return None;
        }
        let known = |values: &[i64]| values.iter().copied().map(Number::Known).collect();
        let (numbers, format): (Vec<Number>, Format) = match (&tensor.values, tensor.as_i64()) {
            (_, Some(values)) => (known(&values), Format::Integer),
            (Values::Bool(values), _) => {
                let values = values.iter().map(|&value| Number::Known(i64::from(value)));
                (values.collect(), Format::Integer)
            }
            // Exporters compute sizes in floating point too.
            _ if tensor.len() > FLOAT_LIMIT => return None,
            (Values::F32(values), _) => {
                let values = values.iter().copied();
                (values.map(Number::of_single).collect(), Format::Single)
            }
            _ => {
                let values = tensor.as_f32()?;
                let values: Vec<Number> = values.iter().copied().map(Number::of_single).collect();
                if values.iter().any(|number| number.known().is_none()) {
                    return None;
                }
                (values, Format::Float)
            }
        };
        Some(Self::new(
            tensor.shape.clone(),
            format,
            numbers.into_iter().map(Element::of).collect(),
        ))
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

    /// A number of rank 0.
    pub fn scalar(element: Element) -> Self {
        Self::new(Vec::new(), Format::Integer, vec![element])
    }

    /// A vector of these elements.
    pub fn vector(elements: Vec<Element>) -> Self {
        Self::new(vec![elements.len()], Format::Integer, elements)
    }

    /// All numbers, if all are known.
    pub fn known(&self) -> Option<Vec<i64>> {
        self.elements
            .iter()
            .map(|element| element.number.known())
            .collect()
    }

    /// The same elements in another shape; `None` if it holds another number of them.
    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        (count(&shape)? == self.elements.len()).then(|| Self {
            shape,
            ..self.clone()
        })
    }

    /// A tensor of that shape whose elements are taken from here: `place` tells for each position
    /// where, as a position of this tensor. `None` where there is no such element.
    pub(crate) fn arranged(
        &self,
        shape: Vec<usize>,
        mut place: impl FnMut(&[usize]) -> Option<Vec<usize>>,
    ) -> Option<Self> {
        let elements = positions(&shape)?
            .map(|position| self.at(&place(&position)?).cloned())
            .collect::<Option<_>>()?;
        Some(Self::new(shape, self.format, elements))
    }

    /// The element at a position.
    pub(crate) fn at(&self, position: &[usize]) -> Option<&Element> {
        if position.len() != self.shape.len() {
            return None;
        }
        let flat = position
            .iter()
            .zip(&self.shape)
            .try_fold(0, |flat, (&at, &extent)| {
                (at < extent).then(|| flat * extent + at)
            });
        self.elements.get(flat?)
    }

    /// The same, repeated to a shape that it can be broadcast to.
    pub(crate) fn broadcast_to(&self, shape: Vec<usize>) -> Option<Self> {
        let elements = positions(&shape)?
            .map(|position| self.broadcast_at(&position).cloned())
            .collect::<Option<_>>()?;
        Some(Self::new(shape, self.format, elements))
    }

    /// The element that meets a position of a tensor that this one is broadcast to.
    pub(crate) fn broadcast_at(&self, position: &[usize]) -> Option<&Element> {
        let skipped = position.len().checked_sub(self.shape.len())?;
        let own = position[skipped..].iter().zip(&self.shape);
        let own: Vec<usize> = own
            .map(|(&at, &extent)| if extent == 1 { 0 } else { at })
            .collect();
        self.at(&own)
    }

    /// The same, where the other tensors have decided which elements it holds and how many: every
    /// element then depends on what they were read from. `None` if that is too much to follow.
    pub(crate) fn depending_on<'a>(
        mut self,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> Option<Self> {
        let deciding: Vec<&Element> = others
            .into_iter()
            .flat_map(|value| &value.elements)
            .filter(|element| !element.sources.is_empty())
            .collect();
        if deciding.is_empty() {
            return Some(self);
        }
        // Floats of several axes are activations rather than sizes: their rules answer for the
        // extents that they are given.
        let is_activation = self.format != Format::Integer && self.shape.len() > 1;
        let deciding = Element::computed(Number::Unknown, &deciding);
        let added = deciding.weight().checked_mul(self.elements.len());
        if is_activation || added? > MAX_VALUE_BYTES {
            return None;
        }
        if self.elements.is_empty() {
            self.counted = deciding.sources;
            return Some(self);
        }
        for element in &mut self.elements {
            *element = Element::computed(element.number.clone(), &[element, &deciding]);
        }
        Some(self)
    }
}

/// Number of elements of a tensor; `None` if there are too many to follow.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    let mut extents = shape.iter();
    let count = extents.try_fold(1usize, |count, &extent| count.checked_mul(extent));
    count.filter(|&count| count <= FOLD_LIMIT)
}

/// All positions of a tensor, row-major; `None` if there are too many to follow.
pub(crate) fn positions(shape: &[usize]) -> Option<impl Iterator<Item = Vec<usize>> + '_> {
    let count = count(shape)?;
    Some((0..count).map(move |flat| {
        let mut left = flat;
        let mut position = vec![0; shape.len()];
        for (at, &extent) in position.iter_mut().zip(shape).rev() {
            *at = left % extent;
            left /= extent;
        }
        position
    }))
}
