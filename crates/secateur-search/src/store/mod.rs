//! Where a run keeps its state: a folder ([`RunDir`]), or memory ([`Memory`]).
//!
//! The checkpoint is the truth: when a run goes on, its history is cut back to the epochs that
//! the checkpoint knows, so that no epoch appears twice.

mod atomic;
mod checkpoint;
mod error;
mod history;
mod lock;
mod memory;
mod run_dir;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use atomic::{check_writable, write_atomically};
pub use checkpoint::checksum;
pub use error::StoreError;
pub use lock::{lock, lock_file};
pub use memory::Memory;
pub use run_dir::{RunDir, read_run};

use crate::record::{EpochRecord, RunHeader};

/// What is kept besides header and history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Item {
    /// The whole state after the last finished pruning epoch.
    Checkpoint,
    /// A network that may become a result, by number.
    Snapshot(usize),
    /// The learner, for other runs.
    Agent,
    /// A recovery that has not come to its end.
    Halfway,
}

impl Item {
    /// Its file in a run folder.
    pub fn file(self) -> PathBuf {
        match self {
            Self::Checkpoint => PathBuf::from("checkpoint.bin"),
            Self::Snapshot(number) => Path::new("snapshots").join(format!("{number:03}.bin")),
            Self::Agent => PathBuf::from("agent.safetensors"),
            Self::Halfway => PathBuf::from("recovery.bin"),
        }
    }
}

/// Keeps the state of a run.
pub trait Store {
    /// The folder, if it is one.
    fn folder(&self) -> Option<&Path>;

    /// Keeps an item; what was kept before stays whole until then.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the file.
    fn put(&mut self, item: Item, bytes: &[u8]) -> Result<(), StoreError>;

    /// An item that was kept.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the file.
    fn get(&self, item: Item) -> Result<Vec<u8>, StoreError>;

    /// Drops an item that is not needed any more, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the file.
    fn remove(&mut self, item: Item) -> Result<(), StoreError>;

    /// Keeps what is fixed for the run.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the file.
    fn put_header(&mut self, header: &RunHeader) -> Result<(), StoreError>;

    /// Adds an epoch to the history.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the file.
    fn append(&mut self, record: &EpochRecord) -> Result<(), StoreError>;

    /// Cuts the history back to its first `epochs` records.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the file, [`StoreError::Damaged`] if it is shorter.
    fn rewind(&mut self, epochs: usize) -> Result<(), StoreError>;

    /// Header and history.
    ///
    /// # Errors
    /// [`StoreError`] if they are missing or damaged.
    fn read(&self) -> Result<(RunHeader, Vec<EpochRecord>), StoreError>;
}

/// Keeps a value.
///
/// # Errors
/// As [`Store::put`].
pub fn save<T: Serialize>(store: &mut dyn Store, item: Item, value: &T) -> Result<(), StoreError> {
    let bytes = checkpoint::encode(value).map_err(|reason| damaged(store, item, reason))?;
    store.put(item, &bytes)
}

/// Reads a value that was kept.
///
/// # Errors
/// As [`Store::get`], and [`StoreError::Damaged`] if it is not what this version kept.
pub fn load<T: DeserializeOwned>(store: &dyn Store, item: Item) -> Result<T, StoreError> {
    let bytes = store.get(item)?;
    checkpoint::decode(&bytes).map_err(|reason| damaged(store, item, reason))
}

fn damaged(store: &dyn Store, item: Item, reason: String) -> StoreError {
    StoreError::Damaged {
        path: store.folder().unwrap_or(Path::new("")).join(item.file()),
        reason,
    }
}
