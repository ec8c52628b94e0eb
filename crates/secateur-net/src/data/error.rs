//! What can go wrong with data.

use secateur_onnx::text::counted;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What a decoder or another reader said.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Errors of reading data sets.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system refused.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds nothing that is recognised.
    #[error("cannot find data in `{}`: {found}", path.display())]
    NotRecognised {
        /// The folder.
        path: PathBuf,
        /// What was looked for and what is there.
        found: String,
    },
    /// A file is not what its format says.
    #[error("cannot read `{}`: expected {expected}, got {got}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the format wants.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A file that its reader gives up on.
    #[error(
        "cannot read `{}`: expected {expected}, got one that breaks off or is damaged ({source})",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What the reader said.
        source: Cause,
    },
    /// A sound file whose content is of no use here.
    #[error("cannot use `{}`: expected {expected}, got {got}", path.display())]
    Unsupported {
        /// The file, or the array in it.
        path: PathBuf,
        /// What can be used.
        expected: String,
        /// What is there.
        got: String,
    },
    /// NaN or infinity among values.
    #[error("cannot use `{}`: expected finite values, got {value} at {place:?}", path.display())]
    NotFinite {
        /// The file, or the array in it.
        path: PathBuf,
        /// What is there.
        value: f32,
        /// Its index along each axis.
        place: Vec<usize>,
    },
    /// Nothing says which class a sample is of.
    #[error("cannot {what}: the data in `{}` have no labels", path.display())]
    NoLabels {
        /// What needs labels: `train`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
    },
    /// No images at all.
    #[error("cannot use `{}`: it holds no images", path.display())]
    Empty {
        /// The file or folder.
        path: PathBuf,
    },
    /// Images and labels do not belong together.
    #[error(
        "cannot pair `{}` ({}) with `{}` ({})",
        images.display(), counted(*n_images, "image"), labels.display(), counted(*n_labels, "label")
    )]
    CountsDiffer {
        /// File of images.
        images: PathBuf,
        /// File of labels.
        labels: PathBuf,
        /// Number of images.
        n_images: usize,
        /// Number of labels.
        n_labels: usize,
    },
    /// A label that the network has no output for.
    #[error(
        "cannot use the labels of {place}: item {index} has label {label}{}, the network has \
         {} (0 to {})", named(class, *label), counted(*classes, "class"), classes - 1
    )]
    LabelBeyondClasses {
        /// Which data.
        place: String,
        /// Index of the item.
        index: usize,
        /// Its label.
        label: usize,
        /// Its class by name.
        class: String,
        /// Outputs of the network, at least 1.
        classes: usize,
    },
    /// A class folder that the training data, or the list of classes, do not have.
    #[error(
        "cannot label the images of `{}`: expected one of the classes {known}, got `{class}`",
        path.display()
    )]
    UnknownClass {
        /// The folder of class folders.
        path: PathBuf,
        /// Name of the class.
        class: String,
        /// The classes that are known.
        known: String,
    },
    /// An input of the network that the data hold nothing for.
    #[error(
        "cannot feed the network: the data hold no array for its input `{input}` (`{}`: {arrays}); \
         its inputs are {inputs}", path.display()
    )]
    NoArray {
        /// The input.
        input: String,
        /// All inputs.
        inputs: String,
        /// The arrays that are there.
        arrays: String,
        /// Where the first lies.
        path: PathBuf,
    },
    /// Images for a network that does not take images alone.
    #[error("cannot feed the network with images: {reason}")]
    NoImageInput {
        /// What it takes instead.
        reason: String,
    },
    /// Images that the network does not take.
    #[error("cannot feed the network: it takes images of {model}, the data hold {data}")]
    ShapeDiffers {
        /// `CxHxW` of the model.
        model: String,
        /// `CxHxW` of the data.
        data: String,
    },
    /// One image of many is damaged: readers of whole parts leave it out.
    #[error("cannot decode image `{}`: {}", path.display(), one_line(source))]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Cause,
    },
    /// More damaged images than may be left out.
    #[error(
        "cannot use {place}: more than {} cannot be decoded, among them `{}` ({reason})",
        counted(*limit, "image"), last.display()
    )]
    TooManySkipped {
        /// Which data.
        place: String,
        /// Largest number that is left out.
        limit: usize,
        /// The one that was too many.
        last: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The classes stand in another order than those that the network was made for.
    #[error(
        "cannot match the classes: output {label} of the network is `{model}`, class {label} of \
         the data is `{data}`"
    )]
    ClassOrder {
        /// First that differs.
        label: usize,
        /// Name that the model carries.
        model: String,
        /// Name in the data.
        data: String,
    },
    /// The test part was set apart in another way than when the network was trained.
    #[error(
        "cannot use the test part: {data} are set apart for it, but when the network was \
         trained it was {model}"
    )]
    OtherTestPart {
        /// As the model says.
        model: String,
        /// As the settings say.
        data: String,
    },
    /// An array whose axes cannot be told apart.
    #[error("cannot tell the axes of `{}`: {reason}", path.display())]
    UnclearLayout {
        /// The array.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No size that all images have.
    #[error(
        "cannot tell the size of the images in `{}`: some are {}x{}, some {}x{} (height x width)",
        path.display(), sizes[0][0], sizes[0][1], sizes[1][0], sizes[1][1]
    )]
    SizesDiffer {
        /// The folder.
        path: PathBuf,
        /// Two of the sizes, `[height, width]`.
        sizes: [[usize; 2]; 2],
    },
    /// More validation images than there are.
    #[error(
        "cannot split the training data: {} and at least one to train on, got \
         {available} in all", counted(*validation, "validation sample")
    )]
    SplitTooLarge {
        /// Wanted for validation.
        validation: usize,
        /// In the training data.
        available: usize,
    },
    /// Fewer inputs than something needs.
    #[error("cannot {what}: expected {needed} training samples or more, got {got}")]
    TooFew {
        /// What needs them: `solve weights`.
        what: &'static str,
        /// How many it needs.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// Mean and deviation do not fit the images.
    #[error("cannot normalise: expected {expected}, got {got}")]
    Normalisation {
        /// What fits.
        expected: String,
        /// What was given.
        got: String,
    },
    /// The threads that prepare batches are gone.
    #[error("cannot prepare a batch: its thread ended early")]
    BatchThread,
}

