//! The declaration of a section of settings.

/// Declares a section of a config: a struct whose fields are settings or sections.
///
/// ```
/// use secateur_net::settings;
/// use secateur_net::settings::{BATCH, RATE, Settings};
///
/// settings! {
///     /// How to train.
///     pub struct Training {
///         /// Images a step.
///         ///
///         /// As in the initial training.
///         pub batch_size: usize = 128, in BATCH, flag "--batch-size <N>";
///         /// Peak learning rate.
///         pub lr: f32 = 0.02, in RATE;
///         /// Images to train on.
///         pub images: Option<usize>, unset "all", in BATCH;
///     }
/// }
///
/// let declared = Training::declared();
/// assert_eq!(declared[0].default, "128");
/// assert_eq!(declared[0].reason, "As in the initial training");
/// assert_eq!(Training::default().lr, 0.02);
/// ```
///
/// The first paragraph of a field's documentation says what it is, the others say why its
/// default is what it is. Behind type and default, in this order and each only where there is
/// such a thing: `unset` says what holds where an `Option` is not set, `in` is the range of its
/// numbers, `flag` how the command line spells it: `...` behind it takes several words, `*` one
/// word each time that the flag is given. Two settings may share a flag. Behind the
/// struct's name, `under` gives the heading of its flags.
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $Section:ident $(, under $heading:literal)? {
            $(
                $(#[doc = $text:literal])+
                pub $name:ident: $type:ty $(= $default:expr)?
                    $(, unset $unset:literal)? $(, in $range:expr)? $(, flag $flag:literal)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Section {
            $(
                $(#[doc = $text])+
                $(#[doc = concat!("\nDefault: `", stringify!($default), "`.")])?
                $(
                    #[doc = concat!("\nNot set: ", $unset, ".")]
                    #[serde(skip_serializing_if = "Option::is_none")]
                )?
                pub $name: $type,
            )+
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $($name: $crate::settings!(@default $type $(, $default)?),)+ }
            }
        }

        impl $crate::settings::Settings for $Section {}

        impl $crate::settings::Part for $Section {
            fn walk(
                &mut self,
                outer: $crate::settings::Setting,
                visit: &mut $crate::settings::Visit<'_>,
            ) {
                $(
                    let outer = $crate::settings::Setting {
                        heading: Some($heading),
                        ..outer
                    };
                )?
                $(
                    #[allow(unused_mut)]
                    let mut setting = outer.inner(stringify!($name), concat!($($text, "\n"),+));
                    $(setting.unset = Some($unset);)?
                    $(setting.range = Some($range);)?
                    $(setting.flag = Some($flag);)?
                    $crate::settings::Part::walk(&mut self.$name, setting, visit);
                )+
            }
        }
    };
    (@default $type:ty) => {
        <$type as Default>::default()
    };
    (@default $type:ty, $default:expr) => {
        $default
    };
}

/// Declares an enum of words, each with the name that configs and the command line use.
///
/// The first paragraph of a word's documentation is its text in the help.
#[macro_export]
macro_rules! choices {
    (
        $(#[doc = $about:literal])+
        pub enum $Choice:ident {
            $($(#[doc = $text:literal])+ $Word:ident = $name:literal,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $Choice {
            $(
                $(#[doc = $text])+
                #[serde(rename = $name)]
                $Word,
            )+
        }

        impl $Choice {
            /// All of them.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$Word),+];

            /// As configs and the command line write it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Word => $name,)+
                }
            }
        }

        impl std::fmt::Display for $Choice {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        impl std::str::FromStr for $Choice {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let mut all = Self::ALL.into_iter();
                all.find(|choice| choice.name() == text).ok_or_else(|| {
                    let names = Self::ALL.map(|choice| format!("`{choice}`"));
                    format!("expected {}, got `{text}`", names.join(" or "))
                })
            }
        }

        $crate::text_setting!($Choice, &[$(($name, concat!($($text, "\n"),+))),+]);
    };
}

/// Makes a type with a text form (`Display`, and `FromStr` whose error says what was expected)
/// the value of a setting.
#[macro_export]
macro_rules! text_setting {
    ($type:ty $(, $choices:expr)?) => {
        impl $crate::settings::SettingValue for $type {
            $(const CHOICES: &'static [(&'static str, &'static str)] = $choices;)?

            fn text(&self) -> String {
                format!("{:?}", self.to_string())
            }

            fn from_words(
                words: &[String],
                _: Option<$crate::settings::Range>,
            ) -> Result<Self, String> {
                words.join(" ").parse()
            }
        }
    };
}
