//! What a network and the original say of one sample, side by side, for people.

/// What the original and a network made from it give for the same sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<T> {
    /// Of the given network.
    pub original: T,
    /// Of the network that is held against it.
    pub result: T,
}

impl<T> Pair<T> {
    /// The same of both.
    pub fn map<'a, U>(&'a self, of: impl Fn(&'a T) -> U) -> Pair<U> {
        Pair {
            original: of(&self.original),
            result: of(&self.result),
        }
    }
}

/// What both say of a sample, by the kind of task.
#[derive(Debug, Clone, PartialEq)]
pub enum Contrast {
    /// The likeliest classes, best first.
    Classes(Pair<Vec<ClassShare>>),
    /// Boxes that count, best first.
    Boxes(Pair<Vec<ShownBox>>),
    /// Maps, by output.
    Maps(Vec<ShownMap>),
    /// Rows of class scores over time, read as texts.
    Texts {
        /// The classes that remain of the paths; `None` where scores are no numbers.
        texts: Pair<Vec<Option<u32>>>,
        /// Number of classes.
        classes: usize,
        /// The class that stands for nothing.
        blank: Option<u32>,
    },
    /// Values, by output.
    Values(Vec<ShownValues>),
}

/// A class with its share of the softmax.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassShare {
    /// Number of the class.
    pub class: u32,
    /// 0..=1; NaN where scores are no numbers.
    pub share: f64,
}

/// A box of one of both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShownBox {
    /// Number of the class.
    pub class: u32,
    /// 0..=1.
    pub score: f32,
    /// Left, top, right, bottom, as the network gives them: pixels of its input, or shares of it.
    pub corners: [f32; 4],
    /// Does the other network find it too?
    pub is_matched: bool,
}

/// What lies at a position of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The background of a mask.
    Background,
    /// A class; that of masks is 0.
    Class(u32),
    /// Scores that are no numbers.
    NoNumber,
}

/// A map of both.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownMap {
    /// The output, with its channel where that is a mask of its own.
    pub name: String,
    /// Is it a mask, and not a map of classes?
    pub is_mask: bool,
    /// Depth, height, width; depth is 1 for flat maps.
    pub extents: [usize; 3],
    /// What lies where, row-major.
    pub places: Pair<Vec<Place>>,
    /// Intersection over union, as a mean over the classes that occur.
    pub mean_iou: f64,
}

/// An output of both, as values.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownValues {
    /// The output.
    pub name: String,
    /// Whole numbers: `error` is the share that differs, and not a share of the deviation.
    pub is_whole: bool,
    /// In units of the output's deviation; infinite for what is no number.
    pub error: f64,
    /// Extents, without the axis of samples.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Pair<Vec<f32>>,
}
