//! Arrays by the names of a network's inputs, without labels.
//!
//! Only headers are read until a network says what it takes; then each array is read once, and
//! all parts of the data share it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use npyz::TypeChar;
use secateur_onnx::model::{InputShape, ValueInfo};
use secateur_onnx::text::counted;

use super::fitted::{Filled, Fitted, no_images};
use super::store::Store;
use super::values::{self, read_images};
use crate::data::arrays::{ArrayValues, Element};
use crate::data::matching::{self, Match, Shape};
use crate::data::memory::InMemory;
use crate::data::{DataConfig, DataError, Dataset, Layout, Parts, Pixels};
use crate::interpreter::ImageInput;

/// An array of which the header was read.
struct Table {
    store: Store,
    name: String,
    shape: Vec<usize>,
    kind: TypeChar,
    n_bytes: u64,
    values: Mutex<Option<Arc<ArrayValues>>>,
}

impl Table {
    fn new(store: &Store, name: &str) -> Result<Self, DataError> {
        let (shape, kind) = store.with(name, |array| {
            let kind = array.number()?;
            Ok((array.shape.clone(), kind))
        })?;
        Ok(Self {
            store: store.clone(),
            name: name.to_string(),
            shape,
            kind: kind.0,
            n_bytes: kind.1,
            values: Mutex::new(None),
        })
    }

    fn path(&self) -> PathBuf {
        self.store.path(&self.name)
    }

    fn described(&self) -> Shape<'_> {
        Shape {
            name: &self.name,
            extents: &self.shape,
        }
    }

    fn is_bytes(&self) -> bool {
        (self.kind, self.n_bytes) == (TypeChar::Uint, 1)
    }

    /// Its values, read when they are first asked for.
    fn values(&self) -> Result<Arc<ArrayValues>, DataError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = values.as_ref() {
            return Ok(values.clone());
        }
        let read = Arc::new(self.store.with(&self.name, values::read_values)?);
        Ok(values.insert(read).clone())
    }

    /// Fails if an input of this type does not take the array's values.
    fn check_kind(&self, element: Element) -> Result<(), DataError> {
        let (fits, expected) = match element {
            Element::Float => (true, ""),
            Element::Int => (
                matches!(self.kind, TypeChar::Int | TypeChar::Uint),
                "whole numbers, as the network's input has them",
            ),
            Element::Bool => (
                self.kind == TypeChar::Bool,
                "truth values, as the network's input has them",
            ),
        };
        let got = || match self.kind {
            TypeChar::Float => "floats",
            TypeChar::Bool => "truth values",
            _ => "whole numbers",
        };
        match fits {
            true => Ok(()),
            false => Err(DataError::unsupported(&self.path(), expected, got())),
        }
    }
}

/// Named arrays, of which some or all become the inputs of a network.
pub(super) struct Tables {
    tables: Vec<Arc<Table>>,
    n: usize,
    layout: Option<Layout>,
    /// True if the user said how pixels are normalised or lie: the array is then one of images.
    is_images: bool,
    images: Mutex<Option<Arc<InMemory>>>,
}

/// The parts of named arrays, each in a store of its own; those without parts have one.
///
/// # Errors
/// [`DataError`] of the first array that cannot be used.
pub(super) fn open(
    kind: &'static str,
    [train, validation, test]: [Option<Store>; 3],
    has_parts: bool,
    config: &DataConfig,
) -> Result<Option<Parts>, DataError> {
    let tables = |store: Option<Store>| -> Result<Option<Arc<dyn Dataset>>, DataError> {
        let tables = store.map(|store| Tables::new(&store, config)).transpose()?;
        Ok(tables.map(|tables| Arc::new(tables) as _))
    };
    let Some(train) = tables(train)? else {
        return Ok(None);
    };
    Ok(Some(Parts {
        validation: tables(validation)?,
        test: tables(test)?,
        has_parts,
        ..Parts::new(kind, train)
    }))
}

