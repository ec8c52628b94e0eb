//! The tables of settings in `docs/` are made from the declarations.
//!
//! They stand between `<!-- settings: SECTION -->` and `<!-- end -->`. After a setting has
//! changed, `UPDATE_DOCS=1 cargo test --release -p secateur --test it docs::tables` writes them
//! anew.

use std::collections::BTreeSet;
use std::path::PathBuf;

use secateur::train::TrainConfig;
use secateur_net::settings::{Setting, Settings};
use secateur_search::config::PruneConfig;

const FILES: [&str; 4] = ["algorithm.md", "data.md", "latency.md", "measure.md"];
const BEGIN: &str = "<!-- settings: ";
const END: &str = "<!-- end -->";

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// Section and name of a setting.
fn place(setting: &Setting) -> (&str, &str) {
    setting.key.rsplit_once('.').unwrap_or(("", &setting.key))
}

/// The settings of a section of a run's config, or of `train`.
fn section(name: &str) -> Vec<Setting> {
    let (all, name) = match name {
        "train" => (TrainConfig::declared(), ""),
        _ => (PruneConfig::declared(), name),
    };
    let mut settings = all;
    settings.retain(|setting| place(setting).0 == name);
    settings
}

/// Paths such as `docs/experiments/x/summary.md` as links from a file in `docs`.
fn linked(text: &str) -> String {
    let word = |word: &str| {
        let (before, path) = word.split_once("docs/")?;
        let (path, after) = path.split_once(".md")?;
        Some(format!("{before}[figures]({path}.md){after}"))
    };
    let words = text.split(' ').map(|w| word(w).unwrap_or(w.to_string()));
    words.collect::<Vec<_>>().join(" ")
}

fn row(setting: &Setting) -> String {
    let flag = setting.flag.map(|flag| {
        let name = flag.split(' ').next().unwrap();
        format!(", `{name}`")
    });
    let may_be = match setting.range {
        Some(range) => range.to_string(),
        None => {
            let names = setting.choices.iter().map(|(name, _)| format!("`{name}`"));
            names.collect::<Vec<_>>().join(", ")
        }
    };
    let default = setting.unset.unwrap_or(setting.plain_default());
    let cells = [
        format!("`{}`{}", place(setting).1, flag.unwrap_or_default()),
        default.to_string(),
        may_be,
        setting.text.clone(),
        linked(&setting.reason),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn table(settings: &[Setting]) -> String {
    let head = "| setting | default | may be | what it is | why this default |\n\
                |---|---|---|---|---|\n";
    let rows: String = settings.iter().map(row).collect();
    format!("{head}{rows}")
}

/// The text with all its tables made anew, and the sections that it has.
fn with_tables(text: &str) -> (String, Vec<String>) {
    let (mut new, mut sections, mut rest) = (String::new(), Vec::new(), text);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (name, after) = after.split_once(" -->").expect("the marker's end");
        let (_, after) = after.split_once(END).expect("the table's end");
        let settings = section(name);
        assert!(!settings.is_empty(), "there is no section `{name}`");
        new += &format!("{before}{BEGIN}{name} -->\n\n{}\n{END}", table(&settings));
        sections.push(name.to_string());
        rest = after;
    }
    (new + rest, sections)
}

#[test]
fn tables_of_settings_are_as_declared() {
    let mut documented = BTreeSet::new();
    for name in FILES {
        let text = read(name);
        let (new, sections) = with_tables(&text);
        documented.extend(sections);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file(name), &new).unwrap();
        } else {
            assert!(
                new == text,
                "the settings in docs/{name} are not as declared: run `UPDATE_DOCS=1 cargo test \
                 --release -p secateur --test it docs::tables`"
            );
        }
    }
    let declared = PruneConfig::declared();
    let sections = declared.iter().map(|setting| place(setting).0);
    // The promise and the seed are explained in the text.
    for name in sections.filter(|name| !["", "mode"].contains(name)) {
        assert!(documented.contains(name), "`[{name}]` has no table");
    }
}

#[test]
fn every_setting_says_what_it_is_and_why_its_default_is_so() {
    let all = [PruneConfig::declared(), TrainConfig::declared()].concat();
    for setting in all.iter().filter(|s| !s.key.starts_with("mode.")) {
        assert!(!setting.text.is_empty(), "`{}`", setting.key);
        let plain = setting.unset.is_some() || setting.key.ends_with("seed");
        assert!(plain || !setting.reason.is_empty(), "`{}`", setting.key);
    }
}

/// In running text: a name in backticks and its default in brackets behind it.
#[test]
fn the_text_agrees_with_the_defaults() {
    let text = read("algorithm.md");
    let declared = PruneConfig::declared();
    let mut compared = 0;
    for (at, _) in text.match_indices("` (") {
        let name = text[..at].rsplit('`').next().unwrap();
        let given = text[at + 3..].split([')', ',', ' ']).next().unwrap();
        if given.parse::<f64>().is_err() {
            continue;
        }
        let named: Vec<&Setting> = declared.iter().filter(|s| place(s).1 == name).collect();
        if !named.is_empty() {
            assert!(
                named.iter().any(|s| s.plain_default() == given),
                "the text says `{name}` ({given}), the default is {}",
                named[0].plain_default()
            );
            compared += 1;
        }
    }
    assert!(compared >= 6, "only {compared} were found");
}
