//! How files become a network's input: what is said, what the model carries, and what to take
//! where neither knows.

use secateur_onnx::model::{InputShape, Model, ValueInfo};
use serde::{Deserialize, Serialize};

use super::arrays::Element;
use super::{
    Colour, DataConfig, DataError, Normalisation, NormaliseBy, Resize, SetApart, Source, metadata,
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

impl Preprocessing {
    /// Settings go first, then what the model carries, then what its exporter is known for.
    pub(super) fn new(model: &Model, source: &Source, config: &DataConfig) -> Self {
        let stored: Option<Self> = metadata::stored(model, metadata::PREPROCESSING);
        let exported = Exported::of(model);
        let resize = config.resize.or(stored.map(|p| p.resize));
        Self {
            resize: resize
                .or(exported.map(|known| known.resize))
                .unwrap_or_default(),
            colour: config
                .colour
                .or(stored.map(|p| p.colour))
                .unwrap_or(Colour::Rgb),
            set_apart: source.set_apart(),
        }
    }
}

/// Gives a model with open extents the size of the data: that of the images, or the extents of
/// the arrays for its inputs. Extents that are given stay. Notes it where each sample of the arrays fills
/// the first input, so that there is no axis for a batch.
///
/// # Errors
/// [`DataError::SizesDiffer`] if the images are not alike and no size was given.
pub fn settle_image_size(model: &mut Model, source: &Source) -> Result<(), DataError> {
    if !source.is_images() {
        let inputs: Vec<ValueInfo> = model.inputs();
        let given = model.input_shapes();
        let mut shapes = source.train.input_shapes(&inputs);
        let fills_input = |shape: &InputShape| shape.extents.first().is_some_and(Option::is_some);
        if shapes.first().is_some_and(fills_input) {
            model.set_no_batch();
        }
        shapes.retain(|shape| given.iter().all(|other| other.input != shape.input));
        let says_more = |shape: &InputShape, input: &ValueInfo| {
            let dims = input.shape.iter().zip(&shape.extents);
            let mut open = dims.filter(|(dim, _)| dim.fixed().is_none());
            !input.has_shape || open.any(|(_, extent)| extent.is_some())
        };
        shapes.retain(|shape| {
            let mut inputs = inputs.iter().filter(|input| input.name == shape.input);
            inputs.any(|input| says_more(shape, input))
        });
        // Shapes that contradict the file are told by `ModelData::new`, with the array's name.
        let _ = model.give_input_shapes(&shapes);
        return Ok(());
    }
    if model.lacks_image_size() {
        let exported = || Exported::of(model).and_then(|known| known.image_size);
        let [h, w] = match source.image_size().or_else(exported) {
            Some(size) => size,
            None => {
                let [h, w, _] = source.own_shape()?;
                [h, w]
            }
        };
        model.set_image_size([h, w]);
    }
    Ok(())
}

/// What the programs that export a network are known to feed it.
///
/// Source: Ultralytics' `Exporter.metadata` writes `stride`, `task`, `imgsz` and `author`; its
/// predictor gives RGB from 0 to 1, detectors by `LetterBox`, classifiers by `CenterCrop`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Exported {
    resize: Resize,
    image_size: Option<[usize; 2]>,
}

impl Exported {
    fn of(model: &Model) -> Option<Self> {
        model
            .metadata("author")
            .filter(|author| author.contains("Ultralytics"))?;
        let task = model.metadata("task")?;
        let size: Option<[usize; 2]> = model
            .metadata("imgsz")
            .and_then(|text| serde_json::from_str(text).ok());
        Some(Self {
            resize: match task {
                "classify" => Resize::default(),
                _ => Resize::Letterbox(114),
            },
            image_size: size.filter(|size| !size.contains(&0)),
        })
    }
}

/// How pixels are scaled: known, or to be measured on the training part.
pub(super) struct Scaling {
    pub(super) known: Option<Normalisation>,
    /// What the user should know where it is a guess.
    pub(super) note: Option<String>,
}

impl Scaling {
    /// Settings go first, then what the model carries, then what its exporter is known for.
    ///
    /// Where nothing says it, it is a guess, and without labels nothing tells whether it is right:
    /// accuracy cannot show it. Bytes for networks that take whole numbers; mean and deviation of
    /// the data for classifiers, since their trainings standardise, mostly by those of the data;
    /// 0 to 1 for others, as the detectors take that are published most (YOLOv5 and later).
    ///
    /// # Errors
    /// [`DataError::Normalisation`] for numbers that do not fit the channels.
    pub(super) fn new(
        model: &Model,
        source: &Source,
        config: &DataConfig,
        input: &ValueInfo,
        channels: usize,
        n_classes: Option<usize>,
        colour: Colour,
    ) -> Result<Self, DataError> {
        let named = |name: &str| NormaliseBy::Name(name.to_string());
        if let Some(by) = &config.normalise {
            let known = by.resolve(channels, colour)?;
            return Ok(Self { known, note: None });
        }
        let carried = metadata::stored(model, metadata::NORMALISATION);
        if carried.is_some() {
            return Ok(Self {
                known: carried,
                note: None,
            });
        }
        let (by, text) = if Exported::of(model).is_some() {
            (
                named("none"),
                "none (0 to 1), as its metadata are those of Ultralytics",
            )
        } else if Element::of(input) == Some(Element::Int) {
            (
                named("bytes"),
                "bytes (0 to 255), as the network takes whole numbers",
            )
        } else if n_classes.is_none() {
            (named("none"), "none (0 to 1), which is a guess")
        } else {
            (
                NormaliseBy::Measured,
                "the mean and deviation of the training part, which is a guess",
            )
        };
        // With labels, a wrong guess shows as a poor accuracy.
        let is_told = source.train.is_labelled() && n_classes.is_some();
        Ok(Self {
            known: by.resolve(channels, colour)?,
            note: (!is_told).then(|| {
                format!(
                    "pixels are normalised by {text}: the file does not say what the network was \
                     trained with, and a wrong scale spoils every answer of the given network \
                     without a sign; `normalise` sets another"
                )
            }),
        })
    }
}
