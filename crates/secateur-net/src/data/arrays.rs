//! Arrays as samples: the values of each input of a network, put together for a batch.

use secateur_onnx::model::ValueInfo;

use crate::value::{Host, HostData, Input};

/// Values of an array, row-major, in the type that they are kept in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ArrayValues {
    /// Floats of any width.
    Floats(Vec<f32>),
    /// Bytes, as they are.
    Bytes(Vec<u8>),
    /// Other whole numbers.
    Ints(Vec<i64>),
    /// Truth values.
    Bools(Vec<bool>),
}

/// The values of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Row<'a> {
    /// Floats.
    Floats(&'a [f32]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Whole numbers.
    Ints(&'a [i64]),
    /// Truth values.
    Bools(&'a [bool]),
}

impl Row<'_> {
    /// Number of values.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Bytes(values) => values.len(),
            Self::Ints(values) => values.len(),
            Self::Bools(values) => values.len(),
        }
    }
}

impl ArrayValues {
    /// Some of the values.
    pub(super) fn row(&self, range: std::ops::Range<usize>) -> Row<'_> {
        match self {
            Self::Floats(values) => Row::Floats(&values[range]),
            Self::Bytes(values) => Row::Bytes(&values[range]),
            Self::Ints(values) => Row::Ints(&values[range]),
            Self::Bools(values) => Row::Bools(&values[range]),
        }
    }
}

/// What an input of a network reads, of the types that ONNX has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    Float,
    Int,
    Bool,
}

impl Element {
    /// Of an input; `None` for texts, complex numbers and what the file does not say.
    pub(super) fn of(input: &ValueInfo) -> Option<Self> {
        // Numbers of TensorProto.DataType: float, float16, double, bfloat16; uint8 to int64,
        // uint32 and uint64; bool.
        match input.elem_type {
            1 | 10 | 11 | 16 => Some(Self::Float),
            2..=7 | 12 | 13 => Some(Self::Int),
            9 => Some(Self::Bool),
            _ => None,
        }
    }
}

/// How the samples of a data set make up one input of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name of the input.
    pub input: String,
    /// Extents of one sample, without the axis that counts samples.
    pub shape: Vec<usize>,
    /// The axis that samples are put together along: the input's own that counts them, or one in front of
    /// all of the input's; `None` for a value that serves all.
    pub batch_axis: Option<usize>,
    pub(super) element: Element,
}

impl Column {
    /// Values of one sample.
    pub fn n_values(&self) -> usize {
        self.shape.iter().product()
    }

    /// The input for samples with these values; one that serves all takes the first.
    pub(super) fn input(&self, mut rows: Vec<Row<'_>>) -> Input {
        if self.batch_axis.is_none() {
            rows.truncate(1);
        }
        let axis = self.batch_axis.unwrap_or(0);
        // Values before the batch axis: each row is cut into so many pieces.
        let outer: usize = self.shape[..axis].iter().product();
        let inner: usize = self.shape[axis..].iter().product();
        let pieces = move |outer_index: usize| outer_index * inner..(outer_index + 1) * inner;
        let all = (0..outer).flat_map(|at| rows.iter().map(move |row| (row, pieces(at))));
        let data = match self.element {
            Element::Float => HostData::Float(gathered(all, |row, range, to| match row {
                Row::Floats(values) => to.extend_from_slice(&values[range]),
                Row::Bytes(values) => to.extend(values[range].iter().map(|&v| f32::from(v))),
                Row::Ints(values) => to.extend(values[range].iter().map(|&v| v as f32)),
                Row::Bools(values) => {
                    to.extend(values[range].iter().map(|&v| f32::from(u8::from(v))))
                }
            })),
            Element::Int => HostData::Int(gathered(all, |row, range, to| match row {
                Row::Floats(values) => to.extend(values[range].iter().map(|&v| v as i64)),
                Row::Bytes(values) => to.extend(values[range].iter().map(|&v| i64::from(v))),
                Row::Ints(values) => to.extend_from_slice(&values[range]),
                Row::Bools(values) => to.extend(values[range].iter().map(|&v| i64::from(v))),
            })),
            Element::Bool => HostData::Bool(gathered(all, |row, range, to| match row {
                Row::Floats(values) => to.extend(values[range].iter().map(|&v| v != 0.0)),
                Row::Bytes(values) => to.extend(values[range].iter().map(|&v| v != 0)),
                Row::Ints(values) => to.extend(values[range].iter().map(|&v| v != 0)),
                Row::Bools(values) => to.extend_from_slice(&values[range]),
            })),
        };
        let mut shape = self.shape.clone();
        if self.batch_axis.is_some() {
            shape.insert(axis, rows.len());
        }
        Input::Array(Host { shape, data })
    }
}

/// What `extend` makes of pieces of rows, one after the other.
fn gathered<'a, T>(
    pieces: impl Iterator<Item = (&'a Row<'a>, std::ops::Range<usize>)>,
    mut extend: impl FnMut(&'a Row<'a>, std::ops::Range<usize>, &mut Vec<T>),
) -> Vec<T> {
    let mut values = Vec::new();
    for (row, range) in pieces {
        extend(row, range, &mut values);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_stacked_along_the_batch_axis() {
        let check = |shape: &[usize], batch_axis, expected_shape: &[usize], expected: &[i64]| {
            let column = Column {
                input: "x".to_string(),
                shape: shape.to_vec(),
                batch_axis,
                element: Element::Int,
            };
            let n = column.n_values();
            let rows = [[20, 21, 22, 23], [0, 1, 2, 3]];
            let found = column.input(rows.iter().map(|row| Row::Bytes(&row[..n])).collect());
            let expected = Input::Array(Host {
                shape: expected_shape.to_vec(),
                data: HostData::Int(expected.to_vec()),
            });
            assert_eq!(found, expected);
        };
        check(&[2], Some(0), &[2, 2], &[20, 21, 0, 1]);
        check(&[2], Some(1), &[2, 2], &[20, 0, 21, 1]);
        check(&[2, 2], Some(1), &[2, 2, 2], &[20, 21, 0, 1, 22, 23, 2, 3]);
        check(&[2, 2], Some(2), &[2, 2, 2], &[20, 0, 21, 1, 22, 2, 23, 3]);
        check(&[], Some(0), &[2], &[20, 0]);
        check(&[], None, &[], &[20]);
        check(&[1, 2], None, &[1, 2], &[20, 21]);
    }
}
