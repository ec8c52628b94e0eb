//! Labels as shards hold them, and the classes that they mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use crate::data::DataError;
use crate::data::formats::names::{MAX_LABEL, class_list, numbered, shortened};

/// What the numbers of [`RawLabels`] mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data::formats) enum Named {
    /// Nothing: they are the labels.
    Numbers,
    /// Classes that the files list in this order.
    Declared(Vec<String>),
    /// Names that were met, in no order.
    Met(IndexSet<String>),
}

/// Stands for a label that is missing.
const MISSING: u32 = u32::MAX;

/// Labels of one part.
#[derive(Debug)]
pub(in crate::data::formats) struct RawLabels {
    /// A file of the part, for people.
    place: PathBuf,
    named: Named,
    numbers: Vec<u32>,
    n_missing: usize,
}

impl RawLabels {
    /// None yet, of a part that begins with the file at `place`.
    pub(in crate::data::formats) fn new(place: &Path, named: Named) -> Self {
        Self {
            place: place.to_path_buf(),
            named,
            numbers: Vec::new(),
            n_missing: 0,
        }
    }

    /// Adds a number; -1 means that there is none, as the Hub writes it.
    ///
    /// # Errors
    /// What is expected instead.
    pub(in crate::data::formats) fn push_number(&mut self, number: i64) -> Result<(), String> {
        if number == -1 {
            self.push_missing();
            return Ok(());
        }
        let end = match &self.named {
            Named::Numbers => MAX_LABEL + 1,
            Named::Declared(names) => names.len().min(MAX_LABEL as usize + 1) as u32,
            Named::Met(names) if names.is_empty() && self.numbers.len() == self.n_missing => {
                self.named = Named::Numbers;
                MAX_LABEL + 1
            }
            Named::Met(_) => return Err("a name as other labels are".to_string()),
        };
        match u32::try_from(number) {
            Ok(label) if label < end => self.numbers.push(label),
            _ => return Err(format!("a label from 0 to {}", end.saturating_sub(1))),
        }
        Ok(())
    }

    /// Adds the name of a class.
    ///
    /// # Errors
    /// What is expected instead.
    pub(in crate::data::formats) fn push_name(&mut self, name: &str) -> Result<(), String> {
        let Named::Met(names) = &mut self.named else {
            return Err("a number as other labels are".to_string());
        };
        let number = match names.get_index_of(name) {
            Some(number) => number,
            None => names.insert_full(name.to_string()).0,
        };
        self.numbers
            .push(u32::try_from(number).unwrap_or(MISSING - 1));
        Ok(())
    }

    /// Adds an image without a label.
    pub(in crate::data::formats) fn push_missing(&mut self) {
        self.numbers.push(MISSING);
        self.n_missing += 1;
    }

    /// Adds those of another shard of the part.
    ///
    /// # Errors
    /// [`DataError::Unsupported`] if those are names and these numbers.
    pub(in crate::data::formats) fn append(&mut self, other: Self) -> Result<(), DataError> {
        if self.has_none() && self.named != other.named {
            self.named = other.named.clone();
        }
        let same: Vec<u32> = match (&mut self.named, &other.named) {
            (_, _) if other.has_none() => other.numbers,
            (Named::Met(names), Named::Met(added)) => {
                let place = |name: &String| names.insert_full(name.clone()).0 as u32;
                let places: Vec<u32> = added.iter().map(place).collect();
                let moved = |number: u32| match number {
                    MISSING => MISSING,
                    number => places[number as usize],
                };
                other.numbers.into_iter().map(moved).collect()
            }
            (named, others) if named == others => other.numbers,
            _ => {
                return Err(DataError::unsupported(
                    &other.place,
                    format!("labels as in `{}`", self.place.display()),
                    "names in one, numbers in the other, or other classes",
                ));
            }
        };
        self.numbers.extend(same);
        self.n_missing += other.n_missing;
        Ok(())
    }

    /// True if no image has a label.
    pub(super) fn has_none(&self) -> bool {
        self.n_missing == self.numbers.len()
    }
}

/// The classes of a set, in the order of the network's outputs.
#[derive(Debug)]
pub(super) struct Classes {
    names: Arc<[String]>,
    /// Numbers of the files are those of `names`.
    is_numbered: bool,
}

impl Classes {
    /// Of training labels: those of `classes.txt`, else those that the files declare, else the
    /// names that were met by the alphabet, else numbers. `None` without labels.
    ///
    /// # Errors
    /// [`DataError::Unsupported`] if `classes.txt` has fewer names than there are numbers.
    pub(super) fn of(folder: &Path, labels: &RawLabels) -> Result<Option<Self>, DataError> {
        if labels.has_none() {
            return Ok(None);
        }
        let listed = class_list(folder)?;
        let names: Arc<[String]> = match (&labels.named, listed) {
            (Named::Numbers, listed) => {
                let numbers = labels.numbers.iter().filter(|&&number| number != MISSING);
                numbered(folder, listed, numbers.max().copied())?
            }
            (_, Some(listed)) => listed.into(),
            (Named::Declared(names), None) => names.clone().into(),
            (Named::Met(names), None) => {
                let mut names: Vec<String> = names.iter().cloned().collect();
                names.sort();
                names.into()
            }
        };
        Ok(Some(Self {
            names,
            is_numbered: labels.named == Named::Numbers,
        }))
    }

