//! Makes the runs of an experiment: children side by side, each begun when what it needs is there.

use std::thread::sleep;
use std::time::Duration;

use secateur_search::store::lock;

use super::agenda::{Progress, Running, State, Work};
use super::child::{Child, Ended, Program};
use super::error::CompareError;
use super::folder;

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

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Runs that failed.
    pub failed: usize,
    /// True if it was stopped before its end.
    pub stopped: bool,
}

impl Work<'_> {
    /// Does it, with so many children at once.
    ///
    /// # Errors
    /// [`CompareError`] if a child cannot be started or a file not be written. What a child fails at
    /// is told to `watch`, and kept in its folder.
    pub fn run(
        mut self,
        program: &Program,
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
                if is_stopping || self.count(|state| matches!(state, State::Running(_))) >= at_once
                {
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

    /// Begins a task that waits, if what it needs is there; true if it is still to be waited for.
    fn begin(
        &mut self,
        index: usize,
        program: &Program,
        watch: &mut dyn Watch,
    ) -> Result<bool, CompareError> {
        if !matches!(self.tasks[index].state, State::Waiting) {
            return Ok(false);
        }
        let needs = self.tasks[index].needs.clone();
        let failed = needs
            .iter()
            .find(|&&n| matches!(self.tasks[n].state, State::Failed));
        if let Some(&need) = failed {
            let error = format!("not begun: {} failed", self.tasks[need].title);
            fs_err::create_dir_all(&self.tasks[index].folder)?;
            self.over(index, Err(error), 0.0, watch)?;
            return Ok(true);
        }
        if !self.is_ready(index) {
            return Ok(false);
        }
        let Some(held) = lock(&self.tasks[index].folder)? else {
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
                let child = Child::start(program, &step, &self.tasks[index].folder, &held)?;
                watch.begun(&self.tasks[index].title, self.progress());
                self.tasks[index].state = State::Running(Box::new(Running {
                    child,
                    lock: held,
                    seconds: 0.0,
                }));
            }
            Err(error) => self.over(index, Err(error.to_string()), 0.0, watch)?,
        }
        Ok(true)
    }

    /// Goes on with a task whose child has ended.
    fn look_after(
        &mut self,
        index: usize,
        program: &Program,
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
        task.state = if result.is_ok() {
            State::Done
        } else {
            State::Failed
        };
        let title = task.title.clone();
        watch.ended(&title, seconds, result.err().as_deref(), self.progress());
        Ok(())
    }
}
