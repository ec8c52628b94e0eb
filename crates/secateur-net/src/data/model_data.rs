//! Data as a model takes them: what it carries, what the settings say, what is measured.

use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::dataset::check_fits;
use super::{
    Colour, DataConfig, DataError, Normalisation, Part, Resize, SetApart, Source, Splits, metadata,
};

/// How files become the network's input, besides the normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// How images in folders get the network's size.
    pub resize: Resize,
    /// Order of three channels.
    pub colour: Colour,
    /// The test part, if it was set apart by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_apart: Option<SetApart>,
}

/// Gives a model of open height and width the size of the data's images, unless it has one.
///
/// # Errors
/// [`DataError::SizesDiffer`] if the images are not alike and no size was given.
pub fn settle_image_size(model: &mut Model, source: &Source) -> Result<(), DataError> {
    if model.lacks_image_size() {
        let [h, w, _] = source.own_shape()?;
        model.set_image_size([h, w]);
    }
    Ok(())
}

/// A source fitted to a model, and split.
#[derive(Debug)]
pub struct ModelData {
    /// The data at the network's size.
    pub source: Source,
    /// The training images, split.
    pub splits: Splits,
    /// How images are normalised.
    pub normalisation: Normalisation,
    /// How files become input.
    pub preprocessing: Preprocessing,
    /// What the user should know.
    pub notes: Vec<String>,
    split: (u64, usize),
    /// Loaded already, where its mean and deviation had to be measured.
    train: Option<Part>,
}

impl ModelData {
    /// Fits `source` to a model with input `[c, h, w]`. Labels must be below `n_classes`, where
    /// they count.
    ///
    /// Settings go first, then what the model carries, then the defaults; the split is the
    /// model's if it carries one, so that nothing it was trained on becomes validation data.
    ///
    /// # Errors
    /// [`DataError`] if images, labels, classes or numbers do not fit, or nothing can be split
    /// off.
    pub fn new(
        model: &Model,
        source: &Source,
        config: &DataConfig,
        input: [usize; 3],
        n_classes: Option<usize>,
    ) -> Result<Self, DataError> {
        let stored: Option<Preprocessing> = stored(model, metadata::PREPROCESSING);
        let preprocessing = Preprocessing {
            resize: config
                .resize
                .or(stored.map(|p| p.resize))
                .unwrap_or_default(),
            colour: config
                .colour
                .or(stored.map(|p| p.colour))
                .unwrap_or(Colour::Rgb),
            set_apart: source.set_apart(),
        };
        check_test_part(stored.and_then(|p| p.set_apart), source.set_apart())?;
        let source = source.fitted(input, preprocessing.resize, preprocessing.colour);
        check_fits(source.train.as_ref(), "the training data", input, n_classes)?;
        if let Some(test) = &source.test {
            check_fits(test.as_ref(), "the test data", input, n_classes)?;
        }
        let mut notes = source.notes.clone();
        if let Some(n_classes) = n_classes {
            notes.extend(check_classes(model, &source, n_classes)?);
        }
        let (split, note) = split_of(model, &source, config);
        notes.extend(note.filter(|_| !source.has_validation()));
        let splits = source.splits(split.1, config.confirm_share, split.0)?;
        let known = match &config.normalise {
            Some(by) => by.resolve(input[0], preprocessing.colour)?,
            None => self::stored(model, metadata::NORMALISATION),
        };
        let (normalisation, train) = match known {
            Some(normalisation) => (normalisation, None),
            None => {
                let part = source.load_train(&splits.train)?;
                (part.measure()?, Some(part))
            }
        };
        normalisation.check(input[0])?;
        Ok(Self {
            source,
            splits,
            normalisation,
            preprocessing,
            notes,
            split,
            train,
        })
    }

    /// The images to train on.
    ///
    /// # Errors
    /// As [`Source::load_train`].
    pub fn train(&mut self) -> Result<Part, DataError> {
        match self.train.take() {
            Some(part) => part.normalised(&self.normalisation),
            None => self.load(&self.splits.train),
        }
    }

