//! The labels of a file.

use indexmap::IndexSet;
use parquet::basic::Type;
use parquet::data_type::{ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::RowGroupMetaData;

use super::columns::LabelColumn;
use super::inflate::Pages;
use super::rows::read;
use super::shard::{Shard, damaged};
use crate::data::DataError;
use crate::data::formats::shards::{Named, RawLabels};

impl Shard {
    /// The labels of all rows; none of them if there is no such column.
    ///
    /// # Errors
    /// [`DataError::Damaged`]; [`DataError::Unsupported`] for labels that are none.
    pub(super) fn labels(&self) -> std::result::Result<RawLabels, DataError> {
        let Some(column) = &self.columns.label else {
            let mut labels = RawLabels::new(&self.path, Named::Numbers);
            for _ in 0..self.n_rows() {
                labels.push_missing();
            }
            return Ok(labels);
        };
        let named = match (&column.classes, column.physical) {
            (_, Type::BYTE_ARRAY) => Named::Met(IndexSet::new()),
            (Some(names), _) => Named::Declared(names.clone()),
            (None, _) => Named::Numbers,
        };
        let mut labels = RawLabels::new(&self.path, named);
        let mut wrong = None;
        let mut row = 0;
        let mut push = |value: Option<Value<'_>>| {
            let pushed = match &value {
                None => {
                    labels.push_missing();
                    Ok(())
                }
                Some(Value::Number(number)) => labels.push_number(*number),
                Some(Value::Text(text)) => match std::str::from_utf8(text) {
                    Ok(name) => labels.push_name(name),
                    Err(_) => Err("a label in UTF-8".to_string()),
                },
            };
            if let Err(expected) = pushed {
                let got = value.map(|value| value.to_string()).unwrap_or_default();
                wrong.get_or_insert((expected, format!("{got} in row {row}")));
            }
            row += 1;
        };
        damaged(&self.path, || {
            for group in self.metadata.row_groups() {
                self.read_labels(group, column, &mut push)?;
            }
            Ok(())
        })?;
        match wrong {
            None => Ok(labels),
            Some((expected, got)) => Err(DataError::unsupported(&self.path, expected, got)),
        }
    }

    fn read_labels(
        &self,
        group: &RowGroupMetaData,
        column: &LabelColumn,
        push: &mut dyn FnMut(Option<Value<'_>>),
    ) -> Result<()> {
        let n = usize::try_from(group.num_rows())?;
        let pages = Pages::new(&self.file, group, column.column)?;
        let leaf = group.column(column.column).column_descr_ptr();
        match column.physical {
            Type::INT32 => read::<Int32Type>(pages, leaf, 0, n, |value| {
                push(value.map(|&number| Value::Number(i64::from(number))));
            }),
            Type::INT64 => read::<Int64Type>(pages, leaf, 0, n, |value| {
                push(value.map(|&number| Value::Number(number)));
            }),
            _ => read::<ByteArrayType>(pages, leaf, 0, n, |value| {
                push(value.map(|text| Value::Text(text.data())));
            }),
        }
    }

    fn n_rows(&self) -> usize {
        let rows = self.metadata.row_groups().iter();
        rows.map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
            .sum()
    }
}

enum Value<'a> {
    Number(i64),
    Text(&'a [u8]),
}

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "`{}`", String::from_utf8_lossy(text)),
        }
    }
}
