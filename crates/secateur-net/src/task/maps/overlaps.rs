//! Overlaps over a part, map by map.

use super::counted::Counts;
use super::{Maps, judged};
use crate::error::Result;
use crate::task::figures::{Figure, Gather};
use crate::task::{Judged, Wanted};
use crate::value::Output;

/// What is gathered of a part.
pub(super) struct Overlaps {
    task: Maps,
    counts: Vec<Counts>,
}

impl Overlaps {
    pub fn new(task: Maps) -> Self {
        let counts = Vec::new();
        Self { task, counts }
    }
}

impl Gather for Overlaps {
    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let counted = self.task.counted(outputs, wanted)?;
        for of_sample in &counted {
            for (at, counts) in of_sample.iter().enumerate() {
                if self.counts.len() == at {
                    self.counts.push(Counts::new(counts.classes()));
                }
                self.counts[at].add(counts);
            }
        }
        Ok(counted.iter().map(|counts| judged(counts)).collect())
    }

    fn figures(&self) -> Vec<Figure> {
        let maps = self.task.maps.iter().zip(&self.counts);
        maps.flat_map(|(map, counts)| {
            let agreement = counts.same as f64 / counts.all.max(1) as f64;
            [
                Figure::share("mean IoU of all positions", counts.mean_iou()),
                Figure::share("agreement by position", agreement),
            ]
            .map(|figure| figure.of_output(&map.scores))
        })
        .collect()
    }
}
