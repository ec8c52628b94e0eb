//! Flags of settings, made from their declarations.

use std::marker::PhantomData;

use crate::layered::{Given, over};
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use secateur_net::settings::{Range, Setting, SettingValue, Settings};

/// The flags of a section of settings, as given.
#[derive(Debug, Clone)]
pub struct Flags<S> {
    /// Settings by their place in the section, and the words behind the flag of each.
    given: Vec<Given>,
    section: PhantomData<S>,
}

impl<S: Settings> Flags<S> {
    /// Lays what was given over a section.
    pub fn over(&self, section: S) -> S {
        over(section, &self.given).expect("the words were parsed with the arguments")
    }

    /// What was given.
    pub fn given(&self) -> &[Given] {
        &self.given
    }

    /// Was this setting given?
    pub fn has(&self, key: &str) -> bool {
        self.given.iter().any(|(given, _)| given == key)
    }
}

impl<S: Settings> Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        let mut flags: Vec<(&str, Vec<Setting>)> = Vec::new();
        for setting in S::declared() {
            let Some(flag) = setting.flag else { continue };
            match flags.iter_mut().find(|(other, _)| *other == flag) {
                Some((_, settings)) => settings.push(setting),
                None => flags.push((flag, vec![setting])),
            }
        }
        command.args(
            flags
                .iter()
                .map(|(flag, settings)| arg::<S>(flag, settings)),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Settings> FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for setting in S::declared() {
            let Some((name, value)) = setting.flag.map(parts) else {
                continue;
            };
            if matches.value_source(name) != Some(ValueSource::CommandLine) {
                continue;
            }
            let words = match value {
                Some(_) => matches.get_many::<String>(name).unwrap_or_default(),
                None => Default::default(),
            };
            given.push((setting.key, words.cloned().collect()));
        }
        Ok(Self {
            given,
            section: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `--lr <LR>` as its name and the name of its value.
fn parts(flag: &'static str) -> (&'static str, Option<&'static str>) {
    let (name, value) = match flag.split_once(" <") {
        Some((name, value)) => (
            name,
            Some(value.trim_end_matches("...").trim_end_matches(['>', '*'])),
        ),
        None => (flag, None),
    };
    (name.trim_start_matches("--"), value)
}

/// The flag of these settings.
fn arg<S: Settings>(flag: &'static str, settings: &[Setting]) -> Arg {
    let (name, value) = parts(flag);
    let first = &settings[0];
    let arg = Arg::new(name)
        .long(name)
        .help(help(settings))
        .help_heading(first.heading);
    let Some(value) = value else {
        return arg.action(ArgAction::SetTrue);
    };
    let arg = arg.value_name(value);
    if flag.ends_with("...") {
        return arg.num_args(1..).action(ArgAction::Append);
    }
    let arg = match flag.ends_with('*') {
        true => arg.action(ArgAction::Append),
        false => arg,
    };
    if first.choices.is_empty() {
        let key = first.key.clone();
        return arg.value_parser(move |text: &str| {
            let words = [text.to_string()];
            S::default().set(&key, &words).map(|()| text.to_string())
        });
    }
    let choices = first.choices.iter();
    arg.value_parser(PossibleValuesParser::new(choices.map(|(name, text)| {
        PossibleValue::new(*name).help(text.replace('`', ""))
    })))
}

/// What each of the settings is, with its default.
fn help(settings: &[Setting]) -> String {
    let texts = settings.iter().map(|setting| {
        let text = setting.text.replace('`', "");
        match setting.unset.unwrap_or(setting.plain_default()) {
            "" | "[]" | "false" => text,
            default => format!("{text} [default: {default}]"),
        }
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// A parser of numbers of a range, for arguments that are no settings.
pub fn within<T: SettingValue>(range: Range) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| T::from_words(&[text.to_string()], Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secateur_search::config::PruneConfig;

    fn parse(words: &[&str]) -> Result<PruneConfig, clap::Error> {
        let command = Flags::<PruneConfig>::augment_args(Command::new("prune"));
        let matches = command.try_get_matches_from([&["prune"], words].concat())?;
        let flags = Flags::<PruneConfig>::from_arg_matches(&matches)?;
        Ok(flags.over(PruneConfig::default()))
    }

    #[test]
    fn what_is_given_goes_over_the_settings() {
        assert_eq!(parse(&[]).unwrap(), PruneConfig::default());
        let config = parse(&[
            "--seed=3",
            "--max-shift",
            "2",
            "--flip",
            "--ignore",
            "conv1",
            "fc*",
            "--ignore=conv2",
            "--colour=bgr",
        ])
        .unwrap();
        let mut expected = PruneConfig {
            seed: 3,
            ..PruneConfig::default()
        };
        expected.training.recover_max_shift = Some(2);
        expected.training.flip = Some(true);
        expected.search.ignore = ["conv1", "fc*", "conv2"].map(String::from).to_vec();
        expected.data.colour = Some(crate::data::Colour::Bgr);
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for (words, expected) in [
            (["--round-to", "0"], "expected a whole number, 1 to 65536"),
            (["--max-zoom", "0.95"], "expected 0 to 0.9"),
            (["--colour", "cmyk"], "[possible values: rgb, bgr]"),
            (["--resize", "crop:2"], "expected `crop`, `crop:SHARE`"),
        ] {
            let error = parse(&words).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn every_flag_says_what_it_does() {
        for setting in PruneConfig::declared() {
            let Some(flag) = setting.flag else { continue };
            assert!(flag.starts_with("--"), "{flag}");
            assert!(!help(&[setting]).is_empty(), "{flag}");
        }
    }
}
