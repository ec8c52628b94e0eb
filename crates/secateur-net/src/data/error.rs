//! What can go wrong with data.

use std::path::PathBuf;

use thiserror::Error;

/// Errors of reading data sets.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file system refused.
    #[error("cannot read `{}`: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
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
    /// Images and labels do not belong together.
    #[error(
        "cannot pair `{}` ({n_images} images) with `{}` ({n_labels} labels)",
        images.display(), labels.display()
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
        "cannot use the labels of {place}: item {index} has label {label}, the network has \
         {classes} classes (0 to {})", classes - 1
    )]
    LabelBeyondClasses {
        /// Which data.
        place: String,
        /// Index of the item.
        index: usize,
        /// Its label.
        label: usize,
        /// Outputs of the network, at least 1.
        classes: usize,
    },
    /// Images that the network does not take.
    #[error("cannot feed the network: it takes images of {model}, the data hold {data}")]
    ShapeDiffers {
        /// `CxHxW` of the model.
        model: String,
        /// `CxHxW` of the data.
        data: String,
    },
    /// More validation images than there are.
    #[error(
        "cannot split the training data: {validation} validation images and at least one to \
         train on, got {available} in all"
    )]
    SplitTooLarge {
        /// Wanted for validation.
        validation: usize,
        /// In the training data.
        available: usize,
    },
}

impl DataError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotRecognised { .. } => Some(
                "name the folder with `--data`; docs/data.md lists the layouts that are read"
                    .to_string(),
            ),
            Self::Format { .. } => {
                Some("the file looks truncated or is of another format; copy it again".to_string())
            }
            Self::SplitTooLarge { .. } => {
                Some("take fewer with `validation` in the `[data]` part of the config".to_string())
            }
            _ => None,
        }
    }
}
