//! Equal texts and steps of a part.

use super::{Read, Sequence};
use crate::error::Result;
use crate::task::figures::{Figure, Gather};
use crate::task::{Judged, Wanted};
use crate::value::Output;

/// What is gathered of a part.
pub(super) struct Texts {
    task: Sequence,
    same: usize,
    same_steps: usize,
    steps: usize,
    n: usize,
}

impl Texts {
    pub fn new(task: Sequence) -> Self {
        Self {
            task,
            same: 0,
            same_steps: 0,
            steps: 0,
            n: 0,
        }
    }
}

impl Gather for Texts {
    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let read = self.task.read(outputs, wanted)?;
        for Read { paths, .. } in &read {
            let (a, b) = (&paths.result, &paths.original);
            let is_number = a.iter().all(Option::is_some);
            self.same += usize::from(is_number && self.task.text(a) == self.task.text(b));
            let same = a.iter().zip(b).filter(|(a, b)| a == b && a.is_some());
            self.same_steps += same.count();
            self.steps += a.len();
        }
        self.n += read.len();
        Ok(read.iter().map(|read| self.task.judged(read)).collect())
    }

    fn figures(&self) -> Vec<Figure> {
        let share = |part: usize, all: usize| part as f64 / all.max(1) as f64;
        vec![
            Figure::share("equal texts", share(self.same, self.n)),
            Figure::share("agreement by all steps", share(self.same_steps, self.steps)),
        ]
    }
}
