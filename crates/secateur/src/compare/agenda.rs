//! What is to be done of an experiment, in which order, and what is done.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use super::child::Child;
use super::error::CompareError;
use super::experiment::Kind;
use super::plan::Job;
use super::step::{Step, Workplace};

/// What is to be done once.
#[derive(Debug, Clone, Copy)]
enum Goal {
    /// The network of a job.
    Network(Job),
    /// A job.
    Run(Job),
}

/// How far a task is.
pub(super) enum State {
    Waiting,
    Running(Box<Running>),
    Done,
    Failed,
    Stopped,
}

/// What runs for a task.
pub(super) struct Running {
    pub child: Child,
    pub lock: File,
    /// Of the steps before.
    pub seconds: f64,
}

/// A run, or the training of a network.
pub(super) struct Task {
    goal: Goal,
    pub title: String,
    pub folder: PathBuf,
    /// Tasks that come before it.
    pub needs: Vec<usize>,
    pub state: State,
    /// That another process works on it was told.
    pub is_awaited: bool,
}

/// Runs and trainings that are done or have failed, of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many are over.
    pub over: usize,
    /// Of so many.
    pub all: usize,
}

/// The work on some runs of an experiment.
pub struct Work<'a> {
    place: Workplace<'a>,
    pub(super) tasks: Vec<Task>,
}

impl<'a> Work<'a> {
    /// Plans the work on these runs; those of which others need the result come first.
    ///
    /// # Errors
    /// [`CompareError`] if a folder holds a run of other settings.
    pub fn plan(place: Workplace<'a>, jobs: &[Job]) -> Result<Self, CompareError> {
        let mut work = Self {
            place,
            tasks: Vec::new(),
        };
        let mut by_folder = BTreeMap::new();
        // What others need comes before them.
        let needs_other =
            |job: &&Job| matches!(place.experiment.policy(**job).kind, Kind::Scratch { .. });
        let first = jobs.iter().filter(|job| !needs_other(job));
        for &job in first.chain(jobs.iter().filter(needs_other)) {
            let mut needs = Vec::new();
            if let Some(folder) = place.experiment.network_folder(place.out, job) {
                let title = format!("training of {}", place.experiment.network(job).name);
                needs.push(work.task(Goal::Network(job), title, folder, &mut by_folder));
            }
            if let Kind::Scratch { of } = place.experiment.policy(job).kind {
                let other = place
                    .experiment
                    .folder(place.out, Job { policy: of, ..job });
                needs.extend(by_folder.get(&other));
            }
            let folder = place.experiment.folder(place.out, job);
            let title = place.experiment.title(job);
            let task = work.task(Goal::Run(job), title, folder, &mut by_folder);
            work.tasks[task].needs = needs;
        }
        work.find_done()?;
        Ok(work)
    }

    fn task(
        &mut self,
        goal: Goal,
        title: String,
        folder: PathBuf,
        by_folder: &mut BTreeMap<PathBuf, usize>,
    ) -> usize {
        *by_folder.entry(folder.clone()).or_insert_with(|| {
            self.tasks.push(Task {
                goal,
                title,
                folder,
                needs: Vec::new(),
                state: State::Waiting,
                is_awaited: false,
            });
            self.tasks.len() - 1
        })
    }

    /// What was made before is not made again; folders of other runs are refused before anything
    /// begins.
    fn find_done(&mut self) -> Result<(), CompareError> {
        for index in 0..self.tasks.len() {
            if self.is_ready(index) && self.next_step(index)?.is_none() {
                self.tasks[index].state = State::Done;
            } else if let Goal::Run(job) = self.tasks[index].goal {
                self.place.record(job)?.check(&self.tasks[index].folder)?;
            }
        }
        Ok(())
    }

    /// The first calls of everything that is not done, as far as they can be told before.
    ///
    /// # Errors
    /// As [`Work::plan`].
    pub fn commands(&self) -> Result<Vec<(String, Option<Step>)>, CompareError> {
        let open = (0..self.tasks.len()).filter(|&t| matches!(self.tasks[t].state, State::Waiting));
        open.map(|index| {
            let task = &self.tasks[index];
            let step = match task.goal {
                Goal::Run(job) if !self.is_ready(index) => {
                    match self.place.experiment.policy(job).kind {
                        Kind::Prune(_) => self.place.run_step(job)?,
                        // It depends on another run's result.
                        Kind::Scratch { .. } => None,
                    }
                }
                _ => self.next_step(index)?,
            };
            Ok((task.title.clone(), step))
        })
        .collect()
    }

    pub(super) fn is_ready(&self, index: usize) -> bool {
        let mut needs = self.tasks[index].needs.iter();
        needs.all(|&need| matches!(self.tasks[need].state, State::Done))
    }

    pub(super) fn next_step(&self, index: usize) -> Result<Option<Step>, CompareError> {
        match self.tasks[index].goal {
            Goal::Network(job) => self.place.network_step(job),
            Goal::Run(job) => self.place.run_step(job),
        }
    }

    pub(super) fn count(&self, which: impl Fn(&State) -> bool) -> usize {
        self.tasks.iter().filter(|task| which(&task.state)).count()
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            over: self.count(|state| matches!(state, State::Done | State::Failed)),
            all: self.tasks.len(),
        }
    }

    /// Leaves in the folder what it is made of.
    pub(super) fn record(&self, index: usize) -> Result<(), CompareError> {
        let record = match self.tasks[index].goal {
            Goal::Network(job) => self.place.network_record(job),
            Goal::Run(job) => self.place.record(job)?,
        };
        record.write(&self.tasks[index].folder)
    }
}
