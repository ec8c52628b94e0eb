//! What zero is in a stored tensor: of quantised numbers, the zero point.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::coupling::ChannelGroups;
use crate::error::Result;
use crate::labels::Quantised;
use crate::model::{StoredMut, Tensor, Values};

/// Zero points by name, decoded.
pub(super) struct ZeroPoints<'a> {
    quantised: &'a BTreeMap<String, Quantised>,
    tensors: BTreeMap<&'a str, Tensor>,
}

impl<'a> ZeroPoints<'a> {
    /// Reads the zero points of all quantised tensors of the groups.
    pub(super) fn read(groups: &'a ChannelGroups, stored: &[StoredMut<'_>]) -> Result<Self> {
        let quantised = &groups.quantised;
        let names = quantised.values().filter_map(|q| q.zero_point.as_deref());
        let mut tensors: BTreeMap<&str, Tensor> = BTreeMap::new();
        let by_name: BTreeMap<&str, &StoredMut<'_>> =
            stored.iter().map(|one| (one.name.as_str(), one)).collect();
        for name in names {
            if let (false, Some(stored)) = (tensors.contains_key(name), by_name.get(name)) {
                tensors.insert(name, stored.decode()?);
            }
        }
        Ok(Self { quantised, tensors })
    }

    /// Sets a run of elements of the tensor of that name to zero.
    pub(super) fn clear(&self, name: &str, tensor: &mut Tensor, run: Range<usize>) {
        super::slice::clear(tensor, run.clone());
        let Some(quantised) = self.quantised.get(name) else {
            return;
        };
        let zero_point = quantised.zero_point.as_deref();
        let Some(zero_point) = zero_point.and_then(|name| self.tensors.get(name)) else {
            return;
        };
        let axis = quantised.axis.min(tensor.shape.len().saturating_sub(1));
        let inner: usize = tensor.shape.iter().skip(axis + 1).product();
        let extent = tensor.shape.get(axis).copied().unwrap_or(1);
        for element in run {
            let at = match zero_point.len() {
                1 => 0,
                _ => element / inner.max(1) % extent.max(1),
            };
            copy_element(zero_point, at, tensor, element);
        }
    }
}

/// Copies an element between tensors of one integer type; other types are left as they are.
fn copy_element(from: &Tensor, at: usize, to: &mut Tensor, element: usize) {
    match (&from.values, &mut to.values) {
        (Values::I32(from), Values::I32(to)) => {
            if let (Some(&value), Some(own)) = (from.get(at), to.get_mut(element)) {
                *own = value;
            }
        }
        (
            Values::Other {
                width, bytes: from, ..
            },
            Values::Other {
                width: own,
                bytes: to,
                ..
            },
        ) if width == own => {
            let range = |index: usize| index * *width..(index + 1) * *width;
            if let (Some(from), Some(to)) = (from.get(range(at)), to.get_mut(range(element))) {
                to.copy_from_slice(from);
            }
        }
        _ => {}
    }
}
