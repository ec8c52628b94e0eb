//! The pass over all images before anything starts, so that damaged ones are known.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rayon::prelude::*;

use super::dataset::sound_image;
use super::skipped::Ledger;
use super::sums::Sums;
use super::{DataError, Dataset, Pixels};

/// Images that one task takes.
const CHECKED_AT_ONCE: usize = 32;

/// What the pass found.
pub(super) struct Checked {
    /// Indices into the data of the images that can be decoded.
    pub(super) sound: Vec<usize>,
    pub(super) errors: Vec<DataError>,
    pub(super) sums: Sums,
    /// Bytes of the sound images, if they are kept.
    pub(super) kept: Option<Vec<u8>>,
}

/// Decodes everything once, on all threads; `keep` is the number of bytes of an image if
/// they are kept, which only images of bytes are. Stops early when more is damaged than may
/// be.
pub(super) fn check(
    data: &dyn Dataset,
    indices: &[usize],
    keep: Option<usize>,
    ledger: &Ledger,
) -> Checked {
    let size = keep.unwrap_or(0);
    let mut pixels = vec![0u8; size * indices.len()];
    let pass = Pass {
        data,
        size,
        ledger,
        n_new: AtomicUsize::new(0),
        left: ledger.left(),
        has_floats: AtomicBool::new(false),
    };
    let pieces: Vec<Piece> = indices
        .par_chunks(CHECKED_AT_ONCE)
        .zip(slices(
            &mut pixels,
            size * CHECKED_AT_ONCE,
            indices.len().div_ceil(CHECKED_AT_ONCE),
        ))
        .map(|(chunk, kept)| pass.piece(chunk, kept))
        .collect();
    let mut checked = joined(pieces, &mut pixels, size, Sums::new(data.image_shape()[2]));
    if keep.is_some() && !pass.has_floats.into_inner() {
        pixels.truncate(checked.sound.len() * size);
        checked.kept = Some(pixels);
    }
    checked
}

/// Images of one task, in order, and their sums.
struct Piece {
    results: Vec<Result<usize, DataError>>,
    sums: Sums,
}

struct Pass<'a> {
    data: &'a dyn Dataset,
    /// Bytes kept of an image.
    size: usize,
    ledger: &'a Ledger,
    /// Damaged images that were not known before.
    n_new: AtomicUsize,
    /// How many of those there may be.
    left: usize,
    has_floats: AtomicBool,
}

impl Pass<'_> {
    fn piece(&self, chunk: &[usize], kept: &mut [u8]) -> Piece {
        let mut piece = Piece {
            results: Vec::with_capacity(chunk.len()),
            sums: Sums::new(self.data.image_shape()[2]),
        };
        for (position, &index) in chunk.iter().enumerate() {
            if self.n_new.load(Ordering::Relaxed) > self.left {
                break;
            }
            let kept = &mut kept[position * self.size..(position + 1) * self.size];
            let result = self.image(index, &mut piece.sums, kept).map(|()| index);
            if result
                .as_ref()
                .is_err_and(|error| self.ledger.is_new(error))
            {
                self.n_new.fetch_add(1, Ordering::Relaxed);
            }
            piece.results.push(result);
        }
        piece
    }

    fn image(&self, index: usize, sums: &mut Sums, kept: &mut [u8]) -> Result<(), DataError> {
        let pixels = sound_image(self.data, index)?;
        sums.add(&pixels);
        match pixels {
            Pixels::Bytes(bytes) if !kept.is_empty() => kept.copy_from_slice(&bytes),
            Pixels::Bytes(_) => {}
            Pixels::Floats(_) => self.has_floats.store(true, Ordering::Relaxed),
        }
        Ok(())
    }
}

/// Puts the pieces together; closes the gaps that damaged images left in `pixels`.
fn joined(pieces: Vec<Piece>, pixels: &mut [u8], size: usize, sums: Sums) -> Checked {
    let mut checked = Checked {
        sound: Vec::new(),
        errors: Vec::new(),
        sums,
        kept: None,
    };
    let mut position = 0;
    for piece in pieces {
        checked.sums = checked.sums.merge(&piece.sums);
        for result in piece.results {
            match result {
                Ok(index) => {
                    let to = checked.sound.len() * size;
                    let from = position * size;
                    if to != from {
                        pixels.copy_within(from..from + size, to);
                    }
                    checked.sound.push(index);
                }
                Err(error) => checked.errors.push(error),
            }
            position += 1;
        }
    }
    checked
}

/// Cuts memory into `n` slices of at most `size`; of empty memory, into `n` empty ones.
fn slices(memory: &mut [u8], size: usize, n: usize) -> Vec<&mut [u8]> {
    if size == 0 {
        return (0..n).map(|_| <&mut [u8]>::default()).collect();
    }
    memory.chunks_mut(size).collect()
}
