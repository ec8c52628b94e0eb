//! The state of a run as one file: a short header with version, length and
//! checksum, then the state in postcard's format.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RunDirError, write_atomically};

/// First bytes of every checkpoint; the last digit is the format's version.
const MAGIC: &[u8; 8] = b"secatr05";

/// FNV-1a, 64 bits: enough to notice a damaged file.
/// Source: Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn checksum(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Writes `state` beside `path`, then renames.
///
/// # Errors
/// [`RunDirError::Io`] naming the path.
pub fn write_checkpoint<T: Serialize>(path: &Path, state: &T) -> Result<(), RunDirError> {
    let body = postcard::to_allocvec(state).map_err(|error| RunDirError::Damaged {
        path: path.to_path_buf(),
        reason: format!("its state cannot be written: {error}"),
    })?;
    let mut bytes = Vec::with_capacity(body.len() + 16);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&checksum(body.iter().copied()).to_le_bytes());
    bytes.extend_from_slice(&body);
    write_atomically(path, &bytes)
}

/// Reads what [`write_checkpoint`] wrote.
///
/// # Errors
/// [`RunDirError::Damaged`] if magic, checksum or content do not fit; [`RunDirError::Io`].
pub fn read_checkpoint<T: DeserializeOwned>(path: &Path) -> Result<T, RunDirError> {
    let bytes = fs_err::read(path)?;
    let damaged = |reason: &str| RunDirError::Damaged {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    };
    let Some((head, body)) = bytes.split_at_checked(16) else {
        return Err(damaged("it is shorter than a checkpoint's header"));
    };
    if &head[..8] != MAGIC {
        return Err(damaged("it is not a checkpoint of this version"));
    }
    if head[8..] != checksum(body.iter().copied()).to_le_bytes() {
        return Err(damaged("its checksum does not fit its content"));
    }
    postcard::from_bytes(body).map_err(|error| damaged(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.bin");
        let state = (vec![1.5f32, -2.0], "text".to_string(), 7u64);
        write_checkpoint(&path, &state).unwrap();
        assert_eq!(
            read_checkpoint::<(Vec<f32>, String, u64)>(&path).unwrap(),
            state
        );

        let good = fs_err::read(&path).unwrap();
        for cut in [0, 5, 15, 20, good.len() - 1] {
            fs_err::write(&path, &good[..cut]).unwrap();
            let error = read_checkpoint::<(Vec<f32>, String, u64)>(&path).unwrap_err();
            assert!(
                matches!(error, RunDirError::Damaged { .. }),
                "cut at {cut}: {error}"
            );
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            fs_err::write(&path, &bad).unwrap();
            assert!(
                read_checkpoint::<(Vec<f32>, String, u64)>(&path).is_err(),
                "flipped byte {at} went unnoticed"
            );
        }
    }
}
