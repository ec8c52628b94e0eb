//! The IDX format of MNIST, plain or gzip.
//!
//! Format: two zero bytes, a type byte (8: unsigned bytes), the number of
//! dimensions, then each extent as a big-endian 32-bit number, then the values.
//! Source: <http://yann.lecun.com/exdb/mnist/>, "the IDX file format".

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{DataError, Dataset};

/// Type byte of unsigned bytes, the only one that images and labels use.
const UNSIGNED_BYTE: u8 = 8;

/// Images and labels from a pair of IDX files.
#[derive(Debug)]
pub struct IdxDataset {
    shape: [usize; 3],
    pixels: Vec<u8>,
    labels: Vec<u8>,
    class_names: Vec<String>,
}

struct Idx {
    extents: Vec<usize>,
    values: Vec<u8>,
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |error: std::io::Error| DataError::Io {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let bytes = std_read(path).map_err(io)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes.as_slice())
            .read_to_end(&mut plain)
            .map_err(|error| DataError::Format {
                path: path.to_path_buf(),
                expected: "a whole gzip file".to_string(),
                got: format!("one that breaks off or is damaged ({error})"),
            })?;
        return Ok(plain);
    }
    Ok(bytes)
}

/// The plain reason of a failed read: the error around it names the path already.
fn std_read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs_err::File::open(path)
        .and_then(|mut file| file.file_mut().read_to_end(&mut bytes))
        .map_err(|error| std::io::Error::from(error.kind()))?;
    Ok(bytes)
}

fn parse(path: &Path, rank: u8) -> Result<Idx, DataError> {
    let bytes = read_bytes(path)?;
    let format = |expected: String, got: String| DataError::Format {
        path: path.to_path_buf(),
        expected,
        got,
    };
    let header = 4 + 4 * usize::from(rank);
    let what = if rank == 1 { "labels" } else { "images" };
    let magic = [0, 0, UNSIGNED_BYTE, rank];
    match bytes.get(..4) {
        Some(found) if found == magic => {}
        Some(found) => {
            return Err(format(
                format!("the magic number {magic:02x?} of IDX {what}"),
                format!("{found:02x?}"),
            ));
        }
        None => {
            return Err(format(
                format!("IDX {what}"),
                format!("a file of {} bytes", bytes.len()),
            ));
        }
    }
    let Some(dimensions) = bytes.get(4..header) else {
        return Err(format(
            format!("a header of {header} bytes"),
            format!("{}", bytes.len()),
        ));
    };
    let extents: Vec<usize> = dimensions
        .as_chunks::<4>()
        .0
        .iter()
        .map(|chunk| u32::from_be_bytes(*chunk) as usize)
        .collect();
    let size = extents
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent));
    let held = bytes.len() - header;
    if size != Some(held) {
        let per_item: usize = extents[1..].iter().product::<usize>().max(1);
        return Err(format(
            format!("{} items as its header promises", extents[0]),
            format!("{} ({held} bytes of values)", held / per_item),
        ));
    }
    if held == 0 {
        return Err(format(
            format!("at least one of the {what}"),
            "none".to_string(),
        ));
    }
    Ok(Idx {
        extents,
        values: bytes[header..].to_vec(),
    })
}

impl IdxDataset {
    /// Reads a pair of files.
    ///
    /// # Errors
    /// [`DataError::Io`], [`DataError::Format`], [`DataError::CountsDiffer`].
    pub fn read(images: &Path, labels: &Path) -> Result<Self, DataError> {
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
        let classes = values
            .values
            .iter()
            .copied()
            .max()
            .map_or(0, |max| usize::from(max) + 1);
        Ok(Self {
            shape: [pixels.extents[1], pixels.extents[2], 1],
            pixels: pixels.values,
            labels: values.values,
            class_names: (0..classes).map(|class| class.to_string()).collect(),
        })
    }

    /// The pair of files in `dir` whose names begin with `prefix` (`train` or `t10k`),
    /// in their usual spellings.
    pub fn find(dir: &Path, prefix: &str) -> Option<(PathBuf, PathBuf)> {
        let find = |kind: &str, rank: u8| {
            ["-", "."].iter().find_map(|separator| {
                ["", ".gz"].iter().find_map(|suffix| {
                    let name = format!("{prefix}-{kind}{separator}idx{rank}-ubyte{suffix}");
                    let path = dir.join(name);
                    path.is_file().then_some(path)
                })
            })
        };
        Some((find("images", 3)?, find("labels", 1)?))
    }
}

impl Dataset for IdxDataset {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    fn n_classes(&self) -> usize {
        self.class_names.len()
    }

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }

    fn read(&self, index: usize, out: &mut [f32]) -> Result<(), DataError> {
        let size = out.len();
        let pixels = &self.pixels[index * size..(index + 1) * size];
        for (to, &from) in out.iter_mut().zip(pixels) {
            *to = f32::from(from) / 255.0;
        }
        Ok(())
    }
}
