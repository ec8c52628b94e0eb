//! A run that leaves nothing on the disk.

use std::collections::HashMap;
use std::path::Path;

use super::{Item, Store, StoreError};
use crate::record::{EpochRecord, RunHeader};

/// Keeps the state of a run in memory.
#[derive(Debug, Default)]
pub struct Memory {
    items: HashMap<Item, Vec<u8>>,
    header: Option<RunHeader>,
    history: Vec<EpochRecord>,
}

fn missing(what: impl std::fmt::Display) -> StoreError {
    let text = format!("the run has kept no {what}");
    StoreError::Io(std::io::Error::new(std::io::ErrorKind::NotFound, text))
}

impl Store for Memory {
    fn folder(&self) -> Option<&Path> {
        None
    }

    fn put(&mut self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        self.items.insert(item, bytes.to_vec());
        Ok(())
    }

    fn get(&self, item: Item) -> Result<Vec<u8>, StoreError> {
        let found = self.items.get(&item).cloned();
        found.ok_or_else(|| missing(item.file().display()))
    }

    fn remove(&mut self, item: Item) -> Result<(), StoreError> {
        self.items.remove(&item);
        Ok(())
    }

    fn put_header(&mut self, header: &RunHeader) -> Result<(), StoreError> {
        self.header = Some(header.clone());
        Ok(())
    }

    fn append(&mut self, record: &EpochRecord) -> Result<(), StoreError> {
        self.history.push(record.clone());
        Ok(())
    }

    fn rewind(&mut self, epochs: usize) -> Result<(), StoreError> {
        self.history.truncate(epochs);
        Ok(())
    }

    fn read(&self) -> Result<(RunHeader, Vec<EpochRecord>), StoreError> {
        let header = self.header.clone().ok_or_else(|| missing("header"))?;
        Ok((header, self.history.clone()))
    }
}
