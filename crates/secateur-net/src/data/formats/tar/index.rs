//! Which samples an archive holds: names, places of images, labels.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use indexmap::{IndexMap, IndexSet};
use tar::{Archive, Entry};

use crate::data::DataError;
use crate::data::formats::encoded::is_image_ending;
use crate::data::formats::names::within;
use crate::data::formats::shards::{Named, RawLabels};

/// Bytes that an encoded image may have.
const MAX_IMAGE: u64 = 1 << 30;
/// Bytes of an entry with a label that are read.
const MAX_LABEL: u64 = 1 << 20;

/// Where the bytes of an image lie in its archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) size: u64,
}

/// A sample.
#[derive(Debug)]
pub(super) struct Sample {
    /// Of the entry with the image; without one, what the names of its entries share.
    pub(super) name: Box<str>,
    /// Its image, or why there is none.
    pub(super) image: Result<Span, &'static str>,
}

/// What an archive holds.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) samples: Vec<Sample>,
    pub(super) labels: RawLabels,
    /// Entries that are no part of a sample, and one of them.
    pub(super) left_out: (usize, Option<PathBuf>),
}

#[derive(Debug, Clone)]
enum Label {
    Number(i64),
    Name(String),
}

/// A sample while its entries come.
#[derive(Debug, Default)]
struct Gathered {
    image: Option<Sample>,
    /// From `.cls`.
    class: Option<Label>,
    /// From `.json`.
    described: Option<Label>,
    /// Other entries.
    others: usize,
}

/// Lists the samples of an archive, in the order of their first entries.
///
/// # Errors
/// [`DataError::Damaged`] for an archive that is none or breaks off, [`DataError::Format`] for
/// two images in a sample and for labels that are none.
pub(super) fn list(path: &Path) -> Result<Listed, DataError> {
    let io = |error| DataError::io(path, error);
    let damaged = |error| DataError::damaged(path, "a whole tar file", error);
    let file = File::open(path).map_err(io)?;
    let n_bytes = file.metadata().map_err(io)?.len();
    let mut archive = Archive::new(file);
    let mut gathered: IndexMap<String, Gathered> = IndexMap::new();
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let end = entry.raw_file_position().checked_add(entry.size());
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if end.is_none_or(|end| end > n_bytes) {
            let got = format!(
                "`{name}` of {} bytes, which reach beyond the end",
                entry.size()
            );
            return Err(DataError::damaged(path, "a whole tar file", got));
        }
        let Some((key, ending)) = key(&name) else {
            continue;
        };
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let sample = gathered.entry(key.to_string()).or_default();
        sample.enter(path, &name, ending, &mut entry)?;
    }
    finish(path, gathered)
}

/// The name up to the first dot of its last part, and what is behind that; `None` for entries that
/// are never part of a sample: hidden ones, and those that WebDataset keeps for itself.
fn key(name: &str) -> Option<(&str, &str)> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let base = name.rfind('/').map_or(0, |place| place + 1);
    let is_own = |part: &str| part.len() > 4 && part.starts_with("__") && part.ends_with("__");
    if name[base..].starts_with('.') || name.split('/').any(is_own) {
        return None;
    }
    let dot = name[base..].find('.').map(|place| base + place);
    Some(match dot {
        Some(dot) => (&name[..dot], &name[dot + 1..]),
        None => (name, ""),
    })
}

/// Names are never used as paths; one that leads out of the archive is there to harm others.
fn leads_out(name: &str) -> bool {
    name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..")
}

