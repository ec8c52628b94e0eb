//! Mean and deviation by channel: named, given, or from the training part alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::config::as_text;
use super::{Colour, DataError, Part, Pixels};

/// x' = (x - mean) / std, by channel; bytes are x = byte / 255.
///
/// Channels are in the order that the network takes them in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Deviation of each channel, above 0.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// Changes nothing.
    pub fn identity(channels: usize) -> Self {
        Self {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }
    }

    /// Measures the images of a part.
    ///
    /// # Errors
    /// As [`super::Dataset::image`].
    pub fn measure(part: &Part) -> Result<Self, DataError> {
        let mut sums = Sums::new(part.shape()[2]);
        for index in 0..part.len() {
            sums.add(&part.pixels(index)?);
        }
        Ok(sums.normalisation(part.colour()))
    }

    /// Checks that every channel has a finite mean and a deviation above 0.
    ///
    /// # Errors
    /// [`DataError::Normalisation`].
    pub fn check(&self, channels: usize) -> Result<(), DataError> {
        let sound = self.mean.iter().all(|m| m.is_finite())
            && self.std.iter().all(|s| s.is_finite() && *s > 0.0);
        if sound && self.mean.len() == channels && self.std.len() == channels {
            return Ok(());
        }
        let s = if channels == 1 { "" } else { "s" };
        Err(DataError::Normalisation {
            expected: format!("{channels} mean{s} and {channels} deviation{s} above 0"),
            got: format!("{}/{}", list(&self.mean), list(&self.std)),
        })
    }
}

fn list(values: &[f32]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(",")
}

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
            // A channel that never changes stays as it is.
            result.std.push(if std > 1e-6 { std as f32 } else { 1.0 });
        }
        in_order(result, colour)
    }
}

/// Red, green, blue become blue, green, red where the network wants it so.
fn in_order(mut normalisation: Normalisation, colour: Colour) -> Normalisation {
    if colour == Colour::Bgr && normalisation.mean.len() == 3 {
        normalisation.mean.swap(0, 2);
        normalisation.std.swap(0, 2);
    }
    normalisation
}

/// Where mean and deviation come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NormaliseBy {
    /// Measured on the training part.
    Measured,
    /// A name of [`NAMED`].
    Name(String),
    /// As given, in the order of the network's channels.
    Given(Normalisation),
}

/// Names with mean and deviation of red, green and blue; one channel takes their first
/// where all are alike.
///
/// Sources: imagenet: torchvision's reference training (`references/classification`);
/// cifar10 and mnist: the training images, as PyTorch's examples round them.
pub const NAMED: [(&str, [f32; 3], [f32; 3]); 6] = [
    ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    (
        "cifar10",
        [0.4914, 0.4822, 0.4465],
        [0.2470, 0.2435, 0.2616],
    ),
    ("mnist", [0.1307; 3], [0.3081; 3]),
    // Values from -1 to 1.
    ("half", [0.5; 3], [0.5; 3]),
    // Values from 0 to 1.
    ("none", [0.0; 3], [1.0; 3]),
    // Values from 0 to 255.
    ("bytes", [0.0; 3], [1.0 / 255.0; 3]),
];

impl NormaliseBy {
    /// Mean and deviation for a number of channels in an order; `None` if they are to be
    /// measured.
    ///
    /// # Errors
    /// [`DataError::Normalisation`] if the numbers do not fit the channels.
    pub fn resolve(
        &self,
        channels: usize,
        colour: Colour,
    ) -> Result<Option<Normalisation>, DataError> {
        let result = match self {
            Self::Measured => return Ok(None),
            Self::Given(normalisation) => normalisation.clone(),
            Self::Name(name) => {
                let named = NAMED.iter().find(|entry| entry.0 == name);
                let Some(&(_, mean, std)) = named else {
                    return Err(DataError::Normalisation {
                        expected: "a known name".to_string(),
                        got: name.clone(),
                    });
                };
                let alike = mean == [mean[0]; 3] && std == [std[0]; 3];
                if alike {
                    Normalisation {
                        mean: vec![mean[0]; channels],
                        std: vec![std[0]; channels],
                    }
                } else {
                    let colours = Normalisation {
                        mean: mean.to_vec(),
                        std: std.to_vec(),
                    };
                    in_order(colours, colour)
                }
            }
        };
        result.check(channels)?;
        Ok(Some(result))
    }
}

