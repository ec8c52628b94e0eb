//! Kernels taken out on trial, to see whether the code of a module goes along.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;
use secateur_search::space::Space;

use crate::job;
use crate::model::ModelInput;

/// One in so many of a group's kernels goes, and as many at least: without one of two halves of eight
/// kernels `chunk` happens to make the same two parts.
const PART: usize = 8;
const LEAST: usize = 2;

/// A model whose channel groups are narrowed on trial.
#[pyclass(frozen)]
pub struct Trials {
    model: Model,
    space: Space,
}

#[pymethods]
impl Trials {
    /// Of a model; layers that match `ignore` keep their kernels, as in a run.
    #[new]
    fn new(
        py: Python<'_>,
        model: ModelInput,
        allow_mixing: bool,
        ignore: Vec<String>,
    ) -> PyResult<Self> {
        job::run(py, None, None, |_| {
            let model = model.read()?.prepared().self_contained()?;
            let model = model.with_mixing(allow_mixing);
            let space = Space::survey(&Graph::from_model(&model)?, &ignore)?;
            Ok(Self { model, space })
        })
    }

    /// The channel groups whose kernels may go: each one's index and layers.
    fn groups(&self) -> Vec<(usize, Vec<String>)> {
        let groups = self.space.groups.groups.iter().zip(&self.space.switchable);
        let groups = groups.enumerate().filter(|(_, (_, may_go))| **may_go);
        groups
            .map(|(at, (group, _))| (at, group.producers.clone()))
            .collect()
    }

    /// The model without the first kernels of some groups. Of several groups of one layer, such as the
    /// halves that a module cuts its output into, the first loses most: `chunk` gives it most.
    fn without_first(&self, py: Python<'_>, groups: Vec<usize>) -> PyResult<Py<PyBytes>> {
        let bytes = job::run(py, None, None, |_| {
            let mut masks = self.space.all_active();
            let mut times = HashMap::new();
            for group in groups.into_iter().rev() {
                let layers = self.space.groups.groups[group].producers.iter();
                let of_layer = layers.map(|layer| {
                    let times = times.entry(layer).or_insert(0);
                    *times += 1;
                    *times
                });
                let times = of_layer.max().unwrap_or(1);
                let mask = &mut masks.0[group];
                let part = mask.len().div_ceil(PART).max(LEAST);
                let gone = (times * part).min(mask.len() - 1);
                mask[..gone].fill(false);
            }
            Ok(surgery::remove(&self.model, &self.space.groups, &masks)?.to_bytes()?)
        })?;
        Ok(PyBytes::new(py, &bytes).unbind())
    }
}