impl Gathered {
    fn enter(
        &mut self,
        path: &Path,
        name: &str,
        ending: &str,
        entry: &mut Entry<'_, File>,
    ) -> Result<(), DataError> {
        let kind = entry.header().entry_type();
        let is_plain = kind.is_file() || kind.is_contiguous();
        let ending = ending.to_ascii_lowercase();
        match ending.as_str() {
            ending if is_image_ending(ending) => {
                if let Some(first) = &self.image {
                    let got = format!("`{}` and `{name}`", first.name);
                    return Err(DataError::format(path, "one image in a sample", got));
                }
                let size = entry.size();
                let image = match () {
                    () if leads_out(name) => Err("its name leads out of the archive"),
                    () if kind.is_symlink() || kind.is_hard_link() => Err("it is a link"),
                    () if !is_plain => Err("it is no plain file"),
                    () if size > MAX_IMAGE => Err("it has more than 1 GiB"),
                    () => Ok(Span {
                        start: entry.raw_file_position(),
                        size,
                    }),
                };
                self.image = Some(Sample {
                    name: name.into(),
                    image,
                });
            }
            "cls" if is_plain => self.class = Some(class(path, name, &text(path, entry)?)?),
            "json" if is_plain => self.described = described(path, name, &text(path, entry)?)?,
            _ => self.others += 1,
        }
        Ok(())
    }
}

fn text(path: &Path, entry: &mut Entry<'_, File>) -> Result<Vec<u8>, DataError> {
    let mut text = Vec::new();
    let read = entry.take(MAX_LABEL).read_to_end(&mut text);
    read.map_err(|error| DataError::damaged(path, "a whole tar file", error))?;
    Ok(text)
}

/// Of a `.cls`: a number in digits.
fn class(path: &Path, name: &str, text: &[u8]) -> Result<Label, DataError> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    text.parse().map(Label::Number).map_err(|_| {
        let shown: String = text.chars().take(20).collect();
        DataError::format(
            &within(path, name),
            "the number of a class",
            format!("`{shown}`"),
        )
    })
}

/// Of a `.json`: its `label` or `cls`, a number or a name; it may have neither.
fn described(path: &Path, name: &str, text: &[u8]) -> Result<Option<Label>, DataError> {
    let value: serde_json::Value = serde_json::from_slice(text).map_err(|error| {
        DataError::format(
            &within(path, name),
            "JSON of less than 1 MiB",
            error.to_string(),
        )
    })?;
    let label = value.get("label").or_else(|| value.get("cls"));
    Ok(label.and_then(|label| match label {
        serde_json::Value::Number(number) => number.as_i64().map(Label::Number),
        serde_json::Value::String(name) => Some(Label::Name(name.clone())),
        _ => None,
    }))
}

fn finish(path: &Path, gathered: IndexMap<String, Gathered>) -> Result<Listed, DataError> {
    let mut listed = Listed {
        samples: Vec::with_capacity(gathered.len()),
        labels: RawLabels::new(path, Named::Met(IndexSet::new())),
        left_out: (0, None),
    };
    for (key, gathered) in gathered {
        let label = gathered.class.or(gathered.described);
        if gathered.image.is_none() && label.is_none() {
            listed.left_out.0 += gathered.others.max(1);
            listed.left_out.1.get_or_insert_with(|| within(path, &key));
            continue;
        }
        let pushed = match &label {
            None => {
                listed.labels.push_missing();
                Ok(())
            }
            Some(Label::Number(number)) => listed.labels.push_number(*number),
            Some(Label::Name(name)) => listed.labels.push_name(name),
        };
        pushed.map_err(|expected| {
            let got = match label {
                Some(Label::Number(number)) => number.to_string(),
                Some(Label::Name(name)) => format!("`{name}`"),
                None => String::new(),
            };
            DataError::unsupported(&within(path, &key), expected, got)
        })?;
        listed
            .samples
            .push(gathered.image.unwrap_or_else(|| Sample {
                name: key.into(),
                image: Err("the sample has no image"),
            }));
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names_up_to_the_first_dot() {
        for (name, expected) in [
            ("0001.jpg", Some(("0001", "jpg"))),
            ("./a.b/0001.seg.png", Some(("a.b/0001", "seg.png"))),
            ("a/b", Some(("a/b", ""))),
            ("a/._0001.jpg", None),
            ("__meta__/0001.jpg", None),
        ] {
            assert_eq!(key(name), expected, "{name}");
        }
    }

    #[test]
    fn names_that_lead_out_are_seen() {
        for name in ["/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "..\\a.jpg"] {
            assert!(leads_out(name), "{name}");
        }
        assert!(!leads_out("a/..b.jpg"));
    }
}
