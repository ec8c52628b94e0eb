//! The IDX format of MNIST, plain or gzip.
//!
//! Format: two zero bytes, a type byte (8: unsigned bytes), the number of
//! dimensions, then each extent as a big-endian 32-bit number, then the values.
//! Source: <http://yann.lecun.com/exdb/mnist/>, "the IDX file format".

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::data::memory::InMemory;
use crate::data::{DataConfig, DataError, Format, Parts};

/// Type byte of unsigned bytes, the only one that images and labels use.
const UNSIGNED_BYTE: u8 = 8;
/// First bytes of a gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// `train-images-idx3-ubyte` and so on.
pub(super) struct Idx;

impl Format for Idx {
    fn expects(&self) -> &'static str {
        "train-images-idx3-ubyte and train-labels-idx1-ubyte (also .gz)"
    }

    fn open(&self, path: &Path, _: &DataConfig) -> Result<Option<Parts>, DataError> {
        let Some(train) = read_part(path, "train")? else {
            return Ok(None);
        };
        let test = match read_part(path, "t10k")? {
            None => read_part(path, "test")?,
            found => found,
        };
        Ok(Some(Parts {
            test: test.map(|data| Arc::new(data) as _),
            has_parts: true,
            ..Parts::new("IDX", Arc::new(train))
        }))
    }
}

/// The images of a part, if there are some.
fn read_part(dir: &Path, prefix: &str) -> Result<Option<InMemory>, DataError> {
    let files = find(dir, prefix)?;
    files
        .map(|(images, labels)| read(&images, &labels))
        .transpose()
}

struct Array {
    extents: Vec<usize>,
    values: Vec<u8>,
}

/// Reads a pair of files.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Format`], [`DataError::Empty`], [`DataError::CountsDiffer`].
fn read(images: &Path, labels: &Path) -> Result<InMemory, DataError> {
    let pixels = parse(images, 3)?;
    let values = parse(labels, 1)?;
    if pixels.extents[0] != values.extents[0] {
        return Err(DataError::CountsDiffer {
            images: images.to_path_buf(),
            labels: labels.to_path_buf(),
            n_images: pixels.extents[0],
            n_labels: values.extents[0],
        });
    }
    Ok(InMemory::bytes(
        [pixels.extents[1], pixels.extents[2], 1],
        pixels.values,
        values.values.into_iter().map(u32::from).collect(),
    ))
}

/// The pair of files in `dir` whose names begin with `prefix` (`train` or `t10k`),
/// in their usual spellings.
///
/// # Errors
/// [`DataError::Format`] if one is there without the other.
fn find(dir: &Path, prefix: &str) -> Result<Option<(PathBuf, PathBuf)>, DataError> {
    let find = |kind: &str, rank: u8| {
        ["-", "."].iter().find_map(|separator| {
            ["", ".gz"].iter().find_map(|suffix| {
                let name = format!("{prefix}-{kind}{separator}idx{rank}-ubyte{suffix}");
                let path = dir.join(name);
                path.is_file().then_some(path)
            })
        })
    };
    let alone = |path: &Path, other: &str| {
        Err(DataError::format(
            path,
            "its counterpart in the same folder",
            format!("no `{prefix}-{other}` there"),
        ))
    };
    match (find("images", 3), find("labels", 1)) {
        (Some(images), Some(labels)) => Ok(Some((images, labels))),
        (Some(images), None) => alone(&images, "labels-idx1-ubyte"),
        (None, Some(labels)) => alone(&labels, "images-idx3-ubyte"),
        (None, None) => Ok(None),
    }
}

fn parse(path: &Path, rank: u8) -> Result<Array, DataError> {
    let file = std::fs::File::open(path).map_err(|error| DataError::io(path, error))?;
    let mut reader = BufReader::new(file);
    let start = reader
        .fill_buf()
        .map_err(|error| DataError::io(path, error))?;
    if start.starts_with(&GZIP_MAGIC) {
        let plain = flate2::bufread::MultiGzDecoder::new(reader);
        parse_stream(path, rank, plain, |error| {
            DataError::damaged(path, "a whole gzip file", error)
        })
    } else {
        parse_stream(path, rank, reader, |error| DataError::io(path, error))
    }
}

/// Reads no more than the header promises, and one byte to see that nothing follows.
fn parse_stream(
    path: &Path,
    rank: u8,
    mut reader: impl Read,
    failed: impl Fn(std::io::Error) -> DataError,
) -> Result<Array, DataError> {
    let mut take = |n: usize| {
        let mut bytes = Vec::new();
        match reader.by_ref().take(n as u64).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(failed(error)),
        }
    };
    let what = if rank == 1 { "labels" } else { "images" };
    check_magic(path, rank, what, &take(4)?)?;
    let extents = extents(path, &take(4 * usize::from(rank))?, rank)?;
    let per_item = product(&extents[1..]);
    let (Some(per_item), Some(size)) = (per_item, product(&extents)) else {
        return Err(DataError::format(
            path,
            "dimensions that fit in memory",
            format!("{extents:?}"),
        ));
    };
    if size == 0 {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    let mut values = take(size)?;
    let promised = |got| {
        let expected = format!("{} items as its header promises", extents[0]);
        Err(DataError::format(path, expected, got))
    };
    if values.len() < size {
        return promised(format!(
            "{} ({} of {size} bytes of values)",
            values.len() / per_item,
            values.len()
        ));
    }
    if !take(1)?.is_empty() {
        return promised("more bytes after them".to_string());
    }
    values.shrink_to_fit();
    Ok(Array { extents, values })
}

/// One for each dimension.
fn extents(path: &Path, bytes: &[u8], rank: u8) -> Result<Vec<usize>, DataError> {
    let n_bytes = 4 * usize::from(rank);
    if bytes.len() < n_bytes {
        return Err(DataError::format(
            path,
            format!("a header of {} bytes", 4 + n_bytes),
            format!("{}", 4 + bytes.len()),
        ));
    }
    let extents = bytes.as_chunks::<4>().0.iter();
    Ok(extents
        .map(|chunk| u32::from_be_bytes(*chunk) as usize)
        .collect())
}

fn product(extents: &[usize]) -> Option<usize> {
    extents
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

fn check_magic(path: &Path, rank: u8, what: &str, found: &[u8]) -> Result<(), DataError> {
    let magic = [0, 0, UNSIGNED_BYTE, rank];
    if found == magic {
        return Ok(());
    }
    Err(match *found {
        [0, 0, kind, found_rank] if kind != UNSIGNED_BYTE && found_rank == rank => {
            DataError::format(
                path,
                format!("{what} of unsigned bytes (type byte 0x{UNSIGNED_BYTE:02x})"),
                format!("type byte 0x{kind:02x}{}", type_name(kind)),
            )
        }
        [_, _, _, _] => DataError::format(
            path,
            format!("the magic number {magic:02x?} of IDX {what}"),
            format!("{found:02x?}"),
        ),
        _ => DataError::format(
            path,
            format!("IDX {what}"),
            format!("a file of {} bytes", found.len()),
        ),
    })
}

fn type_name(kind: u8) -> &'static str {
    match kind {
        0x09 => " (signed bytes)",
        0x0b => " (16-bit integers)",
        0x0c => " (32-bit integers)",
        0x0d => " (32-bit floats)",
        0x0e => " (64-bit floats)",
        _ => "",
    }
}
