//! Mean and deviation by channel: named, given, or from the training part alone.

use secateur_onnx::text::counted;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::choices::as_text;
use super::{Colour, DataError};

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

    /// Red, green, blue become blue, green, red where the network wants it so.
    pub(super) fn ordered(mut self, colour: Colour) -> Self {
        if colour == Colour::Bgr && self.mean.len() == 3 {
            self.mean.swap(0, 2);
            self.std.swap(0, 2);
        }
        self
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
        Err(DataError::Normalisation {
            expected: format!(
                "{} and {} above 0",
                counted(channels, "mean"),
                counted(channels, "deviation")
            ),
            got: format!("{}/{}", list(&self.mean), list(&self.std)),
        })
    }
}

fn list(values: &[f32]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(",")
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
                    colours.ordered(colour)
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
}