impl fmt::Display for NormaliseBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured => f.write_str("measured"),
            Self::Name(name) => f.write_str(name),
            Self::Given(normalisation) => {
                write!(
                    f,
                    "{}/{}",
                    list(&normalisation.mean),
                    list(&normalisation.std)
                )
            }
        }
    }
}

impl FromStr for NormaliseBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "measured" {
            return Ok(Self::Measured);
        }
        if let Some((name, ..)) = NAMED.iter().find(|entry| entry.0 == text) {
            return Ok(Self::Name((*name).to_string()));
        }
        let numbers = |list: &str| -> Option<Vec<f32>> {
            list.split(',').map(|n| n.trim().parse().ok()).collect()
        };
        text.split_once('/')
            .and_then(|(mean, std)| {
                let (mean, std) = (numbers(mean)?, numbers(std)?);
                let given = Normalisation { mean, std };
                given.check(given.mean.len()).ok()?;
                Some(Self::Given(given))
            })
            .ok_or_else(|| {
                let names: Vec<&str> = NAMED.iter().map(|entry| entry.0).collect();
                format!(
                    "expected `measured`, one of {}, or means and deviations above 0 such as \
                     0.5,0.5,0.5/0.2,0.2,0.2, got `{text}`",
                    names.join(", ")
                )
            })
    }
}

as_text!(NormaliseBy);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for text in [
            "measured",
            "imagenet",
            "cifar10",
            "mnist",
            "half",
            "none",
            "bytes",
            "0.5,0.25,1/0.2,0.3,2",
        ] {
            assert_eq!(text.parse::<NormaliseBy>().unwrap().to_string(), text);
        }
        for text in ["", "imagenet2", "0.5", "0.5/0", "0.5/NaN", "1,2/1", "a/b"] {
            let error = text.parse::<NormaliseBy>().unwrap_err();
            assert!(error.contains("imagenet, cifar10"), "{text}: {error}");
        }
    }

    #[test]
    fn names_fit_channels_and_colour_order() {
        let resolve = |text: &str, channels, colour| {
            text.parse::<NormaliseBy>()
                .unwrap()
                .resolve(channels, colour)
        };
        let rgb = resolve("imagenet", 3, Colour::Rgb).unwrap().unwrap();
        let bgr = resolve("imagenet", 3, Colour::Bgr).unwrap().unwrap();
        assert_eq!(rgb.mean, [0.485, 0.456, 0.406]);
        assert_eq!(bgr.mean, [0.406, 0.456, 0.485]);
        assert_eq!(bgr.std, [0.225, 0.224, 0.229]);
        let grey = resolve("mnist", 1, Colour::Rgb).unwrap().unwrap();
        assert_eq!(
            (grey.mean.as_slice(), grey.std.as_slice()),
            (&[0.1307][..], &[0.3081][..])
        );
        for (text, channels) in [("imagenet", 1), ("cifar10", 4), ("0.5/0.5", 3)] {
            let error = resolve(text, channels, Colour::Rgb).unwrap_err();
            assert!(
                error.to_string().contains("cannot normalise"),
                "{text}: {error}"
            );
            assert!(error.hint().unwrap().contains("imagenet"));
        }
        // Given numbers are in the network's order already.
        let given = resolve("1,2,3/4,5,6", 3, Colour::Bgr).unwrap().unwrap();
        assert_eq!(given.mean, [1.0, 2.0, 3.0]);
    }

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
