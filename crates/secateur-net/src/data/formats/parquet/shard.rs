//! One Parquet file: its columns, pages of images and labels, and reading some of its rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexSet;
use parquet::basic::Type;
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
    RowGroupMetaData,
};
use parquet::file::reader::Length;

use super::columns::{Columns, LabelColumn};
use super::file::ParquetFile;
use super::inflate::{Pages, is_known};
use crate::data::DataError;
use crate::data::formats::shards::{Named, RawLabels};

/// Bytes of a file that each row has at least; more rows are a lie that would cost memory.
const ROW: u64 = 8;
/// Rows that a small file may have all the same.
const FEW: u64 = 1024;
/// Values that are read at once.
const AT_ONCE: usize = 1024;

/// Rows whose images lie in one page.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageRows {
    pub(super) group: usize,
    /// The first, counted in the row group.
    pub(super) first: usize,
    /// The first, counted in the file.
    pub(super) first_in_file: usize,
    pub(super) n: usize,
}

/// An opened file.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) columns: Columns,
    file: Arc<ParquetFile>,
    metadata: Box<ParquetMetaData>,
}

impl Shard {
    /// Reads the footer; `None` if no column holds images.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Damaged`], [`DataError::Unsupported`].
    pub(super) fn open(path: &Path) -> std::result::Result<Option<Self>, DataError> {
        let file = ParquetFile::new(path).map_err(|error| DataError::io(path, error))?;
        let metadata = damaged(path, || footer(&file))?;
        let columns = guarded(|| Ok(Columns::find(metadata.file_metadata())))
            .map_err(|error| DataError::damaged(path, WHOLE, error))?;
        let columns = columns.map_err(|reason| {
            let (expected, got) = reason.split_once("; got ").unwrap_or((&reason, "others"));
            DataError::unsupported(path, expected, got)
        })?;
        let Some(columns) = columns else {
            return Ok(None);
        };
        let shard = Self {
            path: path.to_path_buf(),
            columns,
            file: Arc::new(file),
            metadata: Box::new(metadata),
        };
        shard.check_codecs()?;
        Ok(Some(shard))
    }

