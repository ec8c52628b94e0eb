//! A part of the data as the network takes it: checked, normalised, in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::memory::{InMemory, Values};
use super::normalisation::Sums;
use super::skipped::Ledger;
use super::{Augment, BatchJob, Colour, DataError, Dataset, Normalisation, Pixels};

/// Images and labels of one training step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[n, h, w, c]`, normalised.
    pub images: Vec<f32>,
    /// `[n]`.
    pub labels: Vec<u32>,
    /// Which images of the part they are.
    pub indices: Vec<usize>,
    /// Number of images.
    pub n: usize,
}

/// Images of a data set that can all be decoded, and how they become the network's input.
#[derive(Clone)]
pub struct Part {
    data: Arc<dyn Dataset>,
    indices: Arc<[usize]>,
    colour: Colour,
    normaliser: Arc<Normaliser>,
    /// Of images that are not in memory, from the pass that checked them.
    sums: Option<Sums>,
    /// Held while the decoded images live.
    reservation: Option<Arc<Reservation>>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("images", &self.len())
            .field("shape", &self.shape())
            .field("in_memory", &self.is_in_memory())
            .finish()
    }
}

/// What loading a part may use.
#[derive(Debug)]
pub(super) struct Loader {
    /// Bytes that decoded images may still take.
    pub(super) cache: AtomicUsize,
    pub(super) ledger: Ledger,
}

/// Bytes taken from the cache until this is dropped.
#[derive(Debug)]
struct Reservation {
    loader: Arc<Loader>,
    bytes: usize,
}

impl Reservation {
    /// Takes `bytes` from the cache, if it has them.
    fn new(loader: &Arc<Loader>, bytes: usize) -> Option<Self> {
        let taken = loader
            .cache
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(bytes)
            });
        taken.ok().map(|_| Self {
            loader: loader.clone(),
            bytes,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.loader.cache.fetch_add(self.bytes, Ordering::SeqCst);
    }
}

/// Images that one task of the checking pass takes.
const CHECKED_AT_ONCE: usize = 32;

impl Part {
    /// The images of `data` at `indices`, not normalised.
    ///
    /// Images that are not in memory are all decoded once, on all threads, so that damaged
    /// ones are known before anything starts; they are kept if the cache has room.
    ///
    /// # Errors
    /// [`DataError::TooManySkipped`], [`DataError::Empty`] if none can be decoded.
    pub(super) fn load(
        data: &Arc<dyn Dataset>,
        indices: &[usize],
        place: &str,
        colour: Colour,
        loader: &Arc<Loader>,
    ) -> Result<Self, DataError> {
        let [h, w, c] = data.image_shape();
        let mut part = Self {
            data: data.clone(),
            indices: indices.into(),
            colour,
            normaliser: Arc::new(Normaliser::new(&Normalisation::identity(c), colour)),
            sums: None,
            reservation: None,
        };
        if data.is_in_memory() {
            return Ok(part);
        }
        let size = h * w * c;
        part.reservation = indices
            .len()
            .checked_mul(size)
            .and_then(|bytes| Reservation::new(loader, bytes))
            .map(Arc::new);
        let keep = part.reservation.is_some();
        let checked = check(data.as_ref(), indices, keep.then_some(size), &loader.ledger);
        loader.ledger.enter(place, checked.errors)?;
        if checked.sound.is_empty() && !indices.is_empty() {
            return Err(DataError::Empty { path: place.into() });
        }
        part.sums = Some(checked.sums);
        if keep {
            let labels = checked
                .sound
                .iter()
                .map(|&index| u32::try_from(data.label(index)).unwrap_or(u32::MAX))
                .collect();
            let names: Arc<[String]> = data.class_names().into();
            part.indices = (0..checked.sound.len()).collect();
            part.data = Arc::new(InMemory::new(
                [h, w, c],
                Values::Bytes(checked.pixels),
                labels,
                names,
            ));
        } else {
            part.indices = checked.sound.into();
        }
        Ok(part)
    }

    /// All of a data set in memory, not normalised.
    pub fn of(data: InMemory) -> Self {
        let channels = data.image_shape()[2];
        Self {
            indices: (0..data.len()).collect(),
            data: Arc::new(data),
            colour: Colour::Rgb,
            normaliser: Arc::new(Normaliser::new(
                &Normalisation::identity(channels),
                Colour::Rgb,
            )),
            sums: None,
            reservation: None,
        }
    }

