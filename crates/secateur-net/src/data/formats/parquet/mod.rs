//! Images in Parquet files, as the Hugging Face Hub keeps them: a column of images, which are
//! bytes or paths of files beside, and one of labels.
//!
//! Pages are found once; each is read whole when one of its images is wanted, and kept while
//! there is room (`recent`). How far what a file says of itself is believed: `inflate`.

mod columns;
mod file;
mod images;
mod inflate;
mod labels;
mod pages;
mod recent;
mod rows;
mod shard;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use images::{PageCache, ParquetImages};
use rayon::prelude::*;
use recent::Recent;
use shard::Shard;

use super::folder::ImageFolders;
use super::shards::{self, Role, ShardPart, Shards, find};
use crate::data::{DataConfig, DataError, Format, Parts};

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
    let mut images = ParquetImages::new(role, recent.clone());
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
