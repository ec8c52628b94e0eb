//! Mean and deviation of images, measured.

use super::{Colour, Normalisation, Pixels};

/// Sums of values and squares by channel. Those of bytes are whole numbers and therefore
/// the same in any order.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    bytes: Vec<[u64; 2]>,
    floats: Vec<[f64; 2]>,
    n_pixels: u64,
}

impl Sums {
    pub(super) fn new(channels: usize) -> Self {
        Self {
            bytes: vec![[0; 2]; channels],
            floats: vec![[0.0; 2]; channels],
            n_pixels: 0,
        }
    }

    pub(super) fn add(&mut self, pixels: &Pixels<'_>) {
        let channels = self.bytes.len();
        match pixels {
            Pixels::Bytes(values) => {
                for pixel in values.chunks_exact(channels) {
                    for (sum, &value) in self.bytes.iter_mut().zip(pixel) {
                        let value = u64::from(value);
                        sum[0] += value;
                        sum[1] += value * value;
                    }
                }
                self.n_pixels += (values.len() / channels) as u64;
            }
            Pixels::Floats(values) => {
                for pixel in values.chunks_exact(channels) {
                    for (sum, &value) in self.floats.iter_mut().zip(pixel) {
                        let value = f64::from(value);
                        sum[0] += value;
                        sum[1] += value * value;
                    }
                }
                self.n_pixels += (values.len() / channels) as u64;
            }
        }
    }

    pub(super) fn merge(mut self, other: &Self) -> Self {
        for (a, b) in self.bytes.iter_mut().zip(&other.bytes) {
            a[0] += b[0];
            a[1] += b[1];
        }
        for (a, b) in self.floats.iter_mut().zip(&other.floats) {
            a[0] += b[0];
            a[1] += b[1];
        }
        self.n_pixels += other.n_pixels;
        self
    }

    pub(super) fn normalisation(&self, colour: Colour) -> Normalisation {
        let count = self.n_pixels.max(1) as f64;
        let mut result = Normalisation::identity(0);
        for (bytes, floats) in self.bytes.iter().zip(&self.floats) {
            let sum = bytes[0] as f64 / 255.0 + floats[0];
            let squares = bytes[1] as f64 / (255.0 * 255.0) + floats[1];
            let mean = sum / count;
            let std = (squares / count - mean * mean).max(0.0).sqrt();
            result.mean.push(mean as f32);
            // Nothing can be divided by the deviation of a channel that never changes.
            result.std.push(if std > 1e-6 { std as f32 } else { 1.0 });
        }
        result.ordered(colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_bytes_and_floats_agree() {
        let bytes: Vec<u8> = (0..120).map(|i| (i * 37 % 256) as u8).collect();
        let floats: Vec<f32> = bytes.iter().map(|&b| f32::from(b) / 255.0).collect();
        let (mut a, mut b) = (Sums::new(3), Sums::new(3));
        a.add(&Pixels::Bytes(bytes.into()));
        b.add(&Pixels::Floats(floats.into()));
        let (a, b) = (a.normalisation(Colour::Rgb), b.normalisation(Colour::Rgb));
        for (a, b) in a.mean.iter().chain(&a.std).zip(b.mean.iter().chain(&b.std)) {
            assert!((a - b).abs() < 1e-6, "{a} and {b}");
        }
    }
}
