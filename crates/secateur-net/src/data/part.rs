//! A part of the data as the network takes it: checked, normalised, in batches.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::augment::Changer;
use super::cache::{Loader, Reservation};
use super::check::check;
use super::dataset::sound_image;
use super::memory::{InMemory, Values};
use super::normaliser::Normaliser;
use super::sums::Sums;
use super::views::Subset;
use super::{Augment, BatchJob, Colour, DataError, Dataset, Normalisation, Origin, Pixels};
use crate::value::{Host, HostData, Input, Inputs};

/// Inputs and labels of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// What the network takes; images are normalised.
    pub inputs: Inputs,
    /// `[n]`; empty where the data have none.
    pub labels: Vec<u32>,
    /// Which samples of the part they are.
    pub indices: Vec<usize>,
}

/// Samples of a data set, images that can all be decoded or arrays, and how they become the
/// network's inputs.
#[derive(Clone)]
pub struct Part {
    data: Arc<dyn Dataset>,
    indices: Arc<[usize]>,
    colour: Colour,
    normaliser: Arc<Normaliser>,
    /// Extents of a sample where the network takes images as an array of another rank.
    array: Option<Arc<[usize]>>,
    /// Of images that are not in memory, from the pass that checked them.
    sums: Option<Sums>,
    /// Where samples that were decoded and kept come from, one by one.
    kept_from: Option<Arc<dyn Dataset>>,
    /// Held while the decoded images live.
    reservation: Option<Arc<Reservation>>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("samples", &self.len())
            .field("shape", &self.shape())
            .field("in_memory", &self.is_in_memory())
            .finish()
    }
}

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
        let mut part = Self::whole(data.clone(), indices.into(), colour);
        if data.is_in_memory() {
            return Ok(part);
        }
        let shape = data.image_shape();
        let size = shape.iter().product();
        part.reservation = indices
            .len()
            .checked_mul(size)
            .and_then(|bytes| Reservation::new(loader, bytes))
            .map(Arc::new);
        let keep = part.reservation.is_some().then_some(size);
        let checked = check(data.as_ref(), indices, keep, &loader.ledger);
        loader.ledger.enter(place, checked.errors)?;
        if checked.sound.is_empty() && !indices.is_empty() {
            return Err(DataError::Empty { path: place.into() });
        }
        part.sums = Some(checked.sums);
        let Some(kept) = checked.kept else {
            part.reservation = None;
            part.indices = checked.sound.into();
            return Ok(part);
        };
        let label = |&index: &usize| u32::try_from(data.label(index)).unwrap_or(u32::MAX);
        let kept = InMemory::new(
            shape,
            Values::Bytes(kept),
            checked.sound.iter().map(label).collect(),
            data.class_names().into(),
        );
        part.indices = (0..checked.sound.len()).collect();
        part.kept_from = Some(Arc::new(Subset::new(data.clone(), checked.sound)));
        part.data = Arc::new(match data.is_labelled() {
            true => kept,
            false => kept.unlabelled(),
        });
        Ok(part)
    }

    /// All of a data set in memory, not normalised.
    pub fn of(data: InMemory) -> Self {
        let all = (0..data.len()).collect();
        Self::whole(Arc::new(data), all, Colour::Rgb)
    }

    fn whole(data: Arc<dyn Dataset>, indices: Arc<[usize]>, colour: Colour) -> Self {
        let identity = Normalisation::identity(data.image_shape()[2]);
        Self {
            data,
            indices,
            colour,
            normaliser: Arc::new(Normaliser::new(&identity, colour)),
            array: None,
            sums: None,
            kept_from: None,
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

    /// The same images as arrays of these extents, which hold as many values.
    #[must_use]
    pub(super) fn taken_as_array(mut self, extents: Option<Arc<[usize]>>) -> Self {
        self.array = extents;
        self
    }

    /// Mean and deviation of the images before any normalisation; of arrays, none.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    pub fn measure(&self) -> Result<Normalisation, DataError> {
        if let Some(sums) = &self.sums {
            return Ok(sums.normalisation(self.colour));
        }
        let mut sums = Sums::new(self.shape()[2]);
        let n_images = if self.is_images() { self.len() } else { 0 };
        for index in 0..n_images {
            sums.add(&self.pixels(index)?);
        }
        Ok(sums.normalisation(self.colour))
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// True if the samples are images, which can be normalised and augmented.
    pub fn is_images(&self) -> bool {
        self.data.is_images()
    }

    /// `[h, w, c]` of images; zeros for arrays.
    pub fn shape(&self) -> [usize; 3] {
        self.data.image_shape()
    }

    /// Values that the inputs of one sample hold.
    pub fn n_values(&self) -> usize {
        match self.is_images() {
            true => self.shape().iter().product(),
            false => self
                .data
                .columns()
                .iter()
                .map(|column| column.n_values())
                .sum(),
        }
    }

    /// True if nothing has to be decoded any more.
    pub fn is_in_memory(&self) -> bool {
        self.data.is_in_memory()
    }

    /// Label of a sample.
    pub fn label(&self, index: usize) -> u32 {
        u32::try_from(self.data.label(self.indices[index])).unwrap_or(u32::MAX)
    }

    /// True if samples have labels that count.
    pub fn is_labelled(&self) -> bool {
        self.data.is_labelled()
    }

    /// Where a sample comes from.
    pub fn origin(&self, index: usize) -> Origin {
        let index = self.indices[index];
        self.kept_from.as_ref().unwrap_or(&self.data).origin(index)
    }

    /// An image at the size that the network takes, `[h, w, c]`: before it is normalised, channels
    /// as files have them.
    ///
    /// # Errors
    /// As [`Dataset::image`]; arrays are no images.
    pub fn pixels(&self, index: usize) -> Result<Pixels<'_>, DataError> {
        sound_image(self.data.as_ref(), self.indices[index])
    }

    /// Some of the samples, in this order.
    pub fn pick(&self, indices: impl IntoIterator<Item = usize>) -> Self {
        Self {
            indices: indices.into_iter().map(|i| self.indices[i]).collect(),
            sums: None,
            ..self.clone()
        }
    }

    /// At most `n` samples at even distances: data often lie in the order of their classes.
    pub fn spread(&self, n: usize) -> Self {
        let len = self.len();
        let n = n.min(len);
        self.pick((0..n).map(|i| i * len / n))
    }

    /// The first `n` samples.
    pub fn head(&self, n: usize) -> Self {
        self.pick(0..n.min(self.len()))
    }

    /// A batch.
    ///
    /// What chance changes follows from the job alone, whoever prepares it and when. Arrays are
    /// never changed.
    ///
    /// # Errors
    /// [`DataError::Image`] if a file changed since it was checked.
    pub fn batch(&self, job: &BatchJob) -> Result<Batch, DataError> {
        let values = match self.is_images() {
            true => vec![self.images(job)?],
            false => {
                let columns = self.data.columns().iter().enumerate();
                let rows = |place: usize| {
                    let row = move |&index: &usize| self.data.row(self.indices[index], place);
                    job.indices.iter().filter_map(row).collect()
                };
                columns
                    .map(|(place, column)| column.input(rows(place)))
                    .collect()
            }
        };
        Ok(Batch {
            inputs: Inputs {
                n: job.indices.len(),
                values,
            },
            labels: match self.data.is_labelled() {
                true => job.indices.iter().map(|&index| self.label(index)).collect(),
                false => Vec::new(),
            },
            indices: job.indices.clone(),
        })
    }

    fn images(&self, job: &BatchJob) -> Result<Input, DataError> {
        let shape = self.shape();
        let size: usize = shape.iter().product();
        let n = job.indices.len();
        let mut inputs = vec![0.0f32; n * size];
        let mut plain = vec![0.0f32; if job.augment.is_none() { 0 } else { size }];
        let mut changer = Changer::new(job.augment, shape, &self.normaliser.black);
        for (position, (out, &index)) in inputs.chunks_exact_mut(size).zip(&job.indices).enumerate()
        {
            let pixels = self.pixels(index)?;
            if job.augment.is_none() {
                self.normaliser.apply(&pixels, out);
            } else {
                self.normaliser.apply(&pixels, &mut plain);
                let mut rng = ChaCha8Rng::seed_from_u64(job.seed);
                rng.set_stream(position as u64);
                changer.apply(&plain, &mut rng, out);
            }
        }
        Ok(match &self.array {
            None => Input::Images(inputs),
            Some(extents) => Input::Array(Host {
                shape: [&[n], &extents[..]].concat(),
                data: HostData::Float(inputs),
            }),
        })
    }

    /// The samples from `start` on, at most `n`, unchanged.
    pub fn run(&self, start: usize, n: usize) -> BatchJob {
        BatchJob {
            indices: (start..(start + n).min(self.len())).collect(),
            augment: Augment::default(),
            seed: 0,
        }
    }
}
