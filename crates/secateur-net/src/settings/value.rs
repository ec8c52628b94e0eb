//! Values of settings: as numbers for ranges, as text for people, from words.

use std::fmt::Debug;
use std::str::FromStr;

use secateur_onnx::model::InputShape;

use super::Range;

/// The largest integer of a config: integers of TOML have a sign.
const MAX_INTEGER: u64 = i64::MAX as u64;

/// What a setting's value is, for languages that have types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// A word or a text.
    #[default]
    Text,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// True or false.
    Switch,
    /// Several numbers.
    Numbers,
    /// Several texts.
    Texts,
    /// Height and width.
    Sides,
}

/// The type of a setting.
pub trait SettingValue: Sized + Debug {
    /// What its values are.
    const KIND: Kind = Kind::Text;
    /// Words that it may be, each with its documentation; empty if it is no such word.
    const CHOICES: &'static [(&'static str, &'static str)] = &[];

    /// As it is written in a config; empty if it is not set.
    fn text(&self) -> String {
        format!("{self:?}")
    }

    /// From the words behind a flag, held to the setting's range.
    ///
    /// # Errors
    /// Says what was expected.
    fn from_words(words: &[String], range: Option<Range>) -> Result<Self, String>;

    /// Its numbers.
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }

    /// What was expected, if a number is out of the range.
    fn fault(&self, range: Option<Range>) -> Option<String> {
        let range = range?;
        let mut numbers = self.numbers().into_iter();
        numbers
            .any(|number| !range.contains(number))
            .then(|| range.to_string())
    }
}

/// A value of any such type, as visitors see it.
pub trait AnyValue {
    /// See [`SettingValue::text`].
    fn text(&self) -> String;
    /// See [`SettingValue::KIND`].
    fn kind(&self) -> Kind;
    /// See [`SettingValue::CHOICES`].
    fn choices(&self) -> &'static [(&'static str, &'static str)];
    /// See [`SettingValue::fault`].
    fn fault(&self, range: Option<Range>) -> Option<String>;
    /// Sets it.
    ///
    /// # Errors
    /// See [`SettingValue::from_words`].
    fn set(&mut self, words: &[String], range: Option<Range>) -> Result<(), String>;
}

impl<T: SettingValue> AnyValue for T {
    fn text(&self) -> String {
        T::text(self)
    }

    fn kind(&self) -> Kind {
        T::KIND
    }

    fn choices(&self) -> &'static [(&'static str, &'static str)] {
        T::CHOICES
    }

    fn fault(&self, range: Option<Range>) -> Option<String> {
        T::fault(self, range)
    }

    fn set(&mut self, words: &[String], range: Option<Range>) -> Result<(), String> {
        *self = T::from_words(words, range)?;
        Ok(())
    }
}

/// Parses the only word.
fn one<T: FromStr>(words: &[String]) -> Option<T> {
    match words {
        [word] => word.trim().parse().ok(),
        _ => None,
    }
}

macro_rules! number_settings {
    ($($type:ty, $kind:ident, $words:literal;)+) => {$(
        impl SettingValue for $type {
            const KIND: Kind = Kind::$kind;

            fn from_words(words: &[String], range: Option<Range>) -> Result<Self, String> {
                one::<Self>(words)
                    .filter(|&number| range.is_none_or(|range| range.contains(number as f64)))
                    .ok_or_else(|| {
                        let range = range.map(|range| range.to_string());
                        format!("expected {}{}", $words, range.unwrap_or("a number".to_string()))
                    })
            }

            fn numbers(&self) -> Vec<f64> {
                vec![*self as f64]
            }
        }
    )+};
}

number_settings! {
    f32, Number, "";
    f64, Number, "";
    usize, Whole, "a whole number, ";
}

/// A seed: any integer that a config can hold, since a run is resumed by its config.
impl SettingValue for u64 {
    const KIND: Kind = Kind::Whole;

    fn from_words(words: &[String], _: Option<Range>) -> Result<Self, String> {
        one(words)
            .filter(|&seed| seed <= MAX_INTEGER)
            .ok_or_else(|| format!("expected a whole number, 0 to {MAX_INTEGER}"))
    }

    fn fault(&self, _: Option<Range>) -> Option<String> {
        (*self > MAX_INTEGER)
            .then(|| format!("0 to {MAX_INTEGER}, the largest integer of a config"))
    }
}

