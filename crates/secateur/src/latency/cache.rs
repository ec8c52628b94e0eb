//! Times that were measured before, in the user's cache folder: a file for each machine, engine,
//! version and number of threads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use secateur_search::store::checksum;
use serde::{Deserialize, Serialize};

use crate::prune::machine_text;

/// Raised where what is measured changes.
const VERSION: u32 = 1;

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    machine: String,
    engine: String,
    /// Nanoseconds by the piece's fingerprint.
    times: BTreeMap<String, f64>,
}

/// Times of pieces on this machine in one engine.
#[derive(Debug)]
pub(super) struct Cache {
    /// None where the user has no such folder.
    file: Option<PathBuf>,
    kept: Kept,
    changed: bool,
}

impl Cache {
    /// What is known; nothing, where the file is not there or cannot be read.
    pub(super) fn open(engine: &str) -> Self {
        let machine = machine_text();
        let file = etcetera::choose_base_strategy().ok().map(|base| {
            let name = checksum(format!("{VERSION} {machine} {engine}").into_bytes());
            let folder = base.cache_dir().join("secateur").join("latency");
            folder.join(format!("{name:016x}.json"))
        });
        let read = |file: &PathBuf| -> Option<Kept> {
            let text = fs_err::read_to_string(file).ok()?;
            serde_json::from_str(&text).ok()
        };
        let kept = file.as_ref().and_then(read).unwrap_or_default();
        Self {
            file,
            kept: Kept {
                machine,
                engine: engine.to_string(),
                ..kept
            },
            changed: false,
        }
    }

    /// Nanoseconds of a piece: as known, else as `measure` finds it.
    pub(super) fn get(
        &mut self,
        piece: &str,
        measure: impl FnOnce() -> Result<f64, String>,
    ) -> Result<f64, String> {
        let key = format!("{:016x}", checksum(piece.bytes()));
        if let Some(time) = self.kept.times.get(&key) {
            return Ok(*time);
        }
        let time = measure()?;
        self.kept.times.insert(key, time);
        self.changed = true;
        Ok(time)
    }

    /// Writes what is new. A cache that cannot be written costs the next run its time, nothing else.
    pub(super) fn close(self) {
        let Some(file) = self.file.filter(|_| self.changed) else {
            return;
        };
        let write = || -> std::io::Result<()> {
            let folder = file.parent().unwrap_or(&file);
            fs_err::create_dir_all(folder)?;
            let beside = secateur_onnx::model::new_beside(folder)?;
            serde_json::to_writer(&beside, &self.kept)?;
            beside.persist(&file)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::info!("times of layers were not kept: {error}");
        }
    }
}