    /// Some of the training images.
    ///
    /// # Errors
    /// As [`Source::load_train`].
    pub fn load(&self, indices: &[usize]) -> Result<Part, DataError> {
        self.source
            .load_train(indices)?
            .normalised(&self.normalisation)
    }

    /// The test images, if there are some.
    ///
    /// # Errors
    /// As [`Source::load_test`].
    pub fn test(&self) -> Result<Option<Part>, DataError> {
        let part = self.source.load_test()?;
        part.map(|part| part.normalised(&self.normalisation))
            .transpose()
    }

    /// Leaves in a model what later commands must know to take the same images.
    pub fn store(&self, model: &mut Model) {
        let mut set = |key: &str, json: serde_json::Result<String>| {
            // Plain numbers and texts: writing them cannot fail.
            model.set_metadata(key, json.unwrap_or_default());
        };
        set(
            metadata::NORMALISATION,
            serde_json::to_string(&self.normalisation),
        );
        set(
            metadata::PREPROCESSING,
            serde_json::to_string(&self.preprocessing),
        );
        set(
            metadata::CLASSES,
            serde_json::to_string(self.source.train.class_names()),
        );
        set(metadata::SPLIT, serde_json::to_string(&self.split));
    }
}

/// What a model carries under a key, if it is what we write there.
fn stored<T: DeserializeOwned>(model: &Model, key: &str) -> Option<T> {
    serde_json::from_str(model.metadata(key)?).ok()
}

/// Test images of this run must not be training images of an earlier one.
fn check_test_part(then: Option<SetApart>, now: Option<SetApart>) -> Result<(), DataError> {
    match (then, now) {
        (Some(then), Some(now)) if then != now => Err(DataError::OtherTestPart {
            model: then.to_string(),
            data: now.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Seed and size of the validation split, and what the user should know of it: the model's if
/// it carries one, so that nothing it was trained on becomes validation data.
fn split_of(model: &Model, source: &Source, config: &DataConfig) -> ((u64, usize), Option<String>) {
    let n = source.train.len();
    let own = (config.split_seed, config.validation_of(n));
    let Some(carried): Option<(u64, usize)> = stored(model, metadata::SPLIT) else {
        return (own, None);
    };
    let apart = carried.1;
    match config.validation {
        _ if apart >= n => {
            let note = format!(
                "the network was trained on other data ({apart} images were set apart, these are \
                 {n}): what is set apart here it may have seen"
            );
            (own, Some(note))
        }
        Some(wanted) if apart == 0 && wanted > 0 => {
            let note = "the network was trained on all images, also on those that are now taken \
                        for validation: it does better on them than on new ones";
            (own, Some(note.to_string()))
        }
        Some(wanted) if wanted != apart => {
            let note = format!(
                "`validation` {wanted} is not used: when the network was trained {apart} images \
                 were set apart, and it has seen all others"
            );
            (carried, Some(note))
        }
        _ => (carried, None),
    }
}

/// Classes of the data against the outputs, and against the classes that the model carries.
fn check_classes(
    model: &Model,
    source: &Source,
    n_classes: usize,
) -> Result<Vec<String>, DataError> {
    let names = source.train.class_names();
    let mut notes = Vec::new();
    if names.len() < n_classes {
        notes.push(format!(
            "the data have {}, the network has {}",
            counted(names.len(), "class"),
            counted(n_classes, "output")
        ));
    }
    let known: Vec<String> = stored(model, metadata::CLASSES).unwrap_or_default();
    if known.is_empty() || known == names {
        return Ok(notes);
    }
    // A class that the network knows under another number would be learnt and counted as that
    // other one.
    let is_elsewhere = |&label: &usize| {
        let own = known.iter().position(|name| *name == names[label]);
        own.is_some_and(|own| own != label)
    };
    if let Some(label) = (0..names.len()).find(is_elsewhere) {
        return Err(DataError::ClassOrder {
            label,
            model: known.get(label).cloned().unwrap_or_default(),
            data: names[label].clone(),
        });
    }
    let numbered = |names: &[String]| names.iter().enumerate().all(|(i, n)| *n == i.to_string());
    if !numbered(&known) && !numbered(names) {
        notes.push(
            "the model was made for other classes than the data have, by their names".to_string(),
        );
    }
    Ok(notes)
}
