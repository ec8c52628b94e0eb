//! A pruning run for TensorBoard: figures of every pruning epoch as event files.
//!
//! Each run has a sub-folder, so that several show as several. A run that is resumed goes on in its file: what
//! came after its checkpoint is cut off, as the history is.

mod events;

use std::path::{Path, PathBuf, absolute};

use secateur_search::measure::Reading;
use secateur_search::record::{EpochRecord, Stage};
use secateur_search::search::{Observer, Progress};
use secateur_search::store::{checksum, read_run};

use events::{Events, Scalar};

/// Writes what happens, and passes it on to another observer.
pub struct TensorBoard<'a> {
    to: &'a mut dyn Observer,
    run_dir: PathBuf,
    folder: PathBuf,
    events: Option<Events>,
    /// It could not be written: that was told.
    has_failed: bool,
}

impl<'a> TensorBoard<'a> {
    /// For the run in `run_dir`, in a sub-folder of `folder` that no other run has.
    ///
    /// # Errors
    /// The file system's, naming the path.
    pub fn new(
        folder: &Path,
        run_dir: &Path,
        to: &'a mut dyn Observer,
    ) -> Result<Self, std::io::Error> {
        let whole = absolute(run_dir)?;
        let name = whole.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(".run").unwrap_or(&name);
        let hash = checksum(whole.to_string_lossy().bytes()) & 0xff_ffff;
        let folder = folder.join(format!("{name}-{hash:06x}"));
        fs_err::create_dir_all(&folder)?;
        Ok(Self {
            to,
            run_dir: run_dir.to_path_buf(),
            folder,
            events: None,
            has_failed: false,
        })
    }

    /// Writes an epoch, and those before it that are not there: where an episode begins, only the history
    /// has it.
    fn write(&mut self, record: &EpochRecord) -> Result<(), std::io::Error> {
        let events = match &mut self.events {
            Some(events) => events,
            None => self
                .events
                .insert(Events::up_to(&self.folder, record.epoch)?),
        };
        if events.next() < record.epoch {
            let history = read_run(&self.run_dir).map_err(std::io::Error::other)?.1;
            let missing = events.next()..record.epoch;
            for earlier in history.iter().filter(|r| missing.contains(&r.epoch)) {
                events.write(earlier.epoch, &scalars(earlier))?;
            }
        }
        events.write(record.epoch, &scalars(record))
    }
}

impl Observer for TensorBoard<'_> {
    fn step(&mut self, progress: &Progress) {
        self.to.step(progress);
    }

    fn epoch(&mut self, record: &EpochRecord) {
        if !self.has_failed
            && let Err(error) = self.write(record)
        {
            self.has_failed = true;
            let folder = self.folder.display();
            tracing::warn!("no more is written for TensorBoard to `{folder}`: {error}");
        }
        self.to.epoch(record);
    }

    fn preparing(&mut self, what: &str) {
        self.to.preparing(what);
    }

    fn measuring(&mut self, network: &str) {
        self.to.measuring(network);
    }

    fn measured(&mut self, network: &str, reading: &Reading) {
        self.to.measured(network, reading);
    }

    fn stop_requested(&self) -> bool {
        self.to.stop_requested()
    }
}

/// What is shown of an epoch; rewards and chance only where a policy acted.
fn scalars(record: &EpochRecord) -> Vec<Scalar> {
    let (size, reward) = (&record.size, &record.reward);
    let mut scalars = vec![
        ("quality", record.quality),
        ("floor", record.floor),
        ("loss", record.loss),
        ("train_loss", record.train_loss),
        ("size/params", size.params as f64),
        ("size/macs", size.macs as f64),
        ("size/kernels", size.kernels as f64),
        ("cost_sample_macs", record.cost_sample_macs),
    ];
    if matches!(record.stage, Stage::Explore | Stage::Exploit) {
        scalars.extend([
            ("epsilon", f64::from(record.epsilon)),
            ("reward/total", f64::from(reward.total)),
            ("reward/quality", f64::from(reward.quality)),
            ("reward/compression", f64::from(reward.compression)),
            ("reward/convergence", f64::from(reward.convergence)),
            ("reward/dense", f64::from(reward.dense)),
        ]);
    }
    scalars.extend(record.agent_loss.map(|loss| ("agent_loss", loss)));
    scalars
}
