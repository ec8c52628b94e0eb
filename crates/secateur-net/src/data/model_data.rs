//! Data as a model takes them: what it carries, what the settings say, what is measured.

use secateur_onnx::model::{Model, ValueInfo};
use secateur_onnx::text::counted;

use super::dataset::check_fits;
use super::image_form::ImageForm;
use super::preprocessing::Scaling;
use super::{
    DataConfig, DataError, Normalisation, Part, Preprocessing, SetApart, Source, Splits, metadata,
};

/// A source fitted to a model, and split.
#[derive(Debug)]
pub struct ModelData {
    /// The data at the network's size.
    pub source: Source,
    /// The training samples, split.
    pub splits: Splits,
    /// How images are normalised; empty for arrays, which are taken as they are.
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
    /// Fits `source` to a model with these inputs. Labels must be below `n_classes`, where there
    /// are classes; else they are not used.
    ///
    /// Settings go first, then what the model carries, then the defaults; the split is the
    /// model's if it carries one, so that nothing it was trained on becomes validation data.
    ///
    /// # Errors
    /// [`DataError`] if images, arrays, labels, classes or numbers do not fit, or nothing can be
    /// split off.
    pub fn new(
        model: &Model,
        source: &Source,
        config: &DataConfig,
        inputs: &[ValueInfo],
        n_classes: Option<usize>,
    ) -> Result<Self, DataError> {
        let preprocessing = Preprocessing::new(model, source, config);
        let apart: Option<Preprocessing> = metadata::stored(model, metadata::PREPROCESSING);
        check_test_part(apart.and_then(|p| p.set_apart), source.set_apart())?;
        let mut source = source.for_inputs(inputs)?;
        let mut notes = source.notes.clone();
        let mut scaling = Scaling {
            known: Some(Normalisation::identity(0)),
            note: None,
        };
        if source.is_images() {
            let form = ImageForm::of(inputs, &source)?;
            source = source
                .fitted(form.shape, preprocessing.resize, preprocessing.colour)
                .taken_as_array(form.array);
            scaling = Scaling::new(
                model,
                &source,
                config,
                &inputs[0],
                form.shape[0],
                n_classes,
                preprocessing.colour,
            )?;
            check_parts(&source, form.shape, n_classes)?;
        }
        notes.extend(scaling.note);
        match n_classes.filter(|_| source.train.is_labelled()) {
            Some(n_classes) => notes.extend(check_classes(model, &source, n_classes)?),
            None => notes.extend(unused_labels(&source)),
        }
        let (split, note) = split_of(model, &source, config);
        notes.extend(note.filter(|_| !source.has_validation()));
        let splits = source.splits(split.1, config.confirm_share, split.0)?;
        let (normalisation, train) = match scaling.known {
            Some(normalisation) => (normalisation, None),
            None => {
                let part = source.load_train(&splits.train)?;
                (part.measure()?, Some(part))
            }
        };
        normalisation.check(source.train.image_shape()[2])?;
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

    /// The samples to train on.
    ///
    /// # Errors
    /// As [`Source::load_train`].
    pub fn train(&mut self) -> Result<Part, DataError> {
        match self.train.take() {
            Some(part) => part.normalised(&self.normalisation),
            None => self.load(&self.splits.train),
        }
    }

    /// Some of the training samples.
    ///
    /// # Errors
    /// As [`Source::load_train`].
    pub fn load(&self, indices: &[usize]) -> Result<Part, DataError> {
        self.source
            .load_train(indices)?
            .normalised(&self.normalisation)
    }

    /// The test samples, if there are some.
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
        if self.source.is_images() {
            set(
                metadata::NORMALISATION,
                serde_json::to_string(&self.normalisation),
            );
        }
        set(
            metadata::PREPROCESSING,
            serde_json::to_string(&self.preprocessing),
        );
        if self.source.train.is_labelled() {
            set(
                metadata::CLASSES,
                serde_json::to_string(self.source.train.class_names()),
            );
        }
        set(metadata::SPLIT, serde_json::to_string(&self.split));
    }
}

/// Checks that images fit the network, and labels its outputs where they count.
fn check_parts(
    source: &Source,
    shape: [usize; 3],
    n_classes: Option<usize>,
) -> Result<(), DataError> {
    let test = source.test.as_ref().map(|test| (test, "the test data"));
    for (data, place) in [(&source.train, "the training data")]
        .into_iter()
        .chain(test)
    {
        let n_classes = n_classes.filter(|_| data.is_labelled());
        check_fits(data.as_ref(), place, shape, n_classes)?;
    }
    Ok(())
}

/// Says so if the data bring labels that the network has no classes for.
fn unused_labels(source: &Source) -> Option<String> {
    source.train.is_labelled().then(|| {
        "the labels of the data are not used: the network's outputs are no class scores".to_string()
    })
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
    let Some(carried): Option<(u64, usize)> = metadata::stored(model, metadata::SPLIT) else {
        return (own, None);
    };
    let apart = carried.1;
    match config.validation {
        _ if apart >= n => {
            let note = format!(
                "the network was trained on other data ({apart} {}s were set apart, these are \
                 {n}): what is set apart here it may have seen",
                source.noun()
            );
            (own, Some(note))
        }
        Some(wanted) if apart == 0 && wanted > 0 => {
            let note = "the network was trained on all samples, also on those that are now taken \
                        for validation: it does better on them than on new ones";
            (own, Some(note.to_string()))
        }
        Some(wanted) if wanted != apart => {
            let note = format!(
                "`validation` {wanted} is not used: when the network was trained {apart} samples \
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
    let known: Vec<String> = metadata::stored(model, metadata::CLASSES).unwrap_or_default();
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