impl Tables {
    fn new(store: &Store, config: &DataConfig) -> Result<Self, DataError> {
        let names = store.names()?;
        let table = |name: &String| Table::new(store, name).map(Arc::new);
        let tables = names.iter().map(table).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            n: n_samples(&tables),
            tables,
            layout: config.layout,
            is_images: config.normalise.is_some() || config.layout.is_some(),
            images: Mutex::new(None),
        })
    }

    /// The only array as images, if it holds some: bytes, or what the user says are pixels.
    fn as_images(&self, inputs: &[ValueInfo]) -> Option<Result<Arc<InMemory>, DataError>> {
        let ([table], [input]) = (self.tables.as_slice(), inputs) else {
            return None;
        };
        let is_image = ImageInput::of(input).is_ok() && matches!(table.shape.len(), 3 | 4);
        let is_meant = self.is_images || table.is_bytes();
        let is_clear =
            self.is_images || values::axes(&table.path(), &table.shape, self.layout).is_ok();
        (is_image && is_meant && is_clear).then(|| {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(images) = images.as_ref() {
                return Ok(images.clone());
            }
            let read = table
                .store
                .with(&table.name, |array| read_images(array, self.layout))?;
            let labels = vec![0; read.n];
            let read = InMemory::new(read.shape, read.values, labels, Arc::new([]));
            Ok(images.insert(Arc::new(read.unlabelled())).clone())
        })
    }

    /// The arrays for a network's inputs, and what is wrong with them before any is read.
    fn matches(&self, inputs: &[ValueInfo]) -> Result<Vec<Match>, DataError> {
        let shapes: Vec<Shape<'_>> = self.tables.iter().map(|table| table.described()).collect();
        let Some(first) = inputs.first() else {
            return Ok(Vec::new());
        };
        inputs
            .iter()
            .map(|input| {
                let Some(place) = matching::find(input, inputs.len(), &shapes) else {
                    return Err(self.missing(input, inputs));
                };
                let table = &self.tables[place];
                let fitted = matching::fit(input, first, self.n, place, shapes[place]);
                let [expected, got] = match fitted {
                    Ok(found) => {
                        table.check_kind(found.column.element)?;
                        return Ok(found);
                    }
                    Err(wrong) => wrong,
                };
                let got = match self.tables.len() {
                    1 => got,
                    _ => format!("{got}, for {}", counted(self.n, "sample")),
                };
                Err(DataError::unsupported(&table.path(), expected, got))
            })
            .collect()
    }

    fn missing(&self, input: &ValueInfo, inputs: &[ValueInfo]) -> DataError {
        let quoted = |name: &String| format!("`{name}`");
        let inputs: Vec<String> = inputs.iter().map(|input| quoted(&input.name)).collect();
        let arrays: Vec<String> = self
            .tables
            .iter()
            .map(|table| quoted(&table.name))
            .collect();
        DataError::NoArray {
            input: input.name.clone(),
            inputs: inputs.join(", "),
            arrays: arrays.join(", "),
            path: self.path(),
        }
    }

    /// Where the first array lies, for people.
    fn path(&self) -> PathBuf {
        let first = self.tables.first();
        first.map(|table| table.path()).unwrap_or_default()
    }
}

/// The number of samples: the first extent that most arrays share, of several the largest. An
/// extent of 1 is one value for all samples where another array has more.
fn n_samples(tables: &[Arc<Table>]) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for table in tables {
        if let Some(&n) = table.shape.first() {
            *counts.entry(n).or_default() += 1;
        }
    }
    let most = counts
        .into_iter()
        .max_by_key(|&(n, count)| (n > 1, count, n));
    most.map_or(0, |(n, _)| n)
}

impl Dataset for Tables {
    fn len(&self) -> usize {
        self.n
    }

    no_images!();

    fn input_shapes(&self, inputs: &[ValueInfo]) -> Vec<InputShape> {
        let matches = self.matches(inputs).unwrap_or_default();
        let shape = |found: Match| {
            let mut extents: Vec<Option<usize>> =
                found.column.shape.into_iter().map(Some).collect();
            if let Some(axis) = found.column.batch_axis.filter(|_| !found.is_stacked) {
                extents.insert(axis, None);
            }
            InputShape {
                input: found.column.input,
                extents,
            }
        };
        matches.into_iter().map(shape).collect()
    }

    fn for_inputs(&self, inputs: &[ValueInfo]) -> Option<Result<Arc<dyn Dataset>, DataError>> {
        if let Some(images) = self.as_images(inputs) {
            return Some(images.map(|images| images as _));
        }
        let filled = |found: Match| {
            Ok(Filled {
                values: self.tables[found.array].values()?,
                column: found.column,
                is_shared: found.is_shared,
            })
        };
        let matches = self.matches(inputs);
        let filled: Result<Vec<Filled>, DataError> =
            matches.and_then(|matches| matches.into_iter().map(filled).collect());
        Some(filled.map(|filled| Arc::new(Fitted::new(self.n, self.path(), filled)) as _))
    }
}
