//! One Parquet file: its columns, pages of images and labels, and reading some of its rows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexSet;
use parquet::basic::Type;
use parquet::column::page::PageReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
    RowGroupMetaData,
};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::Length;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use super::columns::{Columns, LabelColumn};
use super::file::{ParquetFile, Traced};
use super::inflate::{Pages, is_known, plain};
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
    /// Where the page lies, and its bytes with its header.
    start: u64,
    n_bytes: i32,
}

impl PageRows {
    /// Enters where the page ends.
    fn end(&mut self, end: u64) -> Result<()> {
        let n_bytes = end.checked_sub(self.start).map(i32::try_from);
        match n_bytes {
            // Set once: what lies behind, such as another dictionary, is not the page's.
            Some(Ok(n_bytes)) if self.n_bytes == 0 => self.n_bytes = n_bytes,
            Some(Ok(_)) => {}
            _ => return Err(ParquetError::General("a page beyond 2 GiB".into())),
        }
        Ok(())
    }

    fn place(&self) -> PageLocation {
        PageLocation {
            offset: self.start as i64,
            compressed_page_size: self.n_bytes,
            first_row_index: self.first as i64,
        }
    }
}

/// An opened file.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) columns: Columns,
    /// Where the images lie, in the order of the rows.
    pub(super) pages: Vec<PageRows>,
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
            pages: Vec::new(),
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

    /// Finds the pages of the images.
    ///
    /// # Errors
    /// [`DataError::Damaged`].
    pub(super) fn find_pages(&mut self) -> std::result::Result<(), DataError> {
        self.pages = damaged(&self.path, || {
            let mut pages = Vec::new();
            let mut first_in_file = 0;
            for (number, group) in self.metadata.row_groups().iter().enumerate() {
                first_in_file += self.pages_of(number, group, first_in_file, &mut pages)?;
            }
            Ok(pages)
        })?;
        Ok(())
    }

    /// Adds the pages of a row group; returns the number of its rows.
    fn pages_of(
        &self,
        number: usize,
        group: &RowGroupMetaData,
        first_in_file: usize,
        pages: &mut Vec<PageRows>,
    ) -> Result<usize> {
        let n_rows = usize::try_from(group.num_rows())?;
        let chunk = plain(group.column(self.columns.bytes))?;
        let file = Arc::new(Traced {
            file: &self.file,
            last: AtomicU64::new(0),
        });
        let mut reader = SerializedPageReader::new(file.clone(), &chunk, n_rows, None)?;
        let mut first = 0;
        let before = pages.len();
        while let Some(page) = reader.peek_next_page()? {
            let start = file.last.load(Ordering::Relaxed);
            reader.skip_next_page()?;
            // Columns of one value a row have as many levels as rows.
            let n = page.num_levels.filter(|_| !page.is_dict).unwrap_or(0);
            if n > n_rows - first {
                return Err(differs(number, n_rows));
            }
            if let Some(last) = pages[before..].last_mut() {
                last.end(start)?;
            }
            if !page.is_dict {
                pages.push(PageRows {
                    group: number,
                    first,
                    first_in_file: first_in_file + first,
                    n,
                    start,
                    n_bytes: 0,
                });
            }
            first += n;
        }
        let (start, n_bytes) = chunk.byte_range();
        if let Some(last) = pages[before..].last_mut() {
            last.end(start.saturating_add(n_bytes))?;
        }
        match first == n_rows {
            true => Ok(n_rows),
            false => Err(differs(number, n_rows)),
        }
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

    /// The images on one of the pages; `None` where there are none.
    ///
    /// # Errors
    /// What the reader says of a damaged page.
    pub(super) fn images(&self, page: usize) -> Result<Vec<Option<ByteArray>>> {
        let rows = self.pages[page];
        let group = self.metadata.row_group(rows.group);
        // Those before it are needed to find the dictionary, but not read.
        let places = self.pages[..=page].iter();
        let places = places.filter(|page| page.group == rows.group);
        let places: Vec<PageLocation> = places.map(PageRows::place).collect();
        let pages = || {
            let n_rows = rows.first + rows.n;
            Pages::at(&self.file, group, self.columns.bytes, n_rows, places)
        };
        guarded(|| collected(pages()?, group, self.columns.bytes, &rows))
    }

    /// The paths of the images on one of the pages.
    ///
    /// # Errors
    /// As [`Self::images`].
    pub(super) fn paths(&self, column: usize, page: usize) -> Result<Vec<Option<ByteArray>>> {
        let rows = self.pages[page];
        let group = self.metadata.row_group(rows.group);
        guarded(|| collected(Pages::new(&self.file, group, column)?, group, column, &rows))
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

/// Rows of a column of bytes.
fn collected(
    pages: Pages,
    group: &RowGroupMetaData,
    column: usize,
    rows: &PageRows,
) -> Result<Vec<Option<ByteArray>>> {
    let leaf = group.column(column).column_descr_ptr();
    let mut found = Vec::with_capacity(rows.n);
    read::<ByteArrayType>(pages, leaf, rows.first, rows.n, |value| {
        found.push(value.cloned());
    })?;
    Ok(found)
}

/// Calls `each` with each of `n` rows from `first` on, in order.
fn read<T: DataType>(
    pages: Pages,
    leaf: ColumnDescPtr,
    first: usize,
    n: usize,
    mut each: impl FnMut(Option<&T::T>),
) -> Result<()> {
    let whole = leaf.max_def_level();
    let mut reader = ColumnReaderImpl::<T>::new(leaf, Box::new(pages));
    let broken = || ParquetError::EOF("a column with fewer values than rows".into());
    if reader.skip_records(first)? != first {
        return Err(broken());
    }
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut left = n;
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
            if first
                .min(chunk.data_page_offset())
                .min(chunk.compressed_size())
                < 0
            {
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
