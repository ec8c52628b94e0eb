//! Inputs of our networks as the file takes them.

use secateur_net::interpreter::ImageInput;
use secateur_net::{Host, HostData, Input, Inputs, NetError};
use secateur_onnx::graph::Graph;

/// The inputs by name, in the file's order of axes.
///
/// # Errors
/// [`NetError::Task`] for images where the file takes none, and for samples that fill a whole input.
pub(super) fn named(inputs: Inputs, graph: &Graph) -> Result<Vec<(String, Host)>, NetError> {
    let n = inputs.n;
    let values = inputs.values.into_iter().zip(&graph.inputs);
    let named = values.map(|(value, info)| {
        let host = match value {
            Input::Array(host) if info.has_shape && host.shape.len() > info.shape.len() => {
                return Err(NetError::Task {
                    place: format!("input `{}`", info.name),
                    reason: "networks are quantised by batches, and it has no axis for one"
                        .to_string(),
                });
            }
            Input::Array(host) => host,
            Input::Images(values) => {
                images(values, n, &ImageInput::find(&graph.name, &graph.inputs)?)
            }
        };
        Ok((info.name.clone(), host))
    });
    named.collect()
}

/// Images `[n, h, w, c]` in the order that the file has.
fn images(values: Vec<f32>, n: usize, input: &ImageInput) -> Host {
    let [c, h, w] = input.shape;
    if input.channels_last {
        return Host {
            shape: vec![n, h, w, c],
            data: HostData::Float(values),
        };
    }
    let mut first = vec![0.0; values.len()];
    let size = c * h * w;
    for (to, from) in first.chunks_exact_mut(size).zip(values.chunks_exact(size)) {
        for (channel, plane) in to.chunks_exact_mut(h * w).enumerate() {
            let pixels = from.iter().skip(channel).step_by(c);
            plane
                .iter_mut()
                .zip(pixels)
                .for_each(|(to, from)| *to = *from);
        }
    }
    Host {
        shape: vec![n, c, h, w],
        data: HostData::Float(first),
    }
}

/// Some of the samples, in this order.
pub(super) fn picked(host: &Host, indices: &[usize]) -> Host {
    fn rows<T: Copy>(values: &[T], n: usize, indices: &[usize]) -> Vec<T> {
        let len = values.len() / n.max(1);
        let row = |&i: &usize| &values[i * len..(i + 1) * len];
        indices.iter().flat_map(row).copied().collect()
    }
    let n = host.shape.first().copied().unwrap_or(1);
    let mut shape = host.shape.clone();
    if let Some(first) = shape.first_mut() {
        *first = indices.len();
    }
    Host {
        shape,
        data: match &host.data {
            HostData::Float(values) => HostData::Float(rows(values, n, indices)),
            HostData::Int(values) => HostData::Int(rows(values, n, indices)),
            HostData::Bool(values) => HostData::Bool(rows(values, n, indices)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_in_the_order_of_the_file() {
        let input = |channels_last| ImageInput {
            name: "x".to_string(),
            shape: [2, 1, 3],
            channels_last,
        };
        // Two images of three pixels, each 10 apart in its second channel.
        let values: Vec<f32> = vec![0., 10., 1., 11., 2., 12., 3., 13., 4., 14., 5., 15.];
        let last = images(values.clone(), 2, &input(true));
        assert_eq!(
            (last.shape, last.data),
            (vec![2, 1, 3, 2], HostData::Float(values.clone()))
        );
        let first = images(values, 2, &input(false));
        assert_eq!(first.shape, [2, 2, 1, 3]);
        let expected = vec![0., 1., 2., 10., 11., 12., 3., 4., 5., 13., 14., 15.];
        assert_eq!(first.data, HostData::Float(expected));
        let second = picked(&first, &[1, 1]);
        assert_eq!(second.shape, [2, 2, 1, 3]);
        let row = [3., 4., 5., 13., 14., 15.];
        assert_eq!(second.data, HostData::Float([row, row].concat()));
    }
}
