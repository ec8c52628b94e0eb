//! Makes the runs of an experiment: children side by side, each begun when what it needs is there.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use super::child::{Child, Ended};
use super::error::CompareError;
use super::experiment::Kind;
use super::folder;
use super::plan::Job;
use super::step::{Step, Workplace};

/// How often children are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Hears how the work goes.
pub trait Watch {
    /// A run, or the training of a network, has begun.
    fn begun(&mut self, title: &str, progress: Progress);
    /// One is over: how long it took, and the error that it ended with.
    fn ended(&mut self, title: &str, seconds: f64, error: Option<&str>, progress: Progress);
    /// Another process works on one: it is waited for.
    fn waits(&mut self, title: &str);
    /// True when the work is to end: children are stopped and saved.
    fn stop(&self) -> bool;
}

/// Runs and trainings that are done or have failed, of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many are over.
    pub over: usize,
    /// Of so many.
    pub all: usize,
}

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Runs that failed.
    pub failed: usize,
    /// True if it was stopped before its end.
    pub stopped: bool,
}

/// What is to be done once.
#[derive(Debug, Clone, Copy)]
enum Goal {
    /// The network of a job.
    Network(Job),
    /// A job.
    Run(Job),
}

enum State {
    Waiting,
    Running(Box<Running>),
    Done,
    Failed,
    Stopped,
}

struct Running {
    child: Child,
    lock: File,
    /// Of the steps before.
    seconds: f64,
}

struct Task {
    goal: Goal,
    title: String,
    folder: PathBuf,
    /// Tasks that come before it.
    needs: Vec<usize>,
    state: State,
    /// That another process works on it was told.
    is_awaited: bool,
}

