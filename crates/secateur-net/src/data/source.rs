//! The parts of an opened data set, fitted to a network.

use secateur_onnx::model::ValueInfo;
use secateur_onnx::text::counted;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cache::Loader;
use super::dataset::noun;
use super::views::Chain;
use super::{
    Colour, DataConfig, DataError, Dataset, Labels, Part, Parts, Resize, SetApart, SkippedImage,
    Splits, count_classes, test_part,
};
use crate::task::Against;

/// Training data, and test data where there are some.
#[derive(Clone)]
pub struct Source {
    /// Training images; validation images of their own, if the data bring them, come last.
    pub train: Arc<dyn Dataset>,
    /// Test images.
    pub test: Option<Arc<dyn Dataset>>,
    /// Format, for people.
    pub kind: &'static str,
    /// What the user should know of these data.
    pub notes: Vec<String>,
    path: PathBuf,
    /// How many of the training images are the data's own validation part.
    n_validation: usize,
    set_apart: Option<SetApart>,
    sizes_differ: Option<[[usize; 2]; 2]>,
    /// What the user wants images to have where the network leaves it open.
    image_size: Option<[usize; 2]>,
    colour: Colour,
    /// As [`Part::taken_as_array`].
    array: Option<Arc<[usize]>>,
    loader: Arc<Loader>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("kind", &self.kind)
            .field("train", &self.train.len())
            .finish_non_exhaustive()
    }
}

impl Source {
    /// Data from anywhere: read by a [`super::Format`], or images of the caller's own. `path`
    /// says in messages where they are.
    ///
    /// # Errors
    /// [`DataError::Empty`] without images to train on, [`DataError::Unsupported`] for labels
    /// without a class and for validation images of another shape.
    pub fn new(path: &Path, mut parts: Parts, config: &DataConfig) -> Result<Self, DataError> {
        parts.check(path)?;
        // By the labels, so that the test part is the same where they are not used.
        let apart = test_part::take(&mut parts, config);
        if config.labels == Labels::None {
            parts = parts.without_labels();
        }
        let (mut train, test, notes) = (parts.train, parts.test, parts.notes);
        let n_validation = parts.validation.as_ref().map_or(0, |part| part.len());
        if let Some(second) = parts.validation {
            train = Arc::new(Chain {
                first: train,
                second,
            });
        }
        let cache = config.cache_mib.saturating_mul(1 << 20);
        Ok(Self {
            train,
            test,
            kind: parts.kind,
            notes,
            path: path.to_path_buf(),
            n_validation,
            set_apart: apart,
            sizes_differ: parts.sizes_differ,
            image_size: config.image_size,
            colour: Colour::Rgb,
            array: None,
            loader: Arc::new(Loader::new(cache, config.max_skipped)),
        })
    }

    /// Where the data are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `[h, w, c]` that the images have by themselves.
    ///
    /// # Errors
    /// [`DataError::SizesDiffer`] if they are not alike and no size was given.
    pub fn own_shape(&self) -> Result<[usize; 3], DataError> {
        match self.sizes_differ {
            None => Ok(self.train.image_shape()),
            Some(sizes) => Err(DataError::SizesDiffer {
                path: self.path.clone(),
                sizes,
            }),
        }
    }

    /// The same data as a network takes them: `input` is its `[c, h, w]`.
    ///
    /// Images in folders get that size; others stay, and [`super::ModelData::new`] tells if
    /// they do not fit.
    #[must_use]
    pub fn fitted(&self, [c, h, w]: [usize; 3], resize: Resize, colour: Colour) -> Self {
        let fit = |data: &Arc<dyn Dataset>| {
            data.resized([h, w, c], resize)
                .unwrap_or_else(|| data.clone())
        };
        Self {
            train: fit(&self.train),
            test: self.test.as_ref().map(fit),
            sizes_differ: None,
            colour,
            ..self.clone()
        }
    }

    /// The same data for these inputs of a network: arrays are matched with them and read.
    ///
    /// # Errors
    /// [`DataError::NoArray`], and what is wrong with an array.
    pub(super) fn for_inputs(&self, inputs: &[ValueInfo]) -> Result<Self, DataError> {
        let fit = |data: &Arc<dyn Dataset>| {
            let fitted = data.for_inputs(inputs);
            fitted.unwrap_or_else(|| Ok(data.clone()))
        };
        Ok(Self {
            train: fit(&self.train)?,
            test: self.test.as_ref().map(fit).transpose()?,
            ..self.clone()
        })
    }

