//! How data are read, fitted to a network and split.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::NormaliseBy;

/// Settings of the data; part `[data]` of the config.
///
/// What is not set is taken from the model if it carries it (`secateur train` and `prune`
/// leave it there), and else from the defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Images taken from the training data for validation [default: 5000, but at most a
    /// fifth]. Unused where the data bring a validation part of their own beside a test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Share of the validation images that the search never sees.
    pub confirm_share: f64,
    /// Seed of the split. A model trained by `secateur train` carries its own.
    pub split_seed: u64,
    /// Mean and deviation [default: measured on the training part].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<NormaliseBy>,
    /// How images in folders get the network's size [default: crop].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// Order of three channels as the network takes them [default: rgb].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<Colour>,
    /// Size of images in folders `[height, width]` where no network says it
    /// [default: their own, if all are alike].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<[usize; 2]>,
    /// Axes of arrays of images [default: seen from their extents].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Share of the images that is set apart for the test where the data have no parts.
    pub test_share: f64,
    /// Seed that picks them.
    pub test_seed: u64,
    /// Images that cannot be decoded and are left out, before it is an error.
    pub max_skipped: usize,
    /// Decoded images that may be kept in memory, MiB; what does not fit is decoded anew in
    /// every epoch, beside the training.
    pub cache_mib: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            validation: None,
            confirm_share: 0.5,
            split_seed: 0,
            normalise: None,
            resize: None,
            colour: None,
            image_size: None,
            layout: None,
            test_share: 0.1,
            test_seed: 0,
            max_skipped: 10,
            cache_mib: 2048,
        }
    }
}

/// Validation images unless told otherwise.
const VALIDATION: usize = 5000;
/// Of fewer training images than five times that: one in so many.
const VALIDATION_SHARE: usize = 5;

impl DataConfig {
    /// Number of validation images taken from `n` training images.
    pub fn validation_of(&self, n: usize) -> usize {
        self.validation
            .unwrap_or_else(|| VALIDATION.min(n.div_ceil(VALIDATION_SHARE)))
    }
}

/// Text form, for the config and the command line.
macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}
pub(super) use as_text;

/// How an image of another size becomes `[h, w]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Resize {
    /// Scaled, keeping its shape, until `h` by `w` is the given share (above 0, at most 1)
    /// of the largest such window; then the middle is cut out. ImageNet's usual "256, then
    /// 224 in the middle" is 0.875.
    Crop(f32),
    /// Scaled by both sides alone.
    Stretch,
}

impl Default for Resize {
    fn default() -> Self {
        Self::Crop(1.0)
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crop(1.0) => f.write_str("crop"),
            Self::Crop(share) => write!(f, "crop:{share}"),
            Self::Stretch => f.write_str("stretch"),
        }
    }
}

impl FromStr for Resize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = match text {
            "stretch" => return Ok(Self::Stretch),
            "crop" => Some(1.0),
            _ => text
                .strip_prefix("crop:")
                .and_then(|share| share.parse::<f32>().ok())
                .filter(|&share| share > 0.0 && share <= 1.0),
        };
        share.map(Self::Crop).ok_or_else(|| {
            format!("expected `crop`, `crop:SHARE` (such as crop:0.875) or `stretch`, got `{text}`")
        })
    }
}

as_text!(Resize);

/// Order of three channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Colour {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as OpenCV and Caffe have it.
    Bgr,
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rgb => "rgb",
            Self::Bgr => "bgr",
        })
    }
}

impl FromStr for Colour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "rgb" => Ok(Self::Rgb),
            "bgr" => Ok(Self::Bgr),
            _ => Err(format!("expected `rgb` or `bgr`, got `{text}`")),
        }
    }
}

as_text!(Colour);

/// Axes of an array of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Layout {
    /// Channels last: `[n, h, w, c]`.
    Nhwc,
    /// Channels first: `[n, c, h, w]`.
    Nchw,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nhwc => "nhwc",
            Self::Nchw => "nchw",
        })
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nhwc" => Ok(Self::Nhwc),
            "nchw" => Ok(Self::Nchw),
            _ => Err(format!("expected `nhwc` or `nchw`, got `{text}`")),
        }
    }
}

as_text!(Layout);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for text in ["crop", "crop:0.875", "stretch"] {
            assert_eq!(text.parse::<Resize>().unwrap().to_string(), text);
        }
        for text in ["", "crop:", "crop:0", "crop:1.5", "crop:NaN", "fit"] {
            let error = text.parse::<Resize>().unwrap_err();
            assert!(error.contains("crop:SHARE"), "{text}: {error}");
        }
        for text in ["rgb", "bgr"] {
            assert_eq!(text.parse::<Colour>().unwrap().to_string(), text);
        }
        for text in ["nhwc", "nchw"] {
            assert_eq!(text.parse::<Layout>().unwrap().to_string(), text);
        }
        assert!("RGBA".parse::<Colour>().is_err() && "chw".parse::<Layout>().is_err());
    }

    #[test]
    fn validation_follows_the_number_of_images() {
        let config = DataConfig::default();
        for (n, expected) in [(60_000, 5000), (25_000, 5000), (1000, 200), (3, 1), (1, 1)] {
            assert_eq!(config.validation_of(n), expected, "{n}");
        }
        let given = DataConfig {
            validation: Some(7),
            ..config
        };
        assert_eq!(given.validation_of(1000), 7);
    }
}
