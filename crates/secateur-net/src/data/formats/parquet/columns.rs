//! Which columns hold images and labels.

use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::FileMetaData;
use parquet::schema::types::ColumnDescriptor;
use serde_json::Value;

use crate::data::formats::names::shortened;

/// Names of columns, the first that is there first.
const IMAGES: [&str; 6] = ["image", "img", "images", "picture", "x", "jpg"];
const LABELS: [&str; 8] = [
    "label",
    "labels",
    "fine_label",
    "class",
    "target",
    "targets",
    "y",
    "cls",
];

/// Columns by their place among the leaves of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// Of the bytes of images.
    pub(super) bytes: usize,
    /// Of paths of images, where bytes may lie in files beside.
    pub(super) path: Option<usize>,
    pub(super) label: Option<LabelColumn>,
    /// For people: `image`, and the name of the labels' column.
    pub(super) names: (String, Option<String>),
}

/// A column of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelColumn {
    pub(super) column: usize,
    pub(super) physical: Type,
    /// Names of the classes by their numbers, where the file has them.
    pub(super) classes: Option<Vec<String>>,
}

impl Columns {
    /// All that are used.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> {
        let label = self.label.as_ref().map(|label| label.column);
        [Some(self.bytes), self.path, label].into_iter().flatten()
    }

    /// Of a file, by the types and names of its columns and what `datasets` says of them.
    /// `Ok(None)` if there are no images.
    ///
    /// # Errors
    /// Which columns it may be.
    pub(super) fn find(file: &FileMetaData) -> Result<Option<Self>, String> {
        let features = Features::of(file);
        let leaves = file.schema_descr().columns();
        let leaves: Vec<(usize, &ColumnDescriptor)> = leaves
            .iter()
            .map(|leaf| &**leaf)
            .enumerate()
            .filter(|(_, leaf)| leaf.max_rep_level() == 0)
            .collect();
        let candidates: Vec<(String, usize)> = leaves
            .iter()
            .filter(|(_, leaf)| is_image(leaf))
            .map(|&(place, leaf)| (leaf.path().parts()[0].clone(), place))
            .collect();
        if candidates.is_empty() {
            return Ok(None);
        }
        let images = |name: &str| features.is(name, "Image");
        let Some((name, bytes)) = choose(&candidates, &IMAGES, images) else {
            return Err(format!(
                "one column of images, or `image`; got {}",
                listed(&candidates)
            ));
        };
        let path = leaves.iter().find(|(_, leaf)| {
            let parts = leaf.path().parts();
            parts.len() == 2 && parts[0] == name && parts[1] == "path" && is_bytes(leaf)
        });
        let labels: Vec<(String, usize)> = leaves
            .iter()
            .filter(|&&(place, leaf)| place != bytes && is_label(leaf))
            .map(|&(place, leaf)| (leaf.name().to_string(), place))
            .filter(|(label, _)| {
                LABELS.contains(&label.to_lowercase().as_str()) || features.is(label, "ClassLabel")
            })
            .collect();
        let label = choose(&labels, &LABELS, |name| features.is(name, "ClassLabel"));
        Ok(Some(Self {
            bytes,
            path: path.map(|(place, _)| *place),
            label: label.as_ref().map(|(name, column)| LabelColumn {
                column: *column,
                physical: file.schema_descr().column(*column).physical_type(),
                classes: features.classes(name),
            }),
            names: (name, label.map(|(name, _)| name)),
        }))
    }
}

/// The first by name, else the only one that `is_declared`, else the only one.
fn choose(
    candidates: &[(String, usize)],
    names: &[&str],
    is_declared: impl Fn(&str) -> bool,
) -> Option<(String, usize)> {
    let by_name = |word: &&str| {
        let mut found = candidates.iter();
        found.find(|(name, _)| name.eq_ignore_ascii_case(word))
    };
    let declared = || {
        let mut found = candidates.iter().filter(|(name, _)| is_declared(name));
        found.next().filter(|_| found.next().is_none())
    };
    let only = || candidates.first().filter(|_| candidates.len() == 1);
    let found = names.iter().find_map(by_name);
    found.or_else(declared).or_else(only).cloned()
}

fn listed(candidates: &[(String, usize)]) -> String {
    let names: Vec<String> = candidates.iter().map(|(name, _)| name.clone()).collect();
    shortened(&names)
}

fn is_bytes(leaf: &ColumnDescriptor) -> bool {
    leaf.physical_type() == Type::BYTE_ARRAY
}

fn is_text(leaf: &ColumnDescriptor) -> bool {
    let is_string = matches!(leaf.logical_type_ref(), Some(LogicalType::String));
    is_bytes(leaf) && (is_string || leaf.converted_type() == ConvertedType::UTF8)
}

/// `image.bytes`, or `image` of bytes that are no text.
fn is_image(leaf: &ColumnDescriptor) -> bool {
    let parts = leaf.path().parts();
    match parts.len() {
        1 => is_bytes(leaf) && !is_text(leaf),
        2 => is_bytes(leaf) && parts[1] == "bytes",
        _ => false,
    }
}

fn is_label(leaf: &ColumnDescriptor) -> bool {
    let is_number = matches!(leaf.physical_type(), Type::INT32 | Type::INT64);
    leaf.path().parts().len() == 1 && (is_number || is_text(leaf))
}

/// What `datasets` writes beside the schema.
struct Features(Value);

impl Features {
    fn of(file: &FileMetaData) -> Self {
        let entries = file.key_value_metadata().map_or(&[][..], |entries| entries);
        let text = entries
            .iter()
            .find(|entry| entry.key == "huggingface")
            .and_then(|entry| entry.value.as_deref());
        let parsed: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
        Self(parsed.map_or(Value::Null, |value| value["info"]["features"].clone()))
    }

    fn is(&self, column: &str, kind: &str) -> bool {
        self.0[column]["_type"] == kind
    }

    fn classes(&self, column: &str) -> Option<Vec<String>> {
        let names = self.0[column]["names"].as_array()?.iter();
        names.map(|name| Some(name.as_str()?.to_string())).collect()
    }
}
