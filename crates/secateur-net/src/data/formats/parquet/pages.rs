//! Where the images of a file lie, page by page, and reading those of one page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::column::page::PageReader;
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;

use super::file::Traced;
use super::inflate::{Pages, plain};
use super::rows::{guarded, read};
use super::shard::{Shard, damaged};
use crate::data::DataError;

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

impl Shard {
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

fn differs(group: usize, n_rows: usize) -> ParquetError {
    let text = format!("row group {group} has {n_rows} rows, its pages of images have others");
    ParquetError::General(text)
}
