//! What image sets in shards have in common: which files are which part, and what their labels
//! mean. How a shard is read is its format's matter.

mod files;
mod labels;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use files::{Shards, find};
use labels::Classes;
pub(super) use labels::{Named, RawLabels};

use super::encoded::{Encoded, EncodedParts, Unsized};
use super::names::or_test;
use crate::data::{DataConfig, DataError, Parts};

/// One part, as read from its shards.
pub(super) struct ShardPart {
    pub(super) images: Arc<dyn Encoded>,
    /// Of each image.
    pub(super) labels: RawLabels,
}

/// Which part shards are read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Train,
    Validation,
    Test,
}

/// Reads the parts and puts them together.
///
/// # Errors
/// What `read` finds; [`DataError::Unsupported`] without images, it and
/// [`DataError::UnknownClass`] for labels that do not belong together.
pub(super) fn open(
    kind: &'static str,
    shards: &Shards,
    config: &DataConfig,
    mut read: impl FnMut(Role, &[PathBuf]) -> Result<(ShardPart, Vec<String>), DataError>,
) -> Result<Parts, DataError> {
    let mut notes = shards.notes.clone();
    let mut part = |role, files: &[PathBuf], notes: &mut Vec<String>| {
        if files.is_empty() {
            return Ok(None);
        }
        let (part, told) = read(role, files)?;
        notes.extend(told);
        match part.images.len() {
            0 => Err(DataError::unsupported(&files[0], "images", "none")),
            _ => Ok(Some(part)),
        }
    };
    let train = part(Role::Train, &shards.train, &mut notes)?;
    let Some(train) = train else {
        return Err(DataError::Empty {
            path: shards.folder.clone(),
        });
    };
    let validation = part(Role::Validation, &shards.validation, &mut notes)?;
    let test = part(Role::Test, &shards.test, &mut notes)?;

    let classes = Classes::of(&shards.folder, &train.labels)?;
    let mut labelled = |part: Option<ShardPart>, files: &[PathBuf]| match part {
        Some(part) if classes.is_some() && part.labels.has_none() => {
            notes.push(without_labels(&files[0]));
            None
        }
        part => part,
    };
    let validation = labelled(validation, &shards.validation);
    let test = labelled(test, &shards.test);
    let (validation, test) = or_test(validation, test);
    let resolved = |part: ShardPart| -> Result<Unsized, DataError> {
        Ok(Unsized {
            labels: match &classes {
                Some(classes) => classes.labels(part.labels)?,
                None => vec![0; part.images.len()],
            },
            images: part.images,
        })
    };
    let parts = EncodedParts {
        kind,
        train: resolved(train)?,
        validation: validation.map(resolved).transpose()?,
        test: test.map(resolved).transpose()?,
        class_names: classes.as_ref().map(Classes::names),
        has_parts: shards.has_parts,
        notes,
    };
    parts.sized(config.image_size)
}

/// ImageNet's test part on the Hub is one.
fn without_labels(file: &Path) -> String {
    format!(
        "`{}` and the other files of its part are left out: they have no labels",
        file.display()
    )
}