impl SettingValue for Vec<f64> {
    const KIND: Kind = Kind::Numbers;

    fn from_words(words: &[String], range: Option<Range>) -> Result<Self, String> {
        words
            .iter()
            .map(|word| f64::from_words(std::slice::from_ref(word), range))
            .collect()
    }

    fn numbers(&self) -> Vec<f64> {
        self.clone()
    }
}

/// Height and width of images: `224` for both, `160x120`, or a word each.
impl SettingValue for [usize; 2] {
    const KIND: Kind = Kind::Sides;

    fn from_words(words: &[String], range: Option<Range>) -> Result<Self, String> {
        let text = words.join("x");
        let sides = match text.split_once('x') {
            None => [text.as_str(); 2],
            Some((height, width)) => [height, width],
        };
        let [height, width] = sides.map(|side| usize::from_words(&[side.to_string()], range));
        height.and_then(|height| Ok([height, width?])).map_err(|_| {
            format!("expected a side such as 224, or height x width such as 160x120, got `{text}`")
        })
    }

    fn numbers(&self) -> Vec<f64> {
        self.iter().map(|&side| side as f64).collect()
    }
}

/// True where its flag is given.
impl SettingValue for bool {
    const KIND: Kind = Kind::Switch;

    fn from_words(words: &[String], _: Option<Range>) -> Result<Self, String> {
        match words {
            [] => Ok(true),
            _ => one(words).ok_or_else(|| "expected true or false".to_string()),
        }
    }
}

impl SettingValue for String {
    fn from_words(words: &[String], _: Option<Range>) -> Result<Self, String> {
        Ok(words.join(" "))
    }
}

impl SettingValue for Vec<String> {
    const KIND: Kind = Kind::Texts;

    fn from_words(words: &[String], _: Option<Range>) -> Result<Self, String> {
        Ok(words.to_vec())
    }
}

/// Shapes such as x=1x3x48x320, a word each.
impl SettingValue for Vec<InputShape> {
    const KIND: Kind = Kind::Texts;

    fn text(&self) -> String {
        let texts: Vec<String> = self.iter().map(ToString::to_string).collect();
        format!("{texts:?}")
    }

    fn from_words(words: &[String], _: Option<Range>) -> Result<Self, String> {
        words.iter().map(|word| word.parse()).collect()
    }
}

/// What is not set is in every range.
impl<T: SettingValue> SettingValue for Option<T> {
    const KIND: Kind = T::KIND;
    const CHOICES: &'static [(&'static str, &'static str)] = T::CHOICES;

    fn text(&self) -> String {
        self.as_ref().map_or_else(String::new, T::text)
    }

    fn from_words(words: &[String], range: Option<Range>) -> Result<Self, String> {
        T::from_words(words, range).map(Some)
    }

    fn numbers(&self) -> Vec<f64> {
        self.as_ref().map_or_else(Vec::new, T::numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed<T: SettingValue>(text: &str, range: Range) -> Result<T, String> {
        T::from_words(&[text.to_string()], Some(range))
    }

    #[test]
    fn numbers_are_held_to_their_range() {
        use crate::settings::{BATCH, EPOCHS};
        assert_eq!(parsed::<f64>("0.15", EPOCHS), Ok(0.15));
        for wrong in ["0", "-1", "1e30", "1e400", "nan", "inf", "many", ""] {
            let expected = Err("expected above 0 and at most 100000".to_string());
            assert_eq!(parsed::<f64>(wrong, EPOCHS), expected, "{wrong}");
        }
        assert_eq!(parsed::<usize>("128", BATCH), Ok(128));
        for wrong in ["0", "-1", "1.5", "65537", "99999999999999999999"] {
            let expected = Err("expected a whole number, 1 to 65536".to_string());
            assert_eq!(parsed::<usize>(wrong, BATCH), expected, "{wrong}");
        }
    }

    #[test]
    fn image_sizes() {
        let size = |text: &str| parsed::<[usize; 2]>(text, crate::settings::SIDE);
        assert_eq!(size("224"), Ok([224, 224]));
        assert_eq!(size("160x120"), Ok([160, 120]));
        for wrong in ["", "0", "x", "10x", "10x0", "-3", "1x2x3"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
