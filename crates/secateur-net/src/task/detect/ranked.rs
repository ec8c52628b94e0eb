//! The boxes of a part by class, for average precision.

use std::collections::BTreeMap;

use super::Detect;
use super::boxes::{average_precision, certain, f1, hits};
use crate::error::Result;
use crate::task::figures::{Figure, Gather, Unit};
use crate::task::{Judged, Wanted};
use crate::value::Output;

/// What is gathered of a part.
pub(super) struct Ranked {
    task: Detect,
    /// Scores and hits of the network's boxes, and how many the original has.
    classes: BTreeMap<u32, (Vec<(f32, bool)>, usize)>,
    /// Samples on which one of both has a box, and their F1.
    n: usize,
    f1: f64,
}

impl Ranked {
    pub fn new(task: Detect) -> Self {
        Self {
            task,
            classes: BTreeMap::new(),
            n: 0,
            f1: 0.0,
        }
    }
}

impl Gather for Ranked {
    fn add(&mut self, outputs: &[Output], wanted: Wanted<'_>) -> Result<Vec<Judged>> {
        let both = self.task.both(outputs, wanted)?;
        let [(_, given), (_, wanted)] = &both;
        for (given, wanted) in given.iter().zip(wanted) {
            let wanted = certain(wanted);
            for (found, hit) in given.iter().zip(hits(given, wanted)) {
                let class = self.classes.entry(found.class).or_default();
                class.0.push((found.score, hit));
            }
            for found in wanted {
                self.classes.entry(found.class).or_default().1 += 1;
            }
            if !(certain(given).is_empty() && wanted.is_empty()) {
                self.n += 1;
                self.f1 += f1(certain(given), wanted);
            }
        }
        Ok(self.task.judged(&both))
    }

    /// Classes of which the original finds no box have no recall: they are left out.
    fn figures(&self) -> Vec<Figure> {
        let seen = self.classes.values().filter(|(_, wanted)| *wanted > 0);
        let precisions: Vec<f64> = seen
            .map(|(ranked, wanted)| average_precision(ranked.clone(), *wanted))
            .collect();
        let boxes: usize = self.classes.values().map(|(_, wanted)| wanted).sum();
        let mut figures = Vec::new();
        if !precisions.is_empty() {
            let mean = precisions.iter().sum::<f64>() / precisions.len() as f64;
            figures.push(Figure::share("mAP at IoU 0.5", mean));
        }
        if self.n > 0 {
            let mean = self.f1 / self.n as f64;
            figures.push(Figure::share("F1 where there are boxes", mean));
        }
        figures.push(Figure::share("boxes of the original", boxes as f64).unit(Unit::Count));
        figures
    }
}
