//! The numbers that quantised weights stand for: `scale * (q - zero_point)`.

use std::borrow::Cow;

use super::group::ChannelGroups;
use crate::graph::Graph;
use crate::model::Tensor;

impl ChannelGroups {
    /// Values of a stored tensor: floats as they are, quantised numbers as what they stand for.
    /// `None` for other types, and where scales do not fit.
    pub fn floats<'g>(&self, graph: &'g Graph, name: &str) -> Option<Cow<'g, [f32]>> {
        let tensor = graph.initializers.get(name)?;
        if let Some(values) = tensor.as_f32() {
            return Some(values);
        }
        let quantised = self.quantised.get(name)?;
        let stored = |name: &Option<String>| graph.initializers.get(name.as_deref()?);
        let axis = quantised.axis;
        let scale = match stored(&quantised.scale) {
            Some(scale) => Some(Along::new(tensor, axis, scale.as_f32()?.into_owned())?),
            None => None,
        };
        let zero_point = match stored(&quantised.zero_point) {
            Some(zero_point) => Some(Along::new(tensor, axis, zero_point.numbers()?)?),
            None => None,
        };
        let mut values = tensor.numbers()?;
        for (index, value) in values.iter_mut().enumerate() {
            let zero_point = zero_point.as_ref().map_or(0.0, |along| along.at(index));
            let scale = scale.as_ref().map_or(1.0, |along| along.at(index));
            *value = scale * (*value - zero_point);
        }
        Some(Cow::Owned(values))
    }
}

/// One number for all elements of a tensor, or one for each position along an axis.
struct Along {
    values: Vec<f32>,
    /// Elements behind the axis.
    inner: usize,
}

impl Along {
    fn new(tensor: &Tensor, axis: usize, values: Vec<f32>) -> Option<Self> {
        let extent = tensor.shape.get(axis).copied().unwrap_or(1);
        let inner = tensor.shape.iter().skip(axis + 1).product();
        let fits = values.len() == 1 || values.len() == extent;
        (fits && inner > 0).then_some(Self { values, inner })
    }

    fn at(&self, element: usize) -> f32 {
        self.values[element / self.inner % self.values.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::Along;
    use crate::model::{Tensor, Values};

    #[test]
    fn a_number_for_each_position_of_the_axis() {
        let tensor = Tensor {
            shape: vec![2, 3, 2],
            values: Values::I32(vec![0; 12]),
        };
        let check = |axis, values: &[f32], expected: &[f32]| {
            let along = Along::new(&tensor, axis, values.to_vec()).unwrap();
            let found: Vec<f32> = (0..12).map(|element| along.at(element)).collect();
            assert_eq!(found, expected, "axis {axis}");
        };
        check(0, &[5.0], &[5.0; 12]);
        check(
            1,
            &[1.0, 2.0, 3.0],
            &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0],
        );
        assert!(Along::new(&tensor, 0, vec![1.0; 3]).is_none());
    }
}