/// The class behind a label, where it has a name of its own.
fn named(class: &str, label: usize) -> String {
    if class.is_empty() || class == label.to_string() {
        String::new()
    } else {
        format!(" (class `{class}`)")
    }
}

/// Some decoders end their text with a new line.
pub(super) fn one_line(cause: &Cause) -> String {
    cause.to_string().trim_end().to_string()
}

impl DataError {
    /// What the user can do about it; settings of [`super::DataConfig`] are named in
    /// backticks.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotRecognised { .. } => "docs/data.md lists the layouts that are read",
            Self::Format { .. } | Self::Damaged { .. } => {
                "the file looks truncated or is of another format; copy it again"
            }
            Self::Unsupported { .. } => "docs/data.md says which types and shapes are read",
            Self::NotFinite { .. } => {
                "leave that sample out of all arrays, or put a number there; the first index counts \
                 samples"
            }
            Self::CountsDiffer { .. } => "the files seem to come from different data sets",
            Self::LabelBeyondClasses { .. } => {
                "the network was made for other classes; its last layer needs an output for each"
            }
            Self::NoLabels { .. } => {
                "labels are folders of classes, label files or arrays of labels (docs/data.md); \
                 pruning needs none: it holds networks against the given one"
            }
            Self::Empty { .. } => {
                "sub-folders are taken for classes, each of which needs images; with `labels` none \
                 they are not"
            }
            Self::UnknownClass { .. } => {
                "every part needs the class folders of the training part; `classes.txt` names \
                 the classes in the order of the network's outputs"
            }
            Self::ShapeDiffers { .. } => {
                "images in folders are resized to fit; other formats must have the right size"
            }
            Self::NoArray { .. } | Self::NoImageInput { .. } => {
                "give an array for each input: `<input>.npy` in a folder, or an npz file with the \
                 inputs' names as keys; the first axis counts samples"
            }
            Self::TooFew { .. } => "give more inputs: some hundred do well",
            Self::TooManySkipped { .. } => {
                "copy the images again; `max_skipped` sets how many may be left out"
            }
            Self::ClassOrder { .. } => {
                "a file `classes.txt` in the data folder gives the order, one class a line"
            }
            Self::OtherTestPart { .. } => {
                "use the same `test_share` and `test_seed`, or test images count that the \
                 network was trained on"
            }
            Self::UnclearLayout { .. } => "say it with `layout`: nhwc or nchw",
            Self::SizesDiffer { .. } => "say which size they are to have with `image_size`",
            Self::SplitTooLarge { .. } => "take fewer with `validation`",
            Self::Normalisation { .. } => {
                "name one of imagenet, cifar10, mnist, half, none, bytes, or give a mean and a \
                 deviation for each channel, such as 0.5,0.5,0.5/0.2,0.2,0.2"
            }
            _ => return None,
        };
        Some(hint.to_string())
    }

    pub(super) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn format(path: &Path, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Format {
            path: path.to_path_buf(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    pub(super) fn damaged(path: &Path, expected: &'static str, source: impl Into<Cause>) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            expected,
            source: source.into(),
        }
    }

    pub(super) fn unsupported(
        path: &Path,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self::Unsupported {
            path: path.to_path_buf(),
            expected: expected.into(),
            got: got.into(),
        }
    }
}
