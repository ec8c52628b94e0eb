//! Settings: name, default, range, text and flag of each from one declaration.
//!
//! [`settings!`](crate::settings!) declares a section of a config. From that one place come the
//! struct with its documentation and its defaults, the config file that names only what differs,
//! the check of every number, the flags of the command line and the tables in `docs/`.

mod bytes;
mod declare;
mod range;
mod value;

use thiserror::Error;

pub use bytes::Bytes;
pub use range::{
    AMOUNT, BATCH, EPOCHS, INPUTS, NOT_ALL, NOT_NONE, POINTS, RATE, Range, SHARE, SHIFT, SIDE,
    TRUE_SHARE, WIDTH,
};
pub use value::{AnyValue, Kind, SettingValue};

/// A value that no run can use.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{setting}` is {value}, expected {expected}")]
pub struct SettingError {
    /// Its place in a config, such as `training.recover_lr`.
    pub setting: String,
    /// As given.
    pub value: String,
    /// What it may be.
    pub expected: String,
}

impl SettingError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some("docs/algorithm.md lists settings and ranges".to_string())
    }
}

/// What is declared of a setting.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Setting {
    /// Its place in a config, such as `training.recover_lr`.
    pub key: String,
    /// What its value is.
    pub kind: Kind,
    /// What it is.
    pub text: String,
    /// Why its default is what it is; empty where there is nothing to say.
    pub reason: String,
    /// The default as it is written in a config; empty if it is not set.
    pub default: String,
    /// What holds where it is not set.
    pub unset: Option<&'static str>,
    /// What each of its numbers may be.
    pub range: Option<Range>,
    /// Words it may be, each with what it means; empty if it is no such word.
    pub choices: Vec<(&'static str, String)>,
    /// As in the help of the command line: `--lr <LR>`, `--flip`, `--ignore <LAYER>...`.
    pub flag: Option<&'static str>,
    /// The heading of its flag there.
    pub heading: Option<&'static str>,
}

impl Setting {
    /// A setting of this section; text and reason are the paragraphs of its documentation.
    pub fn inner(&self, name: &str, documentation: &str) -> Self {
        let dot = if self.key.is_empty() { "" } else { "." };
        let [text, reason] = paragraphs(documentation);
        Self {
            key: format!("{}{dot}{name}", self.key),
            text,
            reason,
            heading: self.heading,
            ..Self::default()
        }
    }

    /// The default as people write it: 6 for `6.0`, dqn for `"dqn"`.
    pub fn plain_default(&self) -> &str {
        let text = self.default.trim_matches('"');
        text.strip_suffix(".0").unwrap_or(text)
    }
}

/// The first paragraph of a documentation and what follows it, on one line each and without
/// the last full stop.
fn paragraphs(documentation: &str) -> [String; 2] {
    let (first, rest) = documentation
        .split_once("\n\n")
        .unwrap_or((documentation, ""));
    [first, rest].map(|text| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").trim_end_matches('.').to_string()
    })
}

/// What a visitor of settings is: called with each and its value.
pub type Visit<'a> = dyn FnMut(Setting, &mut dyn AnyValue) + 'a;

/// What stands behind a name in a config: a setting, or a section of them.
pub trait Part {
    /// Visits every setting in it, in the order of the declaration; `outer` is what is
    /// declared of the part itself.
    fn walk(&mut self, outer: Setting, visit: &mut Visit<'_>);
}

impl<T: SettingValue> Part for T {
    fn walk(&mut self, outer: Setting, visit: &mut Visit<'_>) {
        visit(outer, self);
    }
}

/// A section of a config; declared by [`settings!`](crate::settings!).
pub trait Settings: Part + Clone + Default {
    /// All its settings, with their defaults.
    fn declared() -> Vec<Setting> {
        let mut all = Vec::new();
        Self::default().walk(Setting::default(), &mut |setting, value| {
            all.push(Setting {
                kind: value.kind(),
                default: value.text(),
                choices: value
                    .choices()
                    .iter()
                    .map(|&(name, text)| (name, paragraphs(text)[0].clone()))
                    .collect(),
                ..setting
            });
        });
        all
    }

    /// Checks every number against its range.
    ///
    /// # Errors
    /// The first setting out of its range.
    fn check_ranges(&self) -> Result<(), SettingError> {
        let mut found = Ok(());
        self.clone()
            .walk(Setting::default(), &mut |setting, value| {
                if let (Ok(()), Some(expected)) = (&found, value.fault(setting.range)) {
                    found = Err(SettingError {
                        setting: setting.key,
                        value: value.text(),
                        expected,
                    });
                }
            });
        found
    }

