//! Images in tar archives, as WebDataset keeps them: entries of the same name up to its first
//! dot are one sample, `0001.jpg` and `0001.cls`.
//!
//! Archives are listed once; images are read from where they lie. Nothing is ever taken out of an
//! archive: names of entries are names, and links are not followed.

mod index;

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use index::{Listed, Sample, list};
use rayon::prelude::*;
use secateur_onnx::text::counted;

use super::encoded::Encoded;
use super::names::within;
use super::shards::{self, ShardPart, find};
use crate::data::{Cause, DataConfig, DataError, Format, Parts};

/// `train-000000.tar` and so on.
pub(super) struct TarShards;

impl Format for TarShards {
    fn expects(&self) -> &'static str {
        "train-000000.tar (WebDataset)"
    }

    fn open(&self, path: &Path, config: &DataConfig) -> Result<Option<Parts>, DataError> {
        let Some(shards) = find(path, "tar")? else {
            return match compressed(path) {
                Some(file) => Err(DataError::unsupported(
                    &file,
                    "tar files that are not compressed, whose images are read where they lie",
                    "a compressed one",
                )),
                None => Ok(None),
            };
        };
        shards::open("tar shards", &shards, config, |_, files| read(files)).map(Some)
    }
}

/// An archive that would be one of ours, were it not compressed.
fn compressed(path: &Path) -> Option<PathBuf> {
    let is_compressed = |path: &PathBuf| {
        let name = path.to_string_lossy().to_lowercase();
        let endings = [".tar.gz", ".tgz", ".tar.zst", ".tar.bz2", ".tar.xz"];
        path.is_file() && endings.iter().any(|ending| name.ends_with(ending))
    };
    if path.is_file() {
        return Some(path.to_path_buf()).filter(is_compressed);
    }
    let entries = std::fs::read_dir(path).ok()?.flatten();
    entries.map(|entry| entry.path()).find(is_compressed)
}

/// Lists the archives of a part.
fn read(files: &[PathBuf]) -> Result<(ShardPart, Vec<String>), DataError> {
    let listed: Vec<Listed> = files
        .par_iter()
        .map(|file| list(file))
        .collect::<Result<_, _>>()?;
    let mut listed = listed.into_iter();
    let Some(mut all) = listed.next() else {
        return Err(DataError::Empty {
            path: PathBuf::new(),
        });
    };
    let mut ends = vec![all.samples.len()];
    for shard in listed {
        all.samples.extend(shard.samples);
        all.labels.append(shard.labels)?;
        all.left_out.0 += shard.left_out.0;
        all.left_out.1 = all.left_out.1.or(shard.left_out.1);
        ends.push(all.samples.len());
    }
    let (n, first) = all.left_out;
    let note = first.map(|first| {
        format!(
            "{} left out: samples are images with `.cls` or `.json` beside them (`{}`)",
            counted(n, "entry"),
            first.display()
        )
    });
    let images = TarImages {
        shards: files.to_vec(),
        ends,
        samples: all.samples,
    };
    let part = ShardPart {
        images: Arc::new(images),
        labels: all.labels,
    };
    Ok((part, note.into_iter().collect()))
}

/// The samples of a part's archives, one archive after the other.
struct TarImages {
    shards: Vec<PathBuf>,
    /// Of each archive, the number of the sample behind its last.
    ends: Vec<usize>,
    samples: Vec<Sample>,
}

impl TarImages {
    fn shard(&self, index: usize) -> &Path {
        &self.shards[self.ends.partition_point(|&end| end <= index)]
    }
}

impl Encoded for TarImages {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn bytes(&self, index: usize) -> Result<Bytes, Cause> {
        let place = self.samples[index].image.as_ref();
        let place = place.map_err(|reason| Cause::from(*reason))?;
        let mut file = std::fs::File::open(self.shard(index))?;
        file.seek(SeekFrom::Start(place.start))?;
        let mut bytes = Vec::new();
        file.take(place.size).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == place.size {
            true => Ok(bytes.into()),
            false => Err("the archive breaks off in it".into()),
        }
    }

    fn place(&self, index: usize) -> PathBuf {
        within(self.shard(index), &self.samples[index].name)
    }
}
