//! Small Parquet files and tar archives.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// A row of an image set.
#[derive(Clone)]
pub struct Row {
    pub bytes: Option<Vec<u8>>,
    pub path: Option<String>,
    pub label: Option<i64>,
}

/// How rows lie in a file.
pub struct RowsOf<'a> {
    /// Name of the column of images; empty for none.
    pub image: &'a str,
    /// Names of the classes, as `datasets` leaves them.
    pub classes: Option<Vec<String>>,
    /// `class 0` instead of 0.
    pub text_labels: bool,
    pub rows_a_group: usize,
    pub rows_a_page: usize,
    pub dictionary: bool,
}

impl Default for RowsOf<'_> {
    fn default() -> Self {
        Self {
            image: "image",
            classes: None,
            text_labels: false,
            rows_a_group: 1000,
            rows_a_page: 1000,
            dictionary: false,
        }
    }
}

/// A Parquet file of images as `datasets` writes them.
pub fn parquet(rows: &[Row], form: &RowsOf<'_>) -> Vec<u8> {
    let image = match form.image {
        "" => String::new(),
        name => format!(
            "optional group {name} {{ optional binary bytes; optional binary path (UTF8); }}"
        ),
    };
    let label = match form.text_labels {
        true => "optional binary label (UTF8);",
        false => "optional int64 label;",
    };
    let schema = parse_message_type(&format!("message rows {{ {image} {label} }}")).unwrap();
    let classes = form.classes.as_ref().map(|names| {
        let features = serde_json::json!({
            "image": { "_type": "Image" },
            "label": { "names": names, "_type": "ClassLabel" },
        });
        let text = serde_json::json!({ "info": { "features": features } }).to_string();
        vec![KeyValue::new("huggingface".to_string(), text)]
    });
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(form.dictionary)
        .set_data_page_row_count_limit(form.rows_a_page)
        .set_write_batch_size(1)
        .set_key_value_metadata(classes)
        .build();
    let mut bytes = Vec::new();
    let mut file =
        SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::new(properties)).unwrap();
    for rows in rows.chunks(form.rows_a_group) {
        let mut group = file.next_row_group().unwrap();
        if !form.image.is_empty() {
            let bytes = |row: &Row| row.bytes.clone().map(ByteArray::from);
            texts(group.next_column().unwrap().unwrap(), rows, 2, bytes);
            let path = |row: &Row| row.path.as_deref().map(ByteArray::from);
            texts(group.next_column().unwrap().unwrap(), rows, 2, path);
        }
        let mut column = group.next_column().unwrap().unwrap();
        if form.text_labels {
            let label = |row: &Row| Some(format!("class {}", row.label?).as_str().into());
            texts(column, rows, 1, label);
        } else {
            let labels: Vec<i64> = rows.iter().filter_map(|row| row.label).collect();
            let levels: Vec<i16> = rows.iter().map(|row| row.label.is_some().into()).collect();
            let typed = column.typed::<Int64Type>();
            typed.write_batch(&labels, Some(&levels), None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    file.close().unwrap();
    bytes
}

/// Values of which some are missing; those that are there are at definition level `whole`.
fn texts(
    mut column: SerializedColumnWriter<'_>,
    rows: &[Row],
    whole: i16,
    value: impl Fn(&Row) -> Option<ByteArray>,
) {
    let values: Vec<Option<ByteArray>> = rows.iter().map(value).collect();
    let level = |value: &Option<ByteArray>| if value.is_some() { whole } else { whole - 1 };
    let levels: Vec<i16> = values.iter().map(level).collect();
    let values: Vec<ByteArray> = values.into_iter().flatten().collect();
    let typed = column.typed::<ByteArrayType>();
    typed.write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
}

/// A tar archive of plain files.
pub fn tar(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, content) in entries {
        bytes.extend(tar_entry(name, tar::EntryType::Regular, content));
    }
    bytes.extend([0; 1024]);
    bytes
}

/// An entry of any name and kind, which the crate's own builder would refuse.
pub fn tar_entry(name: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
