//! One Parquet file, its footer and columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::reader::Length;

use super::columns::Columns;
use super::file::ParquetFile;
use super::inflate::is_known;
use super::pages::PageRows;
use super::rows::guarded;
use crate::data::DataError;

/// Bytes of a file that each row has at least; more rows are a lie that would cost memory.
const ROW: u64 = 8;
/// Rows that a small file may have all the same.
const FEW: u64 = 1024;
/// What a file should be.
const WHOLE: &str = "a whole Parquet file";

/// An opened file.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    pub(super) columns: Columns,
    /// Where the images lie, in the order of the rows.
    pub(super) pages: Vec<PageRows>,
    pub(super) file: Arc<ParquetFile>,
    pub(super) metadata: Box<ParquetMetaData>,
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

/// What `read` finds wrong is the file's damage.
pub(super) fn damaged<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T>,
) -> std::result::Result<T, DataError> {
    guarded(read).map_err(|error| DataError::damaged(path, WHOLE, error))
}
