//! The folder of a run: everything that is needed to go on after a kill.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the resolved configuration |
//! | `header.json` | what is fixed for the run: groups, sizes, baselines |
//! | `history.jsonl` | one line a pruning epoch ([`record::EpochRecord`]) |
//! | `checkpoint.bin` | the whole state after the last finished pruning epoch |
//! | `snapshots/` | networks that may become the result |
//! | `agent.safetensors` | the agent, for other runs |
//! | `lock` | held while a process works in the folder |
//!
//! The checkpoint is the truth: on resume the history is cut back to the epochs
//! that it knows, so that no epoch appears twice.

pub mod record;

mod checkpoint;
mod error;
mod history;
mod lock;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use checkpoint::checksum;
pub use checkpoint::{read_checkpoint, write_checkpoint};
pub use error::RunDirError;
use lock::Lock;
use record::{EpochRecord, RunHeader};

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
    /// [`RunDirError::Busy`] if another process works in it; [`RunDirError::Io`] if it
    /// cannot be made.
    pub fn open(path: &Path) -> Result<Self, RunDirError> {
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
    /// [`RunDirError::Io`] naming the path.
    pub fn write_text(&self, name: &str, text: &str) -> Result<(), RunDirError> {
        write_atomically(&self.file(name), text.as_bytes())
    }

    /// Writes the header.
    ///
    /// # Errors
    /// [`RunDirError::Io`] naming the path.
    pub fn write_header(&self, header: &RunHeader) -> Result<(), RunDirError> {
        self.write_text(
            "header.json",
            &history::to_json(header, &self.file("header.json"))?,
        )
    }

    /// Appends an epoch to the history.
    ///
    /// # Errors
    /// [`RunDirError::Io`] naming the path.
    pub fn append(&self, record: &EpochRecord) -> Result<(), RunDirError> {
        history::append(&self.file("history.jsonl"), record)
    }

    /// Cuts the history back to its first `epochs` lines, as the checkpoint knows them.
    ///
    /// # Errors
    /// [`RunDirError::Io`] naming the path, [`RunDirError::Damaged`] if it is shorter.
    pub fn rewind(&self, epochs: usize) -> Result<(), RunDirError> {
        history::rewind(&self.file("history.jsonl"), epochs)
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    /// [`RunDirError::Io`] naming the path.
    pub fn save<T: Serialize>(&self, state: &T) -> Result<(), RunDirError> {
        write_checkpoint(&self.file("checkpoint.bin"), state)
    }

    /// Reads the checkpoint.
    ///
    /// # Errors
    /// [`RunDirError::Damaged`] if it is not what this version wrote.
    pub fn load<T: DeserializeOwned>(&self) -> Result<T, RunDirError> {
        read_checkpoint(&self.file("checkpoint.bin"))
    }
}

/// Reads header and history of a run folder, also while another process works in it.
///
/// # Errors
/// [`RunDirError::Io`] if a file is missing, [`RunDirError::Damaged`] naming the line
/// that does not parse. A last line cut short by a kill is left out.
pub fn read_run(path: &Path) -> Result<(RunHeader, Vec<EpochRecord>), RunDirError> {
    Ok((
        history::read_header(&path.join("header.json"))?,
        history::read(&path.join("history.jsonl"))?,
    ))
}

/// Writes beside, syncs, renames.
///
/// # Errors
/// [`RunDirError::Io`] naming the path.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    use std::io::Write;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let io = |error: std::io::Error| {
        RunDirError::Io(std::io::Error::new(
            error.kind(),
            format!("cannot write `{}`: {error}", path.display()),
        ))
    };
    let mut file = secateur_onnx::model::new_beside(folder).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}
