//! Where a network's last map becomes a row of values.

use secateur_onnx::graph::{Dim, Graph};

use super::ends::Ends;
use crate::error::Result;

/// The last pooling in front of an output, or what takes its place (a mean, a map laid flat).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPooling {
    /// What it reads: values at several positions.
    pub map: String,
    /// What it gives, if that is one value a channel: where an input moves a little, it stays.
    pub row: Option<String>,
}

impl LastPooling {
    /// Of each of some outputs that are one row a sample, as class scores and embeddings are.
    ///
    /// # Errors
    /// As shape inference.
    pub fn find(graph: &Graph, outputs: &[&str]) -> Result<Vec<Self>> {
        let ends = Ends::new(graph)?;
        let mut found = Vec::new();
        if graph.no_batch {
            return Ok(found);
        }
        let batch = graph.inputs.first().and_then(|input| input.shape.first());
        // A file for a batch of one sample may give values that do not count samples.
        let counts_samples = |pooling: &Self| match batch.and_then(Dim::fixed) {
            Some(batch) => ends.dims(&pooling.map)[0].fixed() == Some(batch),
            None => true,
        };
        for output in outputs {
            let pooling = Self::of(&ends, output).filter(counts_samples);
            found.extend(pooling.filter(|pooling| !found.contains(pooling)));
        }
        Ok(found)
    }

    /// Goes back from an output along first inputs until there is a map.
    fn of(ends: &Ends<'_>, output: &str) -> Option<Self> {
        let mut row = output;
        while is_row(ends.dims(row)) {
            let map = ends.node(row)?.input(0)?;
            // What the graph takes and what is stored are no features.
            ends.node(map)?;
            if ends.dims(map).len() > 2 && !is_row(ends.dims(map)) {
                let channels = ends.dims(map)[1].fixed();
                let width = ends.dims(row).get(1).and_then(Dim::fixed);
                return Some(Self {
                    map: map.to_string(),
                    row: (width.is_some() && width == channels).then(|| row.to_string()),
                });
            }
            row = map;
        }
        None
    }
}

/// True for values of one position: only one extent besides the samples' is not known to be 1.
fn is_row(dims: &[Dim]) -> bool {
    let rest = dims.get(1..).unwrap_or_default();
    !rest.is_empty() && rest.iter().filter(|dim| dim.fixed() != Some(1)).count() <= 1
}
