//! Images in Parquet files, as the Hugging Face Hub keeps them: a column of images, which are
//! bytes or paths of files beside, and one of labels.
//!
//! Pages are found once; each is read whole when one of its images is wanted, and kept while
//! there is room (`recent`). How far what a file says of itself is believed: `inflate`.

mod columns;
mod file;
mod inflate;
mod recent;
mod shard;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::ByteArray;
use rayon::prelude::*;
use recent::Recent;
use shard::Shard;

use super::encoded::Encoded;
use super::folder::ImageFolders;
use super::names::within;
use super::shards::{self, Role, ShardPart, Shards, find};
use crate::data::{Cause, DataConfig, DataError, Format, Parts};

/// `data/train-00000-of-00002.parquet` and so on.
pub(super) struct ParquetFiles;

impl Format for ParquetFiles {
    fn expects(&self) -> &'static str {
        "train-00000-of-00001.parquet (Hugging Face)"
    }

    fn open(&self, path: &Path, config: &DataConfig) -> Result<Option<Parts>, DataError> {
        let Some(shards) = find(path, "parquet")? else {
            return Ok(None);
        };
        if Shard::open(&shards.train[0])?.is_none() {
            // A table beside images, such as a `metadata.parquet`, is not what they are read from.
            return match ImageFolders.open(path, config)? {
                Some(_) => Ok(None),
                None => Err(no_images(&shards.train[0])),
            };
        }
        open(&shards, config).map(Some)
    }
}

fn open(shards: &Shards, config: &DataConfig) -> Result<Parts, DataError> {
    // What decoded images do not take is for the pages, but not all of it: both may be wanted.
    let room = config.cache_mib.saturating_mul(1 << 20) / 4;
    let recent = Arc::new(Recent::new(room, 2 * rayon::current_num_threads()));
    let mut first = None;
    shards::open("Parquet files", shards, config, |role, files| {
        read(role, files, &recent, &mut first)
    })
}

fn no_images(path: &Path) -> DataError {
    let expected = "a column of images: bytes, or a struct of `bytes` and `path`";
    DataError::unsupported(path, expected, "none")
}

/// Opens the files of a part. `first` is the first of the set, whose columns all others have.
fn read(
    role: Role,
    files: &[PathBuf],
    recent: &Arc<PageCache>,
    first: &mut Option<Arc<Shard>>,
) -> Result<(ShardPart, Vec<String>), DataError> {
    let opened = files.par_iter().map(|file| {
        let mut shard = Shard::open(file)?.ok_or_else(|| no_images(file))?;
        shard.find_pages()?;
        let labels = shard.labels()?;
        Ok((Arc::new(shard), labels))
    });
    let opened: Vec<_> = opened.collect::<Result<_, DataError>>()?;
    let mut images = ParquetImages {
        role,
        shards: Vec::new(),
        pages: Vec::new(),
        n: 0,
        recent: recent.clone(),
    };
    let mut all = None;
    let mut notes = Vec::new();
    for (shard, labels) in opened {
        match first {
            None => {
                notes.extend(note(&shard));
                *first = Some(shard.clone());
            }
            Some(first) => check_columns(first, &shard)?,
        }
        images.extend(shard);
        match &mut all {
            None => all = Some(labels),
            Some(all) => all.append(labels)?,
        }
    }
    let labels = all.ok_or(DataError::Empty {
        path: PathBuf::new(),
    })?;
    let images = Arc::new(images);
    Ok((ShardPart { images, labels }, notes))
}

/// Without labels, it is good to know where they were looked for.
fn note(shard: &Shard) -> Option<String> {
    shard.columns.label.is_none().then(|| {
        format!(
            "images are the column `{}` of `{}`; none is called `label` or is one of ClassLabel",
            shard.columns.names.0,
            shard.path.display()
        )
    })
}

fn check_columns(first: &Shard, other: &Shard) -> Result<(), DataError> {
    let shown = |shard: &Shard| {
        let (image, label) = &shard.columns.names;
        let (n, label) = match (&shard.columns.label, label) {
            (Some(column), Some(label)) => (column.classes.as_ref().map(Vec::len), label.as_str()),
            _ => (None, "none"),
        };
        let classes = n.map_or(String::new(), |n| format!(" of {n} classes"));
        format!("images in `{image}`, labels in `{label}`{classes}")
    };
    match first.columns == other.columns {
        true => Ok(()),
        false => Err(DataError::unsupported(
            &other.path,
            format!(
                "the columns, types and classes of `{}` ({})",
                first.path.display(),
                shown(first)
            ),
            format!("others ({})", shown(other)),
        )),
    }
}

/// What a row holds.
enum Row {
    Bytes(ByteArray),
    /// A file beside the shard.
    Path(ByteArray),
    Nothing,
}

/// Rows of a page, or why it cannot be read.
type PageCache = Recent<(Role, usize), Result<Vec<Row>, String>>;

/// A page of one of the shards.
struct Placed {
    shard: usize,
    /// Its number there.
    page: usize,
    /// Number of its first image in the part.
    start: usize,
}

/// The rows of a part's files, one file after the other.
struct ParquetImages {
    role: Role,
    shards: Vec<Arc<Shard>>,
    pages: Vec<Placed>,
    n: usize,
    recent: Arc<PageCache>,
}

impl ParquetImages {
    fn extend(&mut self, shard: Arc<Shard>) {
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
