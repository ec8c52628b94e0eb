//! Networks that take images.

use burn::tensor::Device;
use secateur_onnx::graph::{Dim, ValueInfo};

use crate::error::{NetError, Result, listed};
use crate::extension::tensor_from_vec;
use crate::value::{Dense, Value};

/// The one input of a network that takes images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInput {
    /// Name.
    pub name: String,
    /// `[c, h, w]`
    pub shape: [usize; 3],
    /// True if the file's images are `[n, h, w, c]`, as TensorFlow writes them.
    pub channels_last: bool,
}

impl ImageInput {
    /// Of a graph with these inputs.
    ///
    /// # Errors
    /// [`NetError::Task`] says what it takes instead.
    pub fn find(graph_name: &str, inputs: &[ValueInfo]) -> Result<Self> {
        Self::of(Self::only(graph_name, inputs)?)
    }

    /// The only input of a graph.
    ///
    /// # Errors
    /// [`NetError::Task`] lists them if there are several.
    pub(crate) fn only<'g>(graph_name: &str, inputs: &'g [ValueInfo]) -> Result<&'g ValueInfo> {
        let [input] = inputs else {
            return Err(NetError::Task {
                place: format!("graph `{graph_name}`"),
                reason: format!(
                    "training takes one input of images, the file has {}: {}",
                    inputs.len(),
                    listed(inputs)
                ),
            });
        };
        Ok(input)
    }

    /// Of an input whose channels, height and width are fixed.
    ///
    /// # Errors
    /// [`NetError::Task`] if they are not.
    pub(crate) fn of(input: &ValueInfo) -> Result<Self> {
        let dims: Vec<Option<usize>> = input.shape.iter().map(Dim::fixed).collect();
        // Images have 1, 3 or 4 channels.
        let is_depth = |size: usize| matches!(size, 1 | 3 | 4);
        let (shape, channels_last) = match *dims.as_slice() {
            [_, Some(h), Some(w), Some(c)] if is_depth(c) && !is_depth(h) => ([c, h, w], true),
            [_, Some(c), Some(h), Some(w)] => ([c, h, w], false),
            _ => {
                return Err(NetError::Task {
                    place: format!("input {}", listed(std::slice::from_ref(input))),
                    reason: "training takes images [n, c, h, w] with fixed c, h, w; open \
                             extents may be given in the metadata (`secateur.input_shapes`)"
                        .to_string(),
                });
            }
        };
        Ok(Self {
            name: input.name.clone(),
            shape,
            channels_last,
        })
    }

    /// `n` images, `[n, h, w, c]`, as the network takes them.
    ///
    /// # Errors
    /// [`NetError::Shape`] if `images` has another length.
    pub fn value(&self, images: Vec<f32>, n: usize, device: &Device) -> Result<Value> {
        let [c, h, w] = self.shape;
        if images.len() != n * c * h * w {
            return Err(NetError::Shape {
                node: self.name.clone(),
                expected: format!("{n} images of {h}x{w}x{c}"),
                got: format!("{} values", images.len()),
            });
        }
        let images = tensor_from_vec(images, [n, h, w, c], device);
        Ok(if self.channels_last {
            Value::Dense(Dense::from_tensor(images))
        } else {
            Value::Image(images)
        })
    }
}
