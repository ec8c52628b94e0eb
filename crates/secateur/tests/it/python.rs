//! The types of the Python package's settings are made from the declarations.
//!
//! After a setting has changed, `UPDATE_DOCS=1 cargo test --release -p secateur --test it python`
//! writes them anew.

use std::fmt::Write;
use std::path::Path;

use secateur::data::DataConfig;
use secateur::demo::DemoConfig;
use secateur::layered::{LookConfig, arguments, keyword};
use secateur::train::TrainConfig;
use secateur_net::settings::{Kind, Setting, Settings};
use secateur_search::config::PruneConfig;

const FILE: &str = "../../python/secateur/_keywords.pyi";
const HEAD: &str = r#""""Settings that functions take by name; made from their declarations by a test."""

from collections.abc import Sequence
from typing import Literal, TypedDict
"#;
/// Columns of a docstring's line, without its indent.
const COLUMNS: usize = 92;

fn type_of(setting: &Setting) -> String {
    let names: Vec<String> = setting
        .choices
        .iter()
        .map(|(name, _)| format!("{name:?}"))
        .collect();
    let plain = match setting.kind {
        Kind::Text if !names.is_empty() => format!("Literal[{}]", names.join(", ")),
        Kind::Text => "str".to_string(),
        Kind::Whole => "int".to_string(),
        Kind::Number => "float".to_string(),
        Kind::Switch => "bool".to_string(),
        Kind::Numbers => "Sequence[float]".to_string(),
        Kind::Texts => "str | Sequence[str]".to_string(),
        Kind::Sides => "int | str | tuple[int, int]".to_string(),
    };
    match setting.unset {
        Some(_) => format!("{plain} | None"),
        None => plain,
    }
}

/// Text in lines, each behind four spaces.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= COLUMNS {
            write!(line, " {word}").unwrap();
        } else {
            lines.push(word.to_string());
        }
    }
    lines.join("\n    ")
}

fn field(setting: &Setting) -> String {
    let default = match setting.unset.unwrap_or(setting.plain_default()) {
        "" | "[]" => "none",
        default => default,
    };
    let may_be = setting.range.map(|range| format!(" May be {range}."));
    format!(
        "    {}: {}\n    \"\"\"{}.\n\n    {}\n    \"\"\"\n",
        keyword(setting),
        type_of(setting),
        wrapped(&setting.text),
        wrapped(&format!(
            "Default: {default}.{}",
            may_be.unwrap_or_default()
        )),
    )
}

/// A class of the settings of `S` that its `base`, a class with its settings, does not have.
fn class<S: Settings>(name: &str, about: &str, base: Option<(&str, &[Setting])>) -> String {
    let inherited = base.map_or(&[][..], |(_, settings)| settings);
    let is_own = |setting: &Setting| {
        let mut others = inherited.iter();
        others.all(|other| keyword(other) != keyword(setting))
    };
    let fields: String = arguments::<S>()
        .iter()
        .filter(|setting| setting.key != "measure.command" && is_own(setting))
        .map(field)
        .collect();
    let base = base.map_or("TypedDict", |(name, _)| name);
    format!("\nclass {name}({base}, total=False):\n    \"\"\"{about}.\"\"\"\n\n{fields}")
}

#[test]
fn types_of_settings_are_as_declared() {
    let (data, look) = (arguments::<DataConfig>(), arguments::<LookConfig>());
    let of_data = Some(("DataSettings", &data[..]));
    let classes = [
        class::<DataConfig>("DataSettings", "How data are read", None),
        class::<LookConfig>("LookSettings", "What looks at files depend on", of_data),
        class::<PruneConfig>(
            "PruneSettings",
            "Everything that a pruning run depends on",
            Some(("LookSettings", &look)),
        ),
        class::<TrainConfig>("TrainSettings", "How to train", of_data),
        class::<DemoConfig>(
            "DemoSettings",
            "How the network of the demo is trained",
            None,
        ),
    ];
    let expected = format!("{HEAD}{}", classes.concat());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &expected).unwrap();
    }
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        text == expected,
        "the settings in python/secateur/_keywords.pyi are not as declared: run `UPDATE_DOCS=1 \
         cargo test --release -p secateur --test it python`"
    );
}