    fn check_codecs(&self) -> std::result::Result<(), DataError> {
        for group in self.metadata.row_groups() {
            for column in self.columns.used() {
                let codec = group.column(column).compression_codec();
                if !is_known(codec) {
                    return Err(DataError::unsupported(
                        &self.path,
                        "columns that are not compressed, or by snappy, gzip or zstd",
                        format!("{codec:?}"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Where the images lie, in the order of the rows.
    ///
    /// # Errors
    /// [`DataError::Damaged`].
    pub(super) fn pages(&self) -> std::result::Result<Vec<PageRows>, DataError> {
        damaged(&self.path, || {
            let mut pages = Vec::new();
            let mut first_in_file = 0;
            for (number, group) in self.metadata.row_groups().iter().enumerate() {
                let n_rows = usize::try_from(group.num_rows())?;
                let mut first = 0;
                let mut reader = Pages::new(&self.file, group, self.columns.bytes)?;
                while let Some(page) = reader.peek_next_page()? {
                    reader.skip_next_page()?;
                    // Columns of one value a row have as many levels as rows.
                    let n = page.num_levels.filter(|_| !page.is_dict).unwrap_or(0);
                    if n > n_rows - first {
                        return Err(differs(number, n_rows));
                    }
                    if n > 0 {
                        pages.push(PageRows {
                            group: number,
                            first,
                            first_in_file: first_in_file + first,
                            n,
                        });
                    }
                    first += n;
                }
                if first != n_rows {
                    return Err(differs(number, n_rows));
                }
                first_in_file += n_rows;
            }
            Ok(pages)
        })
    }

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
        let rows = Rows {
            file: &self.file,
            group,
            column: column.column,
            first: 0,
            n,
        };
        match column.physical {
            Type::INT32 => rows.read::<Int32Type>(|value| {
                push(value.map(|&number| Value::Number(i64::from(number))));
            }),
            Type::INT64 => rows.read::<Int64Type>(|value| {
                push(value.map(|&number| Value::Number(number)));
            }),
            _ => rows.read::<ByteArrayType>(|value| {
                push(value.map(|text| Value::Text(text.data())));
            }),
        }
    }

    /// Some rows of a column of bytes; `None` where there are none.
    ///
    /// # Errors
    /// What the reader says of a damaged page.
    pub(super) fn bytes(&self, column: usize, rows: &PageRows) -> Result<Vec<Option<Bytes>>> {
        guarded(|| {
            let rows = Rows {
                file: &self.file,
                group: self.metadata.row_group(rows.group),
                column,
                first: rows.first,
                n: rows.n,
            };
            let mut found = Vec::with_capacity(rows.n);
            rows.read::<ByteArrayType>(|value| {
                found.push(value.map(|value| Bytes::from_owner(value.clone())));
            })?;
            Ok(found)
        })
    }

    fn n_rows(&self) -> usize {
        let rows = self.metadata.row_groups().iter();
        rows.map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
            .sum()
    }
}

const WHOLE: &str = "a whole Parquet file";

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

/// Rows of a column.
struct Rows<'a> {
    file: &'a Arc<ParquetFile>,
    group: &'a RowGroupMetaData,
    column: usize,
    first: usize,
    n: usize,
}

impl Rows<'_> {
    /// Calls `each` with each of them, in order.
    fn read<T: DataType>(&self, mut each: impl FnMut(Option<&T::T>)) -> Result<()> {
        let leaf = self.group.column(self.column).column_descr_ptr();
        let pages = Pages::new(self.file, self.group, self.column)?;
        let whole = leaf.max_def_level();
        let mut reader = ColumnReaderImpl::<T>::new(leaf, Box::new(pages));
        let broken = || ParquetError::EOF("a column with fewer values than rows".into());
        if reader.skip_records(self.first)? != self.first {
            return Err(broken());
        }
        let (mut levels, mut values) = (Vec::new(), Vec::new());
        let mut left = self.n;
        while left > 0 {
            levels.clear();
            values.clear();
            let wanted = left.min(AT_ONCE);
            let (n, _, _) = reader.read_records(wanted, Some(&mut levels), None, &mut values)?;
            if n == 0 {
                return Err(broken());
            }
            let mut values = values.iter();
            for row in 0..n {
                let is_there = whole == 0 || levels.get(row) == Some(&whole);
                each(is_there.then(|| values.next()).flatten());
            }
            left -= n;
        }
        Ok(())
    }
}

fn differs(group: usize, n_rows: usize) -> ParquetError {
    let text = format!("row group {group} has {n_rows} rows, its pages of images have others");
    ParquetError::General(text)
}

/// The footer, whose counts are plausible.
fn footer(file: &ParquetFile) -> Result<ParquetMetaData> {
    // Statistics are of no use here, and of images they are large.
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    let reader = ParquetMetaDataReader::new().with_metadata_options(Some(options));
    let metadata = reader.parse_and_finish(file)?;
    let most = (file.len() / ROW).max(FEW);
    let mut n_rows = 0u64;
    for group in metadata.row_groups() {
        n_rows = n_rows.saturating_add(u64::try_from(group.num_rows())?);
        if group.num_columns() != metadata.file_metadata().schema_descr().num_columns() {
            let text = "a row group with other columns than the schema";
            return Err(ParquetError::General(text.into()));
        }
        for chunk in group.columns() {
            let first = chunk.dictionary_page_offset().unwrap_or(0);
            if first.min(chunk.data_page_offset()).min(chunk.compressed_size()) < 0 {
                return Err(ParquetError::General("a column at a negative place".into()));
            }
        }
    }
    match n_rows <= most {
        true => Ok(metadata),
        false => Err(ParquetError::General(format!(
            "{n_rows} rows in {} bytes",
            file.len()
        ))),
    }
}

fn damaged<T>(path: &Path, read: impl FnOnce() -> Result<T>) -> std::result::Result<T, DataError> {
    guarded(read).map_err(|error| DataError::damaged(path, WHOLE, error))
}

/// The reader trusts headers in some places and panics where they lie; nothing of what it held is
/// used afterwards.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let result = catch_unwind(AssertUnwindSafe(read));
    result.unwrap_or_else(|_| Err(ParquetError::General("its headers lie".into())))
}
