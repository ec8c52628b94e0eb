//! Gather and scatter between the full-width parameters and those of the
//! compact network.
//!
//! The full-width parameters are the truth. Before a training slice the parts
//! that belong to active kernels are gathered into a compact set, with their
//! optimiser moments; afterwards they are scattered back. What belongs to
//! dormant kernels is not touched, so turning one on again is exact.

use std::collections::BTreeMap;

use secateur_onnx::coupling::{ChannelGroups, Masks, kept_positions};

use crate::weights::{Weight, Weights};

/// Where the elements of each compact tensor lie in the full-width one.
#[derive(Debug, Clone)]
pub struct Selection {
    kept: BTreeMap<String, Vec<Option<Vec<usize>>>>,
}

impl Selection {
    /// The selection that `masks` make of a network with these channel groups.
    pub fn new(groups: &ChannelGroups, masks: &Masks) -> Self {
        Self {
            kept: kept_positions(groups, masks),
        }
    }

    /// The compact parameters: only what belongs to active kernels.
    pub fn gather(&self, full: &Weights) -> Weights {
        let mut compact = Weights::default();
        for (name, weight) in full.iter() {
            let gathered = match self.offsets(name, weight) {
                None => weight.clone(),
                Some((shape, offsets)) => {
                    let pick = |from: &Vec<f32>| -> Vec<f32> {
                        if from.is_empty() {
                            return Vec::new();
                        }
                        offsets.iter().map(|&offset| from[offset]).collect()
                    };
                    Weight {
                        shape,
                        role: weight.role,
                        data: pick(&weight.data),
                        moment1: pick(&weight.moment1),
                        moment2: pick(&weight.moment2),
                    }
                }
            };
            compact.insert(name.clone(), gathered);
        }
        compact
    }

    /// Writes compact parameters back to where they were gathered from.
    ///
    /// # Panics
    /// If `compact` was gathered with another selection.
    pub fn scatter(&self, compact: &Weights, full: &mut Weights) {
        for (name, weight) in full.iter_mut() {
            let Some(source) = compact.get(name) else {
                continue;
            };
            match self.offsets(name, weight) {
                None => {
                    weight.data.clone_from(&source.data);
                    weight.moment1.clone_from(&source.moment1);
                    weight.moment2.clone_from(&source.moment2);
                }
                Some((shape, offsets)) => {
                    assert_eq!(
                        shape, source.shape,
                        "`{name}` was gathered with another selection"
                    );
                    let size = weight.data.len();
                    let put = |from: &[f32], to: &mut Vec<f32>| {
                        if from.is_empty() {
                            return;
                        }
                        // Kernels that have never trained get a momentum of zero.
                        to.resize(size, 0.0);
                        for (&offset, &value) in offsets.iter().zip(from) {
                            to[offset] = value;
                        }
                    };
                    put(&source.data, &mut weight.data);
                    put(&source.moment1, &mut weight.moment1);
                    put(&source.moment2, &mut weight.moment2);
                }
            }
        }
    }

    /// Compact shape and, per compact element, its offset in the full tensor;
    /// `None` where the tensor is kept whole.
    fn offsets(&self, name: &str, full: &Weight) -> Option<(Vec<usize>, Vec<usize>)> {
        let axes = self.kept.get(name)?;
        if axes.iter().all(Option::is_none) {
            return None;
        }
        let mut shape = Vec::with_capacity(full.shape.len());
        let mut offsets = vec![0usize];
        for (axis, &extent) in full.shape.iter().enumerate() {
            let all: Vec<usize>;
            let kept = match axes.get(axis).and_then(Option::as_ref) {
                Some(kept) => kept,
                None => {
                    all = (0..extent).collect();
                    &all
                }
            };
            shape.push(kept.len());
            let mut next = Vec::with_capacity(offsets.len() * kept.len());
            for base in &offsets {
                next.extend(kept.iter().map(|position| base * extent + position));
            }
            offsets = next;
        }
        Some((shape, offsets))
    }
}
