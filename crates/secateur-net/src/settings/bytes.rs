//! Amounts of memory: `8GiB`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Range, SettingValue};

/// Units, the largest first.
const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// An amount of memory, at least one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(u64);

impl Bytes {
    /// In bytes, as far as this machine can count them.
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Bytes {
    type Err = String;

    /// Reads a number and its unit.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected a number and its unit, such as 8GiB or 512MiB, got `{text}`");
        let found = UNITS.iter().find_map(|(unit, bytes)| {
            let number: f64 = text.trim().strip_suffix(unit)?.trim().parse().ok()?;
            Some(number * *bytes as f64)
        });
        match found {
            // Beyond 2^53 floats are no whole numbers; no machine has so much.
            Some(bytes) if (1.0..=2f64.powi(53)).contains(&bytes) => Ok(Self(bytes as u64)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .iter()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        match whole {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => write!(f, "{}KiB", self.0 as f64 / 1024.0),
        }
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        bytes.to_string()
    }
}

impl SettingValue for Bytes {
    fn text(&self) -> String {
        self.to_string()
    }

    fn from_words(words: &[String], _: Option<Range>) -> Result<Self, String> {
        words.join(" ").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written() {
        for (text, bytes) in [
            ("8GiB", 8 << 30),
            ("512MiB", 512 << 20),
            ("1.5GiB", 3 << 29),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for bytes in [Bytes(8 << 30), Bytes(3 << 29), Bytes(1000)] {
            assert_eq!(bytes.to_string().parse(), Ok(bytes), "{bytes}");
        }
        assert_eq!(Bytes(3 << 29).to_string(), "1536MiB");
        for wrong in ["", "8", "8GB", "-1GiB", "nanGiB", "0GiB", "1e30TiB", "GiB"] {
            let error = wrong.parse::<Bytes>().unwrap_err();
            assert!(error.contains("8GiB"), "{error}");
        }
    }
}
