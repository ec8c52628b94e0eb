//! What networks take: values for each input, for some samples.

use super::Host;

/// Values for every input of a network, for some samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// Number of samples.
    pub n: usize,
    /// One entry for each input, in the order of the graph.
    pub values: Vec<Input>,
}

/// Values for one input.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Images `[n, h, w, c]`, channels last whatever the file says; their extents follow from
    /// the input.
    Images(Vec<f32>),
    /// An array of any rank in the file's order of axes, samples included.
    Array(Host),
}

impl Inputs {
    /// `n` images `[n, h, w, c]` for a network that takes nothing else.
    pub fn images(values: Vec<f32>, n: usize) -> Self {
        Self {
            n,
            values: vec![Input::Images(values)],
        }
    }

    /// The images, where the network takes nothing else.
    pub fn as_images(&self) -> Option<&[f32]> {
        match self.values.as_slice() {
            [Input::Images(values)] => Some(values),
            _ => None,
        }
    }
}
