//! `history.jsonl` and `header.json`.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::StoreError;
use super::atomic::write_atomically;
use crate::record::{EpochRecord, RunHeader};

fn damaged(path: &Path, reason: String) -> StoreError {
    StoreError::Damaged {
        path: path.to_path_buf(),
        reason,
    }
}

pub(super) fn to_json<T: Serialize>(value: &T, path: &Path) -> Result<String, StoreError> {
    serde_json::to_string_pretty(value).map_err(|error| damaged(path, error.to_string()))
}

pub(super) fn append(path: &Path, record: &EpochRecord) -> Result<(), StoreError> {
    let mut line =
        serde_json::to_string(record).map_err(|error| damaged(path, error.to_string()))?;
    line.push('\n');
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    Ok(())
}

pub(super) fn rewind(path: &Path, epochs: usize) -> Result<(), StoreError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && epochs == 0 => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let lines: Vec<&str> = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .collect();
    if lines.len() < epochs {
        return Err(damaged(
            path,
            format!(
                "the checkpoint knows {epochs} pruning epochs, the file holds {}",
                lines.len()
            ),
        ));
    }
    write_atomically(path, lines[..epochs].concat().as_bytes())
}

pub(super) fn read_header(path: &Path) -> Result<RunHeader, StoreError> {
    let text = fs_err::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| damaged(path, error.to_string()))
}

pub(super) fn read(path: &Path) -> Result<Vec<EpochRecord>, StoreError> {
    let text = fs_err::read_to_string(path)?;
    text.split_inclusive('\n')
        .enumerate()
        .filter(|(_, line)| line.ends_with('\n') && !line.trim().is_empty())
        .map(|(number, line)| {
            serde_json::from_str(line)
                .map_err(|error| damaged(path, format!("line {}: {error}", number + 1)))
        })
        .collect()
}
