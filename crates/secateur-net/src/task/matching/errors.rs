//! The error of each output over a part.

use super::{Match, Matched, judged};
use crate::error::Result;
use crate::task::figures::{Figure, Gather, Unit};
use crate::task::{Judged, Wanted};
use crate::value::Output;

/// What is gathered of a part.
pub(super) struct Errors {
    task: Match,
    sums: Vec<f64>,
    n: usize,
}

impl Errors {
    pub fn new(task: Match) -> Self {
        Self {
            sums: vec![0.0; task.outputs.len()],
            task,
            n: 0,
        }
    }
}

impl Gather for Errors {
    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let errors = self.task.errors(outputs, wanted)?;
        for of_sample in &errors {
            for (sum, error) in self.sums.iter_mut().zip(of_sample) {
                *sum += error;
            }
        }
        self.n += errors.len();
        Ok(errors.iter().map(|errors| judged(errors)).collect())
    }

    fn figures(&self) -> Vec<Figure> {
        let outputs = self.task.outputs.iter().zip(&self.sums);
        let figure = |(matched, sum): (&Matched, &f64)| {
            let mean = sum / self.n.max(1) as f64;
            match matched.is_whole {
                true => Figure::share("equal values", 1.0 - mean),
                // The error as people think of it is in units of the deviation, not its square.
                false => Figure::share("relative error", mean.sqrt()).unit(Unit::Error),
            }
            .of_output(&matched.name)
        };
        outputs.map(figure).collect()
    }
}