    /// The same images, normalised.
    ///
    /// # Errors
    /// [`DataError::Normalisation`] if it has another number of channels.
    pub fn normalised(mut self, normalisation: &Normalisation) -> Result<Self, DataError> {
        normalisation.check(self.shape()[2])?;
        self.normaliser = Arc::new(Normaliser::new(normalisation, self.colour));
        Ok(self)
    }

    /// Mean and deviation of the images before any normalisation.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    pub fn measure(&self) -> Result<Normalisation, DataError> {
        match &self.sums {
            Some(sums) => Ok(sums.normalisation(self.colour)),
            None => Normalisation::measure(self),
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True without images.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// `[h, w, c]`.
    pub fn shape(&self) -> [usize; 3] {
        self.data.image_shape()
    }

    /// True if nothing has to be decoded any more.
    pub fn is_in_memory(&self) -> bool {
        self.data.is_in_memory()
    }

    pub(super) fn colour(&self) -> Colour {
        self.colour
    }

    /// Label of an image.
    pub fn label(&self, index: usize) -> u32 {
        u32::try_from(self.data.label(self.indices[index])).unwrap_or(u32::MAX)
    }

    pub(super) fn pixels(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        self.data.image(self.indices[index])
    }

    /// The first `n` images.
    pub fn head(&self, n: usize) -> Self {
        Self {
            indices: self.indices[..n.min(self.len())].into(),
            sums: None,
            ..self.clone()
        }
    }

    /// A batch.
    ///
    /// What chance changes follows from the job alone, whoever prepares it and when.
    ///
    /// # Errors
    /// [`DataError::Image`] if a file changed since it was checked.
    pub fn batch(&self, job: &BatchJob) -> Result<Batch, DataError> {
        let shape = self.shape();
        let size: usize = shape.iter().product();
        let n = job.indices.len();
        let mut images = vec![0.0f32; n * size];
        let mut plain = vec![0.0f32; if job.augment.is_none() { 0 } else { size }];
        for (position, (out, &index)) in images.chunks_exact_mut(size).zip(&job.indices).enumerate()
        {
            let pixels = self.pixels(index)?;
            if job.augment.is_none() {
                self.normaliser.apply(&pixels, out);
            } else {
                self.normaliser.apply(&pixels, &mut plain);
                let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
                rng.set_stream(position as u64);
                let background = &self.normaliser.black;
                job.augment.apply(&plain, shape, background, &mut rng, out);
            }
        }
        Ok(Batch {
            images,
            labels: job.indices.iter().map(|&index| self.label(index)).collect(),
            indices: job.indices.clone(),
            n,
        })
    }

    /// The images from `start` on, at most `n`, unchanged.
    pub(crate) fn run(&self, start: usize, n: usize) -> BatchJob {
        BatchJob {
            indices: (start..(start + n).min(self.len())).collect(),
            augment: Augment::default(),
            seed: 0,
        }
    }
}

struct Checked {
    /// Indices into the data of the images that can be decoded.
    sound: Vec<usize>,
    errors: Vec<DataError>,
    sums: Sums,
    /// Of the sound images, if they are kept.
    pixels: Vec<u8>,
}

/// Decodes everything once. Stops early when more is damaged than may be.
fn check(data: &dyn Dataset, indices: &[usize], keep: Option<usize>, ledger: &Ledger) -> Checked {
    let channels = data.image_shape()[2];
    let (n_new, left) = (AtomicUsize::new(0), ledger.left());
    let one = |index: usize, sums: &mut Sums, kept: &mut [u8]| -> Result<(), DataError> {
        let pixels = data.image(index)?;
        sums.add(&pixels);
        match pixels {
            Pixels::Bytes(bytes) if !kept.is_empty() => kept.copy_from_slice(&bytes),
            _ => {}
        }
        Ok(())
    };
    let size = keep.unwrap_or(0);
    let mut pixels = vec![0u8; size * indices.len()];
    let pieces: Vec<(Vec<Result<usize, DataError>>, Sums)> = indices
        .par_chunks(CHECKED_AT_ONCE)
        .zip(slices(
            &mut pixels,
            size * CHECKED_AT_ONCE,
            indices.len().div_ceil(CHECKED_AT_ONCE),
        ))
        .map(|(chunk, kept)| {
            let mut sums = Sums::new(channels);
            let mut results = Vec::with_capacity(chunk.len());
            for (position, &index) in chunk.iter().enumerate() {
                if n_new.load(Ordering::Relaxed) > left {
                    break;
                }
                let kept = &mut kept[position * size..(position + 1) * size];
                let result = one(index, &mut sums, kept).map(|()| index);
                if result.as_ref().is_err_and(|error| ledger.is_new(error)) {
                    n_new.fetch_add(1, Ordering::Relaxed);
                }
                results.push(result);
            }
            (results, sums)
        })
        .collect();
    let mut checked = Checked {
        sound: Vec::with_capacity(indices.len()),
        errors: Vec::new(),
        sums: Sums::new(channels),
        pixels,
    };
    let mut position = 0;
    for (results, sums) in pieces {
        checked.sums = checked.sums.merge(&sums);
        for result in results {
            match result {
                Ok(index) => {
                    // Closes the gap that damaged images left.
                    let to = checked.sound.len() * size;
                    let from = position * size;
                    if to != from {
                        checked.pixels.copy_within(from..from + size, to);
                    }
                    checked.sound.push(index);
                }
                Err(error) => checked.errors.push(error),
            }
            position += 1;
        }
    }
    checked.pixels.truncate(checked.sound.len() * size);
    checked
}

/// Cuts memory into `n` slices of at most `size`; of empty memory, into `n` empty ones.
fn slices(memory: &mut [u8], size: usize, n: usize) -> Vec<&mut [u8]> {
    if size == 0 {
        return (0..n).map(|_| <&mut [u8]>::default()).collect();
    }
    memory.chunks_mut(size).collect()
}

/// Channel order, mean and deviation, applied.
struct Normaliser {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// By channel of the output: the value of each byte.
    tables: Vec<[f32; 256]>,
    /// By channel of the output: the channel of the image.
    source: Vec<usize>,
    /// What a value of 0 becomes.
    black: Vec<f32>,
}

impl Normaliser {
    fn new(normalisation: &Normalisation, colour: Colour) -> Self {
        let (mean, std) = (normalisation.mean.clone(), normalisation.std.clone());
        let channels = mean.len();
        let mut source: Vec<usize> = (0..channels).collect();
        if colour == Colour::Bgr && channels == 3 {
            source.reverse();
        }
        let table = |c: usize| std::array::from_fn(|byte| (byte as f32 / 255.0 - mean[c]) / std[c]);
        Self {
            tables: (0..channels).map(table).collect(),
            black: (0..channels).map(|c| -mean[c] / std[c]).collect(),
            source,
            mean,
            std,
        }
    }

    fn apply(&self, pixels: &Pixels<'_>, out: &mut [f32]) {
        let channels = self.source.len();
        for (c, &source) in self.source.iter().enumerate() {
            let place = (c, source, channels);
            match pixels {
                Pixels::Bytes(bytes) => {
                    let table = &self.tables[c];
                    map_channel(place, bytes, out, |byte| table[usize::from(byte)]);
                }
                Pixels::Floats(values) => {
                    let (mean, std) = (self.mean[c], self.std[c]);
                    map_channel(place, values, out, |value| (value - mean) / std);
                }
            }
        }
    }
}

/// Channel `to` of `out` from channel `from` of `pixels`, of which there are `channels`: a
/// loop of its own for each channel, because every step waits for a batch.
fn map_channel<T: Copy>(
    (to, from, channels): (usize, usize, usize),
    pixels: &[T],
    out: &mut [f32],
    map: impl Fn(T) -> f32,
) {
    if channels == 1 {
        for (out, &pixel) in out.iter_mut().zip(pixels) {
            *out = map(pixel);
        }
        return;
    }
    let pixels = pixels[from..].iter().step_by(channels);
    for (out, &pixel) in out[to..].iter_mut().step_by(channels).zip(pixels) {
        *out = map(pixel);
    }
}
