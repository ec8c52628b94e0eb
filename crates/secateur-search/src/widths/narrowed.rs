//! Networks of some widths, whose sizes follow each change.

use secateur_onnx::cost::{Size, Tally};

use super::Frame;

/// A network whose groups keep so many kernels.
#[derive(Clone)]
pub(super) struct Narrowed<'a> {
    frame: &'a Frame<'a>,
    tally: Tally<'a>,
}

/// What a kernel of a group adds to a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    /// In the frame's count.
    pub size: u64,
    /// Its multiply-adds, by what they count for.
    pub effort: f64,
}

impl<'a> Narrowed<'a> {
    /// The given network.
    pub fn full(frame: &'a Frame<'a>) -> Self {
        Self {
            frame,
            tally: Tally::new(&frame.space.cost, frame.space.all_active()),
        }
    }

    /// Kernels of a group.
    pub fn width(&self, group: usize) -> usize {
        self.tally.count(group)
    }

    /// Kernels of every group.
    pub fn widths(&self) -> Vec<usize> {
        let groups = 0..self.frame.space.groups.groups.len();
        groups.map(|group| self.width(group)).collect()
    }

    /// Gives a group so many kernels.
    pub fn set(&mut self, group: usize, width: usize) {
        self.tally.narrow(group, width);
    }

    /// Size in the frame's count.
    pub fn size(&self) -> u64 {
        self.frame.count.of(&self.tally.size())
    }

    /// True if it is small enough.
    pub fn fits(&self) -> bool {
        self.size() <= self.frame.at_most
    }

    /// What its multiply-adds count for.
    pub fn effort(&self) -> f64 {
        self.effort_of(&self.tally.size())
    }

    /// What a kernel of a group adds to it.
    pub fn price(&mut self, group: usize) -> Price {
        let size = self.tally.marginal(group);
        Price {
            size: self.frame.count.of(&size),
            effort: self.effort_of(&size),
        }
    }

    fn effort_of(&self, size: &Size) -> f64 {
        self.frame.effort * size.macs as f64 / self.frame.space.size.macs.max(1) as f64
    }
}
