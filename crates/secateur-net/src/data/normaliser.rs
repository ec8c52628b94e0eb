//! Channel order, mean and deviation, applied to images.

use super::{Colour, Normalisation, Pixels};

/// What turns the pixels of an image into the network's input.
pub(super) struct Normaliser {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// By channel of the output: the value of each byte.
    tables: Vec<[f32; 256]>,
    /// By channel of the output: the channel of the image.
    source: Vec<usize>,
    /// What a value of 0 becomes.
    pub(super) black: Vec<f32>,
}

impl Normaliser {
    pub(super) fn new(normalisation: &Normalisation, colour: Colour) -> Self {
        let (mean, std) = (normalisation.mean.clone(), normalisation.std.clone());
        let channels = mean.len();
        let mut source: Vec<usize> = (0..channels).collect();
        if colour == Colour::Bgr && channels == 3 {
            source.reverse();
        }
        let table = |c: usize| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean[c]) / std[c]);
        Self {
            tables: (0..channels).map(table).collect(),
            black: (0..channels).map(|c| -mean[c] / std[c]).collect(),
            source,
            mean,
            std,
        }
    }

    pub(super) fn apply(&self, pixels: &Pixels<'_>, out: &mut [f32]) {
        let channels = self.source.len();
        for (c, &source) in self.source.iter().enumerate() {
            let place = (c, source, channels);
            match pixels {
                Pixels::Bytes(bytes) => {
                    let table = &self.tables[c];
                    map_channel(place, bytes, out, |byte| table[usize::from(byte)]);
                }
                Pixels::Floats(values) => {
                    let (mean, std) = (self.mean[c], self.std[c]);
                    map_channel(place, values, out, |value| (value - mean) / std);
                }
            }
        }
    }
}

/// Channel `to` of `out` from channel `from` of `pixels`, of which there are `channels`: a
/// loop of its own for each channel, because every step waits for a batch.
fn map_channel<T: Copy>(
    (to, from, channels): (usize, usize, usize),
    pixels: &[T],
    out: &mut [f32],
    map: impl Fn(T) -> f32,
) {
    if channels == 1 {
        for (out, &pixel) in out.iter_mut().zip(pixels) {
            *out = map(pixel);
        }
        return;
    }
    let pixels = pixels[from..].iter().step_by(channels);
    for (out, &pixel) in out[to..].iter_mut().step_by(channels).zip(pixels) {
        *out = map(pixel);
    }
}