    /// Sets a setting from words, as a command line has them.
    ///
    /// # Errors
    /// Says what was expected instead of the words.
    fn set(&mut self, key: &str, words: &[String]) -> Result<(), String> {
        let mut done = Err(format!("there is no setting `{key}`"));
        self.walk(Setting::default(), &mut |setting, value| {
            if setting.key == key {
                done = value.set(words, setting.range);
            }
        });
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::settings! {
        /// A network's training.
        pub struct Inner, under "Training" {
            /// Peak
            /// rate.
            ///
            /// A fifth of
            /// the other.
            pub rate: f32 = 0.02, in RATE, flag "--rate <RATE>";
            /// Images.
            pub images: Option<usize>, unset "all", in BATCH;
        }
    }

    crate::settings! {
        /// Everything.
        pub struct Outer {
            /// Seed.
            pub seed: u64;
            /// Shares.
            pub shares: Vec<f64> = vec![0.5, 0.25], in TRUE_SHARE;
            /// The training.
            pub inner: Inner;
            /// Names.
            pub names: Vec<String>, flag "--name <NAME>...";
            /// Mirrored.
            pub flip: bool = false, flag "--flip";
        }
    }

    #[test]
    fn one_declaration_says_all() {
        let declared = Outer::declared();
        let keys: Vec<&str> = declared.iter().map(|s| s.key.as_str()).collect();
        let expected = [
            "seed",
            "shares",
            "inner.rate",
            "inner.images",
            "names",
            "flip",
        ];
        assert_eq!(keys, expected);
        let rate = Setting {
            key: "inner.rate".to_string(),
            kind: Kind::Number,
            text: "Peak rate".to_string(),
            reason: "A fifth of the other".to_string(),
            default: "0.02".to_string(),
            range: Some(RATE),
            flag: Some("--rate <RATE>"),
            heading: Some("Training"),
            ..Setting::default()
        };
        assert_eq!(declared[2], rate);
        assert_eq!(
            (declared[3].unset, declared[3].heading),
            (Some("all"), Some("Training"))
        );
        assert_eq!(declared[4].heading, None);
        assert_eq!(declared[1].plain_default(), "[0.5, 0.25]");
    }

    #[test]
    fn a_config_names_only_what_differs() {
        let config: Outer = serde_json::from_str(r#"{"inner": {"rate": 0.1}}"#).unwrap();
        assert_eq!((config.inner.rate, config.shares.len()), (0.1, 2));
        assert!(!serde_json::to_string(&config).unwrap().contains("images"));
        let error = serde_json::from_str::<Outer>(r#"{"inner": {"rat": 0.1}}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `rat`"), "{error}");
    }

    #[test]
    fn the_first_value_out_of_its_range_is_named() {
        let mut config = Outer::default();
        assert_eq!(config.check_ranges(), Ok(()));
        config.inner.images = Some(0);
        config.inner.rate = f32::NAN;
        let error = config.check_ranges().unwrap_err();
        assert_eq!(
            error.to_string(),
            "`inner.rate` is NaN, expected above 0 and finite"
        );
        config.shares.push(1.0);
        assert_eq!(config.check_ranges().unwrap_err().setting, "shares");
        // The largest integer of a config is the largest seed.
        config.seed = u64::MAX;
        assert_eq!(config.check_ranges().unwrap_err().setting, "seed");
    }

    #[test]
    fn words_set_what_they_fit() {
        let mut config = Outer::default();
        let mut set = |key: &str, words: &[&str]| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            config.set(key, &words)
        };
        assert_eq!(set("inner.rate", &["0.5"]), Ok(()));
        assert_eq!(set("inner.images", &["7"]), Ok(()));
        assert_eq!(set("names", &["a", "b"]), Ok(()));
        assert_eq!(set("flip", &[]), Ok(()));
        let error = set("inner.images", &["0"]).unwrap_err();
        assert_eq!(error, "expected a whole number, 1 to 65536");
        assert!(set("inner.rat", &["0.5"]).is_err());
        let expected = Outer {
            inner: Inner {
                rate: 0.5,
                images: Some(7),
            },
            names: vec!["a".to_string(), "b".to_string()],
            flip: true,
            ..Outer::default()
        };
        assert_eq!(config, expected);
    }
}
