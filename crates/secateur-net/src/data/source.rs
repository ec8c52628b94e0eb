//! The parts of an opened data set, fitted to a network.

use secateur_onnx::text::counted;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cache::Loader;
use super::split::set_apart;
use super::views::{Chain, Subset};
use super::{
    Colour, DataConfig, DataError, Dataset, Part, Parts, Resize, SkippedImage, Splits,
    count_classes,
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
    colour: Colour,
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

/// A test part that was set apart from data without parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SetApart {
    /// Share of each class.
    pub share: f64,
    /// Seed that picked the images.
    pub seed: u64,
}

impl std::fmt::Display for SetApart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} % of each class by seed {}",
            100.0 * self.share,
            self.seed
        )
    }
}

impl Source {
    /// Data from anywhere: read by a [`super::Format`], or images of the caller's own. `path`
    /// says in messages where they are.
    ///
    /// # Errors
    /// [`DataError::Empty`] without images to train on, [`DataError::Unsupported`] for labels
    /// without a class and for validation images of another shape.
    pub fn new(path: &Path, parts: Parts, config: &DataConfig) -> Result<Self, DataError> {
        check_parts(path, &parts)?;
        let (mut train, mut test) = (parts.train, parts.test);
        let (mut notes, mut apart) = (parts.notes, None);
        if !parts.has_parts && test.is_none() && config.test_share > 0.0 {
            let labels: Vec<usize> = (0..train.len()).map(|i| train.label(i)).collect();
            let (rest, picked) = set_apart(&labels, config.test_share, config.test_seed);
            if !picked.is_empty() && !rest.is_empty() {
                notes.push(format!(
                    "no test part: {} of {} are set apart for it, {} % of each class, by seed {}",
                    picked.len(),
                    counted(labels.len(), "image"),
                    100.0 * config.test_share,
                    config.test_seed
                ));
                test = Some(Arc::new(Subset::new(train.clone(), picked)));
                train = Arc::new(Subset::new(train, rest));
                apart = Some(SetApart {
                    share: config.test_share,
                    seed: config.test_seed,
                });
            }
        }
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
            colour: Colour::Rgb,
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

    /// Splits the training images: the data's own validation part if they have one, else
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

    /// Training images at `indices`, checked, not normalised.
    ///
    /// # Errors
    /// [`DataError::TooManySkipped`], [`DataError::Empty`].
    pub fn load_train(&self, indices: &[usize]) -> Result<Part, DataError> {
        let place = format!("the training images in `{}`", self.path.display());
        Part::load(&self.train, indices, &place, self.colour, &self.loader)
    }

    /// All test images, checked, not normalised; `None` if there are none.
    ///
    /// # Errors
    /// As [`Source::load_train`].
    pub fn load_test(&self) -> Result<Option<Part>, DataError> {
        let Some(test) = &self.test else {
            return Ok(None);
        };
        let all: Vec<usize> = (0..test.len()).collect();
        let place = format!("the test images in `{}`", self.path.display());
        Part::load(test, &all, &place, self.colour, &self.loader).map(Some)
    }

    /// Images that were left out of the parts loaded until now.
    pub fn skipped(&self) -> Vec<SkippedImage> {
        self.loader.ledger.list()
    }

    /// A line for people: format, number of images, classes in the order of their labels.
    pub fn describe(&self) -> String {
        let n_train = self.train.len() - self.n_validation;
        let mut text = format!("{}: {}", self.kind, counted(n_train, "training image"));
        if self.n_validation > 0 {
            text.push_str(&format!(", {} for validation", self.n_validation));
        }
        if let Some(test) = &self.test {
            text.push_str(&format!(", {} for the test", test.len()));
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

    /// Number of training images of each class, the data's own validation part included.
    pub fn class_counts(&self) -> Vec<usize> {
        count_classes(self.train.as_ref())
    }
}

/// Checks what every reader should see to, so that a mistake in one is no panic later.
fn check_parts(path: &Path, parts: &Parts) -> Result<(), DataError> {
    let shape = parts.train.image_shape();
    if parts.train.is_empty() || shape.contains(&0) {
        return Err(DataError::Empty {
            path: path.to_path_buf(),
        });
    }
    // Validation images are appended to the training images, whose classes then count.
    let own = parts.train.n_classes();
    let all = [
        Some((&parts.train, own)),
        parts.validation.as_ref().map(|data| (data, own)),
        parts.test.as_ref().map(|data| (data, data.n_classes())),
    ];
    for (data, n_classes) in all.into_iter().flatten() {
        let beyond = (0..data.len())
            .map(|index| (index, data.label(index)))
            .find(|&(_, label)| label >= n_classes);
        if let Some((index, label)) = beyond {
            return Err(DataError::unsupported(
                path,
                format!("labels below the number of classes, {n_classes}"),
                format!("label {label} of item {index}"),
            ));
        }
    }
    match &parts.validation {
        Some(other) if other.image_shape() != shape => Err(DataError::unsupported(
            path,
            format!("images of {shape:?} as in the training part"),
            format!("{:?}", other.image_shape()),
        )),
        _ => Ok(()),
    }
}
