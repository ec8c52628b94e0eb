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
    /// Scaled, keeping its shape, until all of it fits; put in the middle, and what is left
    /// filled with a byte. YOLO networks take 114.
    Letterbox(u8),
}

/// What fills the sides of a letterbox unless told otherwise: the grey of YOLO's training.
const LETTERBOX: u8 = 114;

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
            Self::Letterbox(LETTERBOX) => f.write_str("letterbox"),
            Self::Letterbox(value) => write!(f, "letterbox:{value}"),
        }
    }
}

impl FromStr for Resize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let share = |text: &str| {
            let share = text.parse::<f32>().ok();
            share.filter(|&share| share > 0.0 && share <= 1.0)
        };
        let found = match text.split_once(':') {
            None if text == "stretch" => Some(Self::Stretch),
            None if text == "crop" => Some(Self::default()),
            None if text == "letterbox" => Some(Self::Letterbox(LETTERBOX)),
            Some(("crop", text)) => share(text).map(Self::Crop),
            Some(("letterbox", text)) => text.parse().ok().map(Self::Letterbox),
            _ => None,
        };
        found.ok_or_else(|| {
            format!(
                "expected `crop`, `crop:SHARE` (such as crop:0.875), `stretch`, `letterbox` or \
                 `letterbox:BYTE` (0 to 255), got `{text}`"
            )
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
    /// What says which class a sample is of.
    pub enum Labels {
        /// What the data bring: class folders, label files, arrays of labels.
        Auto = "auto",
        /// Nothing: sub-folders are no classes, and labels that the data bring are not used.
        None = "none",
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
        for text in ["crop", "crop:0.875", "stretch", "letterbox", "letterbox:0"] {
            assert_eq!(text.parse::<Resize>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "crop:",
            "crop:0",
            "crop:1.5",
            "crop:NaN",
            "letterbox:256",
            "fit",
        ] {
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