/// The work on some runs of an experiment.
pub struct Work<'a> {
    place: Workplace<'a>,
    tasks: Vec<Task>,
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
        let needs_other = |job: &&Job| matches!(place.experiment.policy(**job).kind, Kind::Scratch { .. });
        let first = jobs.iter().filter(|job| !needs_other(job));
        for &job in first.chain(jobs.iter().filter(needs_other)) {
            let mut needs = Vec::new();
            if let Some(folder) = place.experiment.network_folder(place.out, job) {
                let title = format!("training of {}", place.experiment.network(job).name);
                needs.push(work.task(Goal::Network(job), title, folder, &mut by_folder));
            }
            if let Kind::Scratch { of } = place.experiment.policy(job).kind {
                let other = place.experiment.folder(place.out, Job { policy: of, ..job });
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
                Goal::Run(job) if !self.is_ready(index) => match self.place.experiment.policy(job).kind {
                    Kind::Prune(_) => self.place.run_step(job)?,
                    // It depends on another run's result.
                    Kind::Scratch { .. } => None,
                },
                _ => self.next_step(index)?,
            };
            Ok((task.title.clone(), step))
        })
        .collect()
    }

    fn is_ready(&self, index: usize) -> bool {
        let mut needs = self.tasks[index].needs.iter();
        needs.all(|&need| matches!(self.tasks[need].state, State::Done))
    }

    fn next_step(&self, index: usize) -> Result<Option<Step>, CompareError> {
        match self.tasks[index].goal {
            Goal::Network(job) => self.place.network_step(job),
            Goal::Run(job) => self.place.run_step(job),
        }
    }

    /// Does it, with so many children at once.
    ///
    /// # Errors
    /// [`CompareError`] if a child cannot be started or a file not be written. What a child fails at
    /// is told to `watch`, and kept in its folder.
    pub fn run(
        mut self,
        program: &Path,
        at_once: usize,
        watch: &mut dyn Watch,
    ) -> Result<Done, CompareError> {
        let mut is_stopping = false;
        loop {
            for index in 0..self.tasks.len() {
                self.look_after(index, program, is_stopping, watch)?;
            }
            if watch.stop() && !is_stopping {
                is_stopping = true;
                for task in &mut self.tasks {
                    if let State::Running(running) = &mut task.state {
                        // It may have ended by itself.
                        let _ = running.child.stop();
                    }
                }
            }
            let mut is_waiting = false;
            for index in 0..self.tasks.len() {
                if is_stopping || self.count(|state| matches!(state, State::Running(_))) >= at_once {
                    break;
                }
                is_waiting |= self.begin(index, program, watch)?;
            }
            if self.count(|state| matches!(state, State::Running(_))) == 0 && !is_waiting {
                break;
            }
            sleep(LOOK);
        }
        Ok(Done {
            failed: self.count(|state| matches!(state, State::Failed)),
            stopped: is_stopping || self.count(|state| matches!(state, State::Stopped)) > 0,
        })
    }

    fn count(&self, which: impl Fn(&State) -> bool) -> usize {
        self.tasks.iter().filter(|task| which(&task.state)).count()
    }

    fn progress(&self) -> Progress {
        Progress {
            over: self.count(|state| matches!(state, State::Done | State::Failed)),
            all: self.tasks.len(),
        }
    }

    /// Begins a task that waits, if what it needs is there; true if it is still to be waited for.
    fn begin(
        &mut self,
        index: usize,
        program: &Path,
        watch: &mut dyn Watch,
    ) -> Result<bool, CompareError> {
        if !matches!(self.tasks[index].state, State::Waiting) {
            return Ok(false);
        }
        let needs = self.tasks[index].needs.clone();
        let failed = needs.iter().find(|&&n| matches!(self.tasks[n].state, State::Failed));
        if let Some(&need) = failed {
            let error = format!("not begun: {} failed", self.tasks[need].title);
            fs_err::create_dir_all(&self.tasks[index].folder)?;
            self.over(index, Err(error), 0.0, watch)?;
            return Ok(true);
        }
        if !self.is_ready(index) {
            return Ok(false);
        }
        let Some(lock) = folder::lock(&self.tasks[index].folder)? else {
            let task = &mut self.tasks[index];
            if !std::mem::replace(&mut task.is_awaited, true) {
                watch.waits(&task.title);
            }
            return Ok(true);
        };
        match self.next_step(index) {
            // Another process has done it meanwhile.
            Ok(None) => self.over(index, Ok(()), 0.0, watch)?,
            Ok(Some(step)) => {
                self.record(index)?;
                folder::forget_error(&self.tasks[index].folder)?;
                let child = Child::start(program, &step, &self.tasks[index].folder, &lock)?;
                watch.begun(&self.tasks[index].title, self.progress());
                self.tasks[index].state = State::Running(Box::new(Running {
                    child,
                    lock,
                    seconds: 0.0,
                }));
            }
            Err(error) => self.over(index, Err(error.to_string()), 0.0, watch)?,
        }
        Ok(true)
    }

    /// Leaves in the folder what it is made of.
    fn record(&self, index: usize) -> Result<(), CompareError> {
        let record = match self.tasks[index].goal {
            Goal::Network(job) => self.place.network_record(job),
            Goal::Run(job) => self.place.record(job)?,
        };
        record.write(&self.tasks[index].folder)
    }

    /// Goes on with a task whose child has ended.
    fn look_after(
        &mut self,
        index: usize,
        program: &Path,
        is_stopping: bool,
        watch: &mut dyn Watch,
    ) -> Result<(), CompareError> {
        let State::Running(running) = &mut self.tasks[index].state else {
            return Ok(());
        };
        let Some(ended) = running.child.ended()? else {
            return Ok(());
        };
        running.seconds += running.child.started.elapsed().as_secs_f64();
        let seconds = running.seconds;
        match ended {
            Ended::Badly(error) => self.over(index, Err(error), seconds, watch)?,
            Ended::Stopped => self.tasks[index].state = State::Stopped,
            Ended::Well => match self.next_step(index) {
                Err(error) => self.over(index, Err(error.to_string()), seconds, watch)?,
                Ok(None) => self.over(index, Ok(()), seconds, watch)?,
                Ok(Some(_)) if is_stopping => self.tasks[index].state = State::Stopped,
                Ok(Some(step)) => {
                    let task = &mut self.tasks[index];
                    if let State::Running(running) = &mut task.state {
                        running.child = Child::start(program, &step, &task.folder, &running.lock)?;
                    }
                }
            },
        }
        Ok(())
    }

    /// A task is over.
    fn over(
        &mut self,
        index: usize,
        result: Result<(), String>,
        seconds: f64,
        watch: &mut dyn Watch,
    ) -> Result<(), CompareError> {
        if let Err(error) = &result {
            folder::keep_error(&self.tasks[index].folder, error)?;
        }
        let task = &mut self.tasks[index];
        task.state = if result.is_ok() { State::Done } else { State::Failed };
        let title = task.title.clone();
        watch.ended(&title, seconds, result.err().as_deref(), self.progress());
        Ok(())
    }
}