    pub(super) fn names(&self) -> Arc<[String]> {
        self.names.clone()
    }

    /// The labels of a part.
    ///
    /// # Errors
    /// [`DataError::Unsupported`] for an image without a label, [`DataError::UnknownClass`].
    pub(super) fn labels(&self, raw: RawLabels) -> Result<Vec<u32>, DataError> {
        if raw.n_missing > 0 {
            let got = format!("{} of {} without one", raw.n_missing, raw.numbers.len());
            return Err(DataError::unsupported(
                &raw.place,
                "a label for every image",
                got,
            ));
        }
        let names: Vec<&String> = match &raw.named {
            Named::Numbers if self.is_numbered => return self.known(raw),
            Named::Numbers => {
                let expected = "labels by name as in the training part";
                return Err(DataError::unsupported(&raw.place, expected, "numbers"));
            }
            Named::Declared(names) => names.iter().collect(),
            Named::Met(names) => names.iter().collect(),
        };
        let place = |name: &&String| self.names.iter().position(|known| known == *name);
        let places: Vec<Option<usize>> = match &raw.named {
            // Names that are declared may come twice, as ImageNet's cranes do.
            Named::Declared(names) if names[..] == self.names[..] => {
                (0..names.len()).map(Some).collect()
            }
            _ => names.iter().map(place).collect(),
        };
        let label = |number: u32| match places[number as usize] {
            Some(label) => Ok(label as u32),
            None => Err(DataError::UnknownClass {
                path: raw.place.clone(),
                class: names[number as usize].clone(),
                known: shortened(&self.names),
            }),
        };
        raw.numbers.iter().map(|&number| label(number)).collect()
    }

    fn known(&self, raw: RawLabels) -> Result<Vec<u32>, DataError> {
        let beyond = raw
            .numbers
            .iter()
            .find(|&&n| n as usize >= self.names.len());
        match beyond {
            None => Ok(raw.numbers),
            Some(label) => Err(DataError::unsupported(
                &raw.place,
                format!(
                    "labels from 0 to {} as in the training part",
                    self.names.len() - 1
                ),
                label.to_string(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(names: &[&str]) -> RawLabels {
        let mut labels = RawLabels::new(Path::new("shard"), Named::Met(IndexSet::new()));
        names
            .iter()
            .for_each(|name| labels.push_name(name).unwrap());
        labels
    }

    fn classes(labels: &RawLabels, listed: Option<&str>) -> Classes {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = listed {
            std::fs::write(folder.path().join("classes.txt"), text).unwrap();
        }
        Classes::of(folder.path(), labels).unwrap().unwrap()
    }

    #[test]
    fn names_of_all_shards_are_classes_by_the_alphabet() {
        let mut labels = met(&["dog", "cat", "dog"]);
        labels.append(met(&["bird", "dog"])).unwrap();
        let found = classes(&labels, None);
        assert_eq!(found.names()[..], ["bird", "cat", "dog"]);
        assert_eq!(found.labels(labels).unwrap(), [2, 1, 2, 0, 2]);
        let error = found.labels(met(&["cat", "cow"])).unwrap_err();
        assert!(error.to_string().contains("got `cow`"), "{error}");
    }

    #[test]
    fn classes_txt_gives_the_order() {
        let labels = met(&["dog", "cat"]);
        assert_eq!(
            classes(&labels, Some("dog\ncow\ncat"))
                .labels(labels)
                .unwrap(),
            [0, 2]
        );
        let names = || Named::Declared(["a", "b"].map(str::to_string).to_vec());
        let mut labels = RawLabels::new(Path::new("shard"), names());
        [1, 0]
            .into_iter()
            .for_each(|n| labels.push_number(n).unwrap());
        assert_eq!(
            classes(&labels, Some("b\na")).labels(labels).unwrap(),
            [0, 1]
        );
    }

    #[test]
    fn numbers_are_held_within_the_classes() {
        let mut labels = RawLabels::new(Path::new("shard"), Named::Numbers);
        assert!(
            labels
                .push_number(1_000_000)
                .unwrap_err()
                .contains("999999")
        );
        assert!(labels.push_number(-2).is_err() && labels.push_name("cat").is_err());
        labels.push_number(2).unwrap();
        let found = classes(&labels, None);
        assert_eq!(found.names()[..], ["0", "1", "2"]);
        let mut more = RawLabels::new(Path::new("other"), Named::Numbers);
        more.push_number(3).unwrap();
        assert!(
            found
                .labels(more)
                .unwrap_err()
                .to_string()
                .contains("`other`")
        );
        labels.push_number(-1).unwrap();
        assert!(
            found
                .labels(labels)
                .unwrap_err()
                .to_string()
                .contains("1 of 2 without")
        );
    }
}
