//! The images of a part, by number, from pages that are kept while there is room.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::ByteArray;

use super::recent::Recent;
use super::shard::Shard;
use crate::data::Cause;
use crate::data::formats::encoded::Encoded;
use crate::data::formats::names::within;
use crate::data::formats::shards::Role;

/// What a row holds.
pub(super) enum Row {
    Bytes(ByteArray),
    /// A file beside the shard.
    Path(ByteArray),
    Nothing,
}

/// Rows of a page, or why it cannot be read.
pub(super) type PageCache = Recent<(Role, usize), Result<Vec<Row>, String>>;

/// A page of one of the shards.
struct Placed {
    shard: usize,
    /// Its number there.
    page: usize,
    /// Number of its first image in the part.
    start: usize,
}

/// The rows of a part's files, one file after the other.
pub(super) struct ParquetImages {
    role: Role,
    shards: Vec<Arc<Shard>>,
    pages: Vec<Placed>,
    n: usize,
    recent: Arc<PageCache>,
}

impl ParquetImages {
    /// A part without images.
    pub(super) fn new(role: Role, recent: Arc<PageCache>) -> Self {
        Self {
            role,
            shards: Vec::new(),
            pages: Vec::new(),
            n: 0,
            recent,
        }
    }

    /// Adds the images of a shard.
    pub(super) fn extend(&mut self, shard: Arc<Shard>) {
        for (page, rows) in shard.pages.iter().enumerate() {
            self.pages.push(Placed {
                shard: self.shards.len(),
                page,
                start: self.n,
            });
            self.n += rows.n;
        }
        self.shards.push(shard);
    }

    /// Number of the page of an image, and the image's in it.
    fn find(&self, index: usize) -> (usize, usize) {
        let page = self.pages.partition_point(|page| page.start <= index) - 1;
        (page, index - self.pages[page].start)
    }

    fn read(&self, placed: &Placed) -> Result<Vec<Row>, String> {
        let shard = &self.shards[placed.shard];
        let told = |error| format!("its page cannot be read: {error}");
        let images = shard.images(placed.page).map_err(told)?;
        let mut paths = match shard.columns.path {
            Some(path) if images.iter().any(Option::is_none) => {
                shard.paths(path, placed.page).map_err(told)?
            }
            _ => Vec::new(),
        };
        paths.resize(images.len(), None);
        let rows = images.into_iter().zip(paths);
        let row = |(bytes, path)| match (bytes, path) {
            (Some(bytes), _) => Row::Bytes(bytes),
            (None, Some(path)) => Row::Path(path),
            (None, None) => Row::Nothing,
        };
        Ok(rows.map(row).collect())
    }
}

impl Encoded for ParquetImages {
    fn len(&self) -> usize {
        self.n
    }

    fn bytes(&self, index: usize) -> Result<Bytes, Cause> {
        let (page, row) = self.find(index);
        let placed = &self.pages[page];
        let rows = self
            .recent
            .get((self.role, page), || self.read(placed), size);
        let rows = rows.as_ref().as_ref();
        match &rows.map_err(|error| Cause::from(error.as_str()))?[row] {
            Row::Bytes(bytes) => Ok(Bytes::from_owner(bytes.clone())),
            Row::Path(path) => beside(&self.shards[placed.shard].path, path.data()),
            Row::Nothing => Err("the row has no image".into()),
        }
    }

    fn place(&self, index: usize) -> PathBuf {
        let (page, row) = self.find(index);
        let placed = &self.pages[page];
        let shard = &self.shards[placed.shard];
        let row = shard.pages[placed.page].first_in_file + row;
        within(&shard.path, &format!("row {row}"))
    }
}

/// Bytes that rows take.
fn size(rows: &Result<Vec<Row>, String>) -> usize {
    let size = |row: &Row| match row {
        Row::Bytes(bytes) | Row::Path(bytes) => bytes.len(),
        Row::Nothing => 0,
    };
    rows.as_ref().map_or(0, |rows| {
        rows.iter().map(size).sum::<usize>() + size_of_val(&rows[..])
    })
}

/// A file in the shard's folder or below it, and nowhere else.
fn beside(shard: &Path, path: &[u8]) -> Result<Bytes, Cause> {
    let path = Path::new(std::str::from_utf8(path)?);
    let stays = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if !path.components().all(stays) {
        return Err(format!("its path `{}` leads out of the folder", path.display()).into());
    }
    let file = shard.parent().unwrap_or(Path::new(".")).join(path);
    match file.is_file() {
        true => Ok(std::fs::read(file)?.into()),
        false => Err(format!("its bytes are missing, and no file `{}`", path.display()).into()),
    }
}