    /// The same images as arrays of these extents.
    #[must_use]
    pub(super) fn taken_as_array(mut self, extents: Option<Arc<[usize]>>) -> Self {
        self.array = extents;
        self
    }

    /// Are the samples images?
    pub fn is_images(&self) -> bool {
        self.train.is_images()
    }

    /// What one of them is called: `image` or `sample`.
    pub fn noun(&self) -> &'static str {
        noun(self.train.as_ref())
    }

    /// Size that the user wants images to have where the network leaves it open.
    pub(super) fn image_size(&self) -> Option<[usize; 2]> {
        self.image_size
    }

    /// What networks are held against on these data: labels, where there are some.
    pub fn against(&self) -> Against {
        match self.train.is_labelled() {
            true => Against::Labels,
            false => Against::Original,
        }
    }

    /// Do the data bring a validation part of their own?
    pub fn has_validation(&self) -> bool {
        self.n_validation > 0
    }

    /// Splits the training samples: the data's own validation part if they have one, else
    /// some set apart by the seed.
    ///
    /// # Errors
    /// [`DataError::SplitTooLarge`].
    pub fn splits(
        &self,
        validation: usize,
        confirm_share: f64,
        seed: u64,
    ) -> Result<Splits, DataError> {
        let n = self.train.len();
        match self.n_validation {
            0 => Splits::new(n, validation, confirm_share, seed),
            given => Ok(Splits::given(n - given, given, confirm_share, seed)),
        }
    }

    /// How a test part was set apart, if the data have none of their own.
    pub fn set_apart(&self) -> Option<SetApart> {
        self.set_apart
    }

    /// Training samples at `indices`, checked, not normalised.
    ///
    /// # Errors
    /// [`DataError::TooManySkipped`], [`DataError::Empty`].
    pub fn load_train(&self, indices: &[usize]) -> Result<Part, DataError> {
        self.load(&self.train, indices, "training")
    }

    /// All test samples, checked, not normalised; `None` if there are none.
    ///
    /// # Errors
    /// As [`Source::load_train`].
    pub fn load_test(&self) -> Result<Option<Part>, DataError> {
        let Some(test) = &self.test else {
            return Ok(None);
        };
        let all: Vec<usize> = (0..test.len()).collect();
        self.load(test, &all, "test").map(Some)
    }

    fn load(
        &self,
        data: &Arc<dyn Dataset>,
        indices: &[usize],
        part: &str,
    ) -> Result<Part, DataError> {
        let place = format!("the {part} {}s in `{}`", self.noun(), self.path.display());
        let part = Part::load(data, indices, &place, self.colour, &self.loader)?;
        Ok(part.taken_as_array(self.array.clone()))
    }

    /// Images that were left out of the parts loaded until now.
    pub fn skipped(&self) -> Vec<SkippedImage> {
        self.loader.ledger.list()
    }

    /// A line for people: format, number of images, classes in the order of their labels.
    pub fn describe(&self) -> String {
        let n_train = self.train.len() - self.n_validation;
        let mut text = format!(
            "{}: {}",
            self.kind,
            counted(n_train, &format!("training {}", self.noun()))
        );
        if self.n_validation > 0 {
            text.push_str(&format!(", {} for validation", self.n_validation));
        }
        if let Some(test) = &self.test {
            text.push_str(&format!(", {} for the test", test.len()));
        }
        if !self.train.is_labelled() {
            return text + ", without labels";
        }
        let names = self.train.class_names();
        const SHOWN: usize = 20;
        let mut list = names[..names.len().min(SHOWN)].join(", ");
        if names.len() > SHOWN {
            list.push_str(", ...");
        }
        text.push_str(&format!(", {}: {list}", counted(names.len(), "class")));
        text
    }

    /// Fails for data without labels; `what` cannot be done then.
    ///
    /// # Errors
    /// [`DataError::NoLabels`].
    pub fn check_labelled(&self, what: &'static str) -> Result<(), DataError> {
        match self.against() {
            Against::Labels => Ok(()),
            Against::Original => Err(DataError::NoLabels {
                what,
                path: self.path.clone(),
            }),
        }
    }

    /// Number of training images of each class, the data's own validation part included.
    pub fn class_counts(&self) -> Vec<usize> {
        count_classes(self.train.as_ref())
    }
}
