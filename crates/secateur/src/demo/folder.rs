//! The folder of a demo: new, empty or an earlier demo's, and held by one process.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use secateur_search::store::{RunDir, StoreError, lock_file};

use super::DemoError;

/// The file by which a demo knows a folder as a demo's, locked while one is running.
const MARKER: &str = "secateur-demo.txt";
const MARKER_TEXT: &str = "This folder belongs to `secateur demo`: the next demo that is given it \
                           replaces net.onnx, aec.onnx,\nceca.onnx and the folders aec and ceca.\n";
const NETWORKS: [&str; 3] = ["net.onnx", "aec.onnx", "ceca.onnx"];
const RUNS: [&str; 2] = ["aec", "ceca"];

/// Makes the folder a demo's, if it is new, empty or one already, and locks it.
pub(super) fn claim(folder: &Path) -> Result<File, DemoError> {
    let marker = folder.join(MARKER);
    if !marker.is_file() && folder.exists() {
        if !folder.is_dir() {
            return Err(DemoError::NoFolder {
                path: folder.to_path_buf(),
            });
        }
        if let Some(first) = fs_err::read_dir(folder)?.next() {
            return Err(DemoError::Foreign {
                path: folder.to_path_buf(),
                first: first?.file_name().display().to_string(),
            });
        }
    }
    fs_err::create_dir_all(folder)?;
    let mut file = lock_file(&marker)?.ok_or_else(|| busy(folder))?;
    // Also without a demo one of its runs can be at work, gone on with by `prune`.
    for name in RUNS {
        let path = folder.join(name);
        if path.is_dir() {
            RunDir::open(&path).map_err(|error| match error {
                StoreError::Busy { .. } => busy(folder),
                other => other.into(),
            })?;
        }
    }
    file.set_len(0)?;
    file.write_all(MARKER_TEXT.as_bytes())?;
    Ok(file)
}

fn busy(folder: &Path) -> DemoError {
    DemoError::Busy {
        path: folder.to_path_buf(),
    }
}

/// Removes what an earlier demo wrote into its folder, and nothing else.
pub(super) fn clear(folder: &Path) -> Result<(), DemoError> {
    for name in NETWORKS {
        let path = folder.join(name);
        if path.is_file() {
            fs_err::remove_file(&path)?;
        }
    }
    for name in RUNS {
        let path = folder.join(name);
        if path.is_dir() {
            fs_err::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(folder: &Path, reason: &str) {
        let error = claim(folder).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("`-o`")));
    }

    #[test]
    fn only_new_empty_and_own_folders_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        drop(claim(&path.join("new/one")).unwrap());

        let foreign = path.join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("net.onnx"), "the user's own").unwrap();
        refused(&foreign, "not a demo's, such as `net.onnx`");
        assert!(!foreign.join(MARKER).exists());
        refused(&foreign.join("net.onnx"), "it is no folder");

        let own = path.join("own");
        std::fs::create_dir(&own).unwrap();
        drop(claim(&own).unwrap());
        for name in ["net.onnx", "notes.txt"] {
            std::fs::write(own.join(name), "").unwrap();
        }
        drop(claim(&own).unwrap());
        clear(&own).unwrap();
        assert!(!own.join("net.onnx").exists());
        assert!(own.join("notes.txt").exists());
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let demo = claim(folder.path()).unwrap();
        refused(folder.path(), "another process works in it");
        drop(demo);
        let run = RunDir::open(&folder.path().join("aec")).unwrap();
        refused(folder.path(), "another process works in it");
        drop(run);
        drop(claim(folder.path()).unwrap());
    }
}
