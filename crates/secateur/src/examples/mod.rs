//! Held-out samples on which the original and the result differ most, to look at.
//!
//! Means hide what goes wrong. These samples are picked for how much they differ, so they are
//! typical of nothing; how many do not differ at all is told beside them. In a run folder they lie
//! in `examples/`: `list.json`, and the pictures that it names (docs/run-folder.md).

mod differing;
mod folder;
mod input;
mod maps;
mod names;
mod picture;
mod pictures;
mod said;
mod take;
mod values;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use picture::Picture;
pub(crate) use take::{Found, take};

/// That there are no examples, as a note of the report.
pub(crate) fn not_shown(reason: &str) -> String {
    format!("examples are not shown: {reason}")
}

/// Samples that are shown at most.
const MOST_SHOWN: usize = 12;

/// The samples on which two networks differ most, of a part that nothing was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Examples {
    /// File name of the network that is held against the given one.
    pub network: String,
    /// Which part they are of.
    pub part: HeldOut,
    /// What numbers of samples count in.
    pub numbered_in: String,
    /// Samples of the part.
    pub samples: usize,
    /// Those of which both have the same quality.
    pub alike: usize,
    /// Those that differ most, the most differing first.
    pub shown: Vec<Example>,
}

/// A part of the data that was held out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeldOut {
    /// Read once, at the end.
    Test,
    /// What confirmed the result, where there are no test data.
    Confirm,
}

/// A sample, and what both networks make of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its number in the data, from 0.
    pub number: usize,
    /// Its file, if it has one of its own.
    pub file: Option<PathBuf>,
    /// Its class by the labels, where they count.
    pub label: Option<String>,
    /// Quality of the given network, 0..=1.
    pub original_quality: f32,
    /// Quality of the other one.
    pub result_quality: f32,
    /// What the networks took.
    pub inputs: Vec<ShownInput>,
    /// What they gave.
    pub said: Said,
}

/// An input of a network for one sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownInput {
    /// Name of the input.
    pub name: String,
    /// Its extents, without the axis of samples.
    pub shape: Vec<usize>,
    /// What can be shown of it.
    pub drawn: Drawn,
}

/// What can be shown of an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drawn {
    /// An image, or values over two axes.
    Picture(Picture),
    /// Values in a row.
    Line(Vec<Option<f32>>),
    /// Figures alone.
    Words(String),
}

/// What both networks gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Said {
    /// The likeliest classes, best first.
    Classes {
        /// Of the given network.
        original: Vec<NamedShare>,
        /// Of the other one.
        result: Vec<NamedShare>,
    },
    /// Boxes, best first, in pixels of the input.
    Boxes {
        /// Of the given network.
        original: Vec<NamedBox>,
        /// Of the other one.
        result: Vec<NamedBox>,
    },
    /// Maps of classes and masks.
    Maps {
        /// By output, and by channel where those are masks of their own.
        maps: Vec<DrawnMap>,
    },
    /// Texts.
    Texts {
        /// Of the given network.
        original: String,
        /// Of the other one.
        result: String,
    },
    /// Any values.
    Values {
        /// By output.
        outputs: Vec<DrawnValues>,
    },
}

/// A class with its share of the softmax.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedShare {
    /// The class by its name, or its number.
    pub class: String,
    /// 0..=1; none where scores are no numbers.
    pub share: Option<f64>,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedBox {
    /// The class by its name, or its number.
    pub class: String,
    /// 0..=1.
    pub score: f32,
    /// Left, top, right, bottom.
    pub corners: [f32; 4],
    /// Does the other network find it too?
    pub is_matched: bool,
}

/// A map of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawnMap {
    /// The output.
    pub name: String,
    /// Is it a mask, and not a map of classes?
    pub is_mask: bool,
    /// Which layer of a volume is drawn, and of how many; none for flat maps.
    pub layer: Option<[usize; 2]>,
    /// Share of the positions that agree.
    pub agreement: f64,
    /// Intersection over union, as a mean over the classes that occur.
    pub mean_iou: f64,
    /// The classes in the pictures, with their colours as style sheets have them.
    pub legend: Vec<(String, String)>,
    /// What the given network puts where.
    pub original: Picture,
    /// What the other one does.
    pub result: Picture,
    /// Where they differ.
    pub difference: Picture,
}

/// An output of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawnValues {
    /// The output.
    pub name: String,
    /// Its extents, without the axis of samples.
    pub shape: Vec<usize>,
    /// True if `error` is the share of differing whole numbers, and not in units of the deviation.
    pub is_whole: bool,
    /// None for what is no number.
    pub error: Option<f64>,
    /// The values.
    pub drawn: Option<BothDrawn>,
}

/// The values of an output of both networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BothDrawn {
    /// The given network's, the other one's, and their difference.
    Pictures(Box<[Picture; 3]>),
    /// The given network's and the other one's, in a row.
    Lines([Vec<Option<f32>>; 2]),
}
