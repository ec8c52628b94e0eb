//! Pages of a column, inflated within bounds.
//!
//! The reader of the crate believes what headers say of sizes and counts, and takes memory for it
//! at once. So it is told that pages are not compressed, and each is inflated here: no further
//! than a page of images can, and checked before its values are read.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{CompressionCodec, Encoding};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::serialized_reader::SerializedPageReader;

use super::file::ParquetFile;

/// Times that a page may grow. Images are compressed by themselves: copies of one image shrink
/// further, but no set consists of them.
const MAX_GROWTH: usize = 100;
/// Bytes that a page may have however small it was.
const SMALL: usize = 64 << 20;
/// What the format allows.
const MAX_PAGE: usize = i32::MAX as usize;

/// The pages of a column of a row group.
pub(super) struct Pages {
    pages: SerializedPageReader<ParquetFile>,
    codec: CompressionCodec,
    n_rows: usize,
}

impl Pages {
    /// All pages, one behind the other.
    pub(super) fn new(
        file: &Arc<ParquetFile>,
        group: &RowGroupMetaData,
        column: usize,
    ) -> Result<Self> {
        let n_rows = usize::try_from(group.num_rows())?;
        Self::with(file, group, column, n_rows, None)
    }

    /// Some pages of the first `n_rows` rows, from where they lie.
    pub(super) fn at(
        file: &Arc<ParquetFile>,
        group: &RowGroupMetaData,
        column: usize,
        n_rows: usize,
        places: Vec<PageLocation>,
    ) -> Result<Self> {
        Self::with(file, group, column, n_rows, Some(places))
    }

    fn with(
        file: &Arc<ParquetFile>,
        group: &RowGroupMetaData,
        column: usize,
        n_rows: usize,
        places: Option<Vec<PageLocation>>,
    ) -> Result<Self> {
        let chunk = plain(group.column(column))?;
        Ok(Self {
            pages: SerializedPageReader::new(file.clone(), &chunk, n_rows, places)?,
            codec: group.column(column).compression_codec(),
            n_rows,
        })
    }

    fn inflated(&self, page: Page) -> Result<Page> {
        let mut page = page;
        match &mut page {
            Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => {
                *buf = inflate(self.codec, buf)?;
            }
            Page::DataPageV2 {
                buf,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed: true,
                ..
            } => {
                // Levels lie before the values and are not compressed.
                let levels = *def_levels_byte_len as usize + *rep_levels_byte_len as usize;
                if levels > buf.len() {
                    return Err(refused("levels that reach beyond their page".into()));
                }
                let values = inflate(self.codec, &buf.slice(levels..))?;
                *buf = [&buf[..levels], &values[..]].concat().into();
            }
            Page::DataPageV2 { .. } => {}
        }
        self.check(&page)?;
        Ok(page)
    }

    /// Counts decide how much memory is taken before a value is read.
    fn check(&self, page: &Page) -> Result<()> {
        let n_values = page.num_values() as usize;
        let most = match page {
            // Every value has its bytes, four at least where there is a length before it.
            Page::DictionaryPage { buf, .. } => buf.len(),
            _ => self.n_rows,
        };
        if n_values > most {
            return Err(refused(format!(
                "a page of {n_values} values where {most} are possible"
            )));
        }
        // Values of this one are the first bytes of those before: few bytes become any number.
        match page.encoding() {
            Encoding::DELTA_BYTE_ARRAY => Err(refused(
                "the encoding DELTA_BYTE_ARRAY, which is not read".into(),
            )),
            _ => Ok(()),
        }
    }
}

fn refused(reason: String) -> ParquetError {
    ParquetError::General(reason)
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        page.map(|page| self.inflated(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        page.map(|page| self.inflated(page)).transpose()
    }
}

/// A column as if it were not compressed.
pub(super) fn plain(chunk: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData> {
    let plain = chunk.clone().into_builder();
    plain
        .set_compression_codec(CompressionCodec::UNCOMPRESSED)
        .build()
}

/// True for a compression that [`inflate`] knows.
pub(super) fn is_known(codec: CompressionCodec) -> bool {
    matches!(
        codec,
        CompressionCodec::UNCOMPRESSED
            | CompressionCodec::SNAPPY
            | CompressionCodec::GZIP
            | CompressionCodec::ZSTD
    )
}

fn inflate(codec: CompressionCodec, page: &Bytes) -> Result<Bytes> {
    let most = page.len().saturating_mul(MAX_GROWTH).clamp(SMALL, MAX_PAGE);
    let too_large = || {
        let n = page.len();
        refused(format!(
            "a page that grows from {n} bytes to more than {most}"
        ))
    };
    // A page without values may have no bytes at all.
    if page.is_empty() {
        return Ok(page.clone());
    }
    let failed = |error: &dyn std::error::Error| refused(format!("{codec:?}: {error}"));
    let mut bytes = Vec::new();
    match codec {
        CompressionCodec::UNCOMPRESSED => return Ok(page.clone()),
        CompressionCodec::SNAPPY => {
            let n = snap::raw::decompress_len(page).map_err(|error| failed(&error))?;
            if n > most {
                return Err(too_large());
            }
            let decoded = snap::raw::Decoder::new().decompress_vec(page);
            bytes = decoded.map_err(|error| failed(&error))?;
        }
        CompressionCodec::GZIP => {
            let gzip = flate2::read::MultiGzDecoder::new(&page[..]);
            gzip.take(most as u64 + 1).read_to_end(&mut bytes)?;
        }
        CompressionCodec::ZSTD => {
            let zstd = ruzstd::decoding::StreamingDecoder::new(&page[..]);
            let zstd = zstd.map_err(|error| failed(&error))?;
            zstd.take(most as u64 + 1).read_to_end(&mut bytes)?;
        }
        _ => return Err(refused(format!("compression {codec:?}, which is not read"))),
    }
    match bytes.len() <= most {
        true => Ok(bytes.into()),
        false => Err(too_large()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn pages_come_back_and_bombs_do_not() {
        let gzip = |bytes: &[u8]| {
            let level = flate2::Compression::best();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        };
        let snappy = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
        let zstd = |bytes: &[u8]| {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            ruzstd::encoding::compress_to_vec(bytes, level)
        };
        let text = b"a page, a page, a page";
        let bomb = vec![0; SMALL + 1];
        let check = |codec, text_page: Vec<u8>, bomb_page: Vec<u8>| {
            assert_eq!(inflate(codec, &text_page.into()).unwrap()[..], text[..]);
            let error = inflate(codec, &bomb_page.into()).unwrap_err().to_string();
            assert!(error.contains("grows from"), "{codec:?}: {error}");
        };
        check(CompressionCodec::GZIP, gzip(text), gzip(&bomb));
        check(CompressionCodec::ZSTD, zstd(text), zstd(&bomb));
        // Snappy says how long its text is; this one lies.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x07, 0].to_vec();
        check(CompressionCodec::SNAPPY, snappy(text), lie);
    }
}
