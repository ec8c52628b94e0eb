//! The folder of a run: everything that is needed to go on after a kill.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the resolved configuration |
//! | `data.json` | which data, as the program tells them apart |
//! | `header.json` | what is fixed for the run: groups, sizes, baselines |
//! | `history.jsonl` | one line a pruning epoch ([`EpochRecord`]) |
//! | `checkpoint.bin` | the whole state after the last finished pruning epoch |
//! | `recovery.bin` | a recovery that has not come to its end |
//! | `snapshots/` | networks that may become the result |
//! | `agent.safetensors` | the agent, for other runs |
//! | `lock` | held while a process works in the folder |

use std::path::{Path, PathBuf};

use super::atomic::write_atomically;
use super::lock::Lock;
use super::{Item, Store, StoreError, history};
use crate::record::{EpochRecord, RunHeader};

/// A run folder that this process holds.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: Lock,
}

impl RunDir {
    /// Creates the folder (and its parents) if need be, and locks it.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another process works in it; [`StoreError::Io`] if it
    /// cannot be made.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        fs_err::create_dir_all(path)?;
        let lock = Lock::acquire(path)?;
        fs_err::create_dir_all(path.join("snapshots"))?;
        Ok(Self {
            path: path.to_path_buf(),
            _lock: lock,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// True if a run was begun here.
    pub fn has_checkpoint(&self) -> bool {
        self.file("checkpoint.bin").exists()
    }

    /// Writes a text file beside, then renames it.
    ///
    /// # Errors
    /// [`StoreError::Io`] naming the path.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), StoreError> {
        write_atomically(&self.file(name), text.as_bytes())
    }
}

impl Store for RunDir {
    fn folder(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn put(&mut self, item: Item, bytes: &[u8]) -> Result<(), StoreError> {
        write_atomically(&self.path.join(item.file()), bytes)
    }

    fn get(&self, item: Item) -> Result<Vec<u8>, StoreError> {
        Ok(fs_err::read(self.path.join(item.file()))?)
    }

    fn remove(&mut self, item: Item) -> Result<(), StoreError> {
        match fs_err::remove_file(self.path.join(item.file())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn put_header(&mut self, header: &RunHeader) -> Result<(), StoreError> {
        let text = history::to_json(header, &self.file("header.json"))?;
        self.write_text("header.json", &text)
    }

    fn append(&mut self, record: &EpochRecord) -> Result<(), StoreError> {
        history::append(&self.file("history.jsonl"), record)
    }

    fn rewind(&mut self, epochs: usize) -> Result<(), StoreError> {
        history::rewind(&self.file("history.jsonl"), epochs)
    }

    fn read(&self) -> Result<(RunHeader, Vec<EpochRecord>), StoreError> {
        read_run(&self.path)
    }
}

/// Reads header and history of a run folder, also while another process works in it.
///
/// # Errors
/// [`StoreError::Io`] if a file is missing, [`StoreError::Damaged`] naming the line
/// that does not parse. A last line cut short by a kill is left out.
pub fn read_run(path: &Path) -> Result<(RunHeader, Vec<EpochRecord>), StoreError> {
    Ok((
        history::read_header(&path.join("header.json"))?,
        history::read(&path.join("history.jsonl"))?,
    ))
}
