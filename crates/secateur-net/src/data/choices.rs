//! Settings that are a choice, with the text that stands for each.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::choices;

/// Text form, for the config and the command line.
macro_rules! as_text {
    ($type:ty) => {
        crate::text_setting!($type);

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

choices! {
    /// Order of three channels.
    pub enum Colour {
        /// Red first.
        Rgb = "rgb",
        /// Blue first, as OpenCV and Caffe have it.
        Bgr = "bgr",
    }
}

choices! {
    /// Axes of an array of images.
    pub enum Layout {
        /// Channels last: `[n, h, w, c]`.
        Nhwc = "nhwc",
        /// Channels first: `[n, c, h, w]`.
        Nchw = "nchw",
    }
}

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
}
