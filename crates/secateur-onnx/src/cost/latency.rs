//! The time of a network in an engine, from measured times of its pieces.
//!
//! ```text
//! t(masks) = rest + scale · Σ t_p(x_p, y_p)
//! ```
//!
//! `x` and `y` are the channels that piece `p` reads and gives under the masks, `t_p` a table of
//! times that were measured at some of them. Between those it is linear, and more channels never
//! take less time: a run is only ever held up, so where a wider piece was measured faster than a
//! narrower one, the narrower one was held up.

use serde::{Deserialize, Serialize};

use super::extents::infer_with_extents;
use super::term::{Active, Term};
use crate::coupling::{ChannelGroups, Masks};
use crate::error::Result;
use crate::graph::Graph;
use crate::pieces::Piece;
use crate::shape::Inferred;

/// A time that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Channels that the piece reads.
    pub x: u64,
    /// Channels that it gives.
    pub y: u64,
    /// Nanoseconds.
    pub ns: f64,
}

/// Times of a piece by its channels.
#[derive(Debug, Clone, PartialEq)]
pub struct PieceTimes {
    /// By `y`, narrowest first, each with times by `x`, narrowest first.
    rows: Vec<(f64, Vec<(f64, f64)>)>,
}

impl PieceTimes {
    /// From what was measured, in any order; of several times at the same channels the least.
    pub fn new(timings: &[Timing]) -> Self {
        let mut timings = timings.to_vec();
        timings.sort_by(|a, b| (a.y, a.x).cmp(&(b.y, b.x)).then(a.ns.total_cmp(&b.ns)));
        timings.dedup_by_key(|timing| (timing.y, timing.x));
        let mut rows: Vec<(f64, Vec<(f64, f64)>)> = Vec::new();
        for Timing { x, y, ns } in timings {
            match rows.last_mut().filter(|(of, _)| *of == y as f64) {
                Some((_, row)) => row.push((x as f64, ns)),
                None => rows.push((y as f64, vec![(x as f64, ns)])),
            }
        }
        let mut wider: Option<Vec<(f64, f64)>> = None;
        for (_, row) in rows.iter_mut().rev() {
            let mut least = f64::INFINITY;
            for (x, ns) in row.iter_mut().rev() {
                let above = wider.as_ref().map_or(f64::INFINITY, |row| between(row, *x));
                least = least.min(*ns).min(above);
                *ns = least;
            }
            wider = Some(row.clone());
        }
        Self { rows }
    }

    /// Nanoseconds at so many channels.
    pub fn at(&self, x: u64, y: u64) -> f64 {
        let (x, y) = (x as f64, y as f64);
        let next = self.rows.partition_point(|(row, _)| *row < y);
        let at = |row: usize| -> Option<(f64, f64)> {
            let (y, row) = self.rows.get(row)?;
            Some((*y, between(row, x)))
        };
        on_line(at(next.wrapping_sub(1)), at(next), y)
    }
}

/// A value between known ones; outside them that of the nearest, since a part of an engine's block
/// takes as long as the block. Nothing is known without any.
fn between(known: &[(f64, f64)], at: f64) -> f64 {
    let next = known.partition_point(|(place, _)| *place < at);
    let get = |index: usize| known.get(index).copied();
    on_line(get(next.wrapping_sub(1)), get(next), at)
}

fn on_line(from: Option<(f64, f64)>, to: Option<(f64, f64)>, at: f64) -> f64 {
    match (from, to) {
        (Some(from), Some(to)) => from.1 + (to.1 - from.1) * (at - from.0) / (to.0 - from.0),
        (Some(only), None) | (None, Some(only)) => only.1,
        (None, None) => 0.0,
    }
}

/// A piece with its times, and what its channels come to under masks.
#[derive(Debug, Clone)]
struct TimedPiece {
    channels: Channels,
    times: PieceTimes,
}

/// Channels that a piece reads and gives.
#[derive(Debug, Clone)]
pub struct Channels {
    reads: Vec<Term>,
    gives: Vec<Term>,
}

impl Channels {
    /// Those of each of some pieces of a graph.
    ///
    /// # Errors
    /// [`crate::OnnxError::Graph`] if shapes contradict each other.
    pub fn of(graph: &Graph, groups: &ChannelGroups, pieces: &[Piece]) -> Result<Vec<Self>> {
        let known = infer_with_extents(graph)?;
        let of = |piece| Self::of_piece(&known, groups, piece);
        Ok(pieces.iter().map(of).collect())
    }

    fn of_piece(known: &Inferred, groups: &ChannelGroups, piece: &Piece) -> Self {
        let terms = |names: &mut dyn Iterator<Item = &String>| -> Vec<Term> {
            let axes = names.flat_map(|name| {
                let axes = groups.axes.get(name).into_iter().flatten().enumerate();
                let own = axes.filter(|(_, kernels)| kernels.is_some());
                own.map(|(axis, _)| (name.clone(), axis))
                    .collect::<Vec<_>>()
            });
            axes.map(|axis| Term::new(known, groups, &[axis], 1))
                .collect()
        };
        let gives = terms(&mut piece.outputs.iter());
        let mut reads = terms(&mut piece.inputs.iter().map(|(name, _)| name));
        // What is read besides what is given says nothing more: a sum, a pooling.
        let given: Vec<usize> = gives.iter().flat_map(Term::groups).collect();
        reads.retain(|term| term.groups().any(|group| !given.contains(&group)));
        Self { reads, gives }
    }

    /// How many it reads and gives under masks.
    pub fn count(&self, masks: &Masks) -> (u64, u64) {
        let counts = &Active::counts(masks);
        self.under(Active { masks, counts })
    }

    fn under(&self, active: Active<'_>) -> (u64, u64) {
        let sum = |terms: &[Term]| terms.iter().map(|term| term.count(active)).sum();
        (sum(&self.reads), sum(&self.gives))
    }

    /// The group whose kernels it gives, if it gives those of one and reads others.
    pub fn gives_alone(&self) -> Option<usize> {
        let mut groups = self.gives.iter().flat_map(Term::groups);
        let group = groups.next().filter(|_| !self.reads.is_empty())?;
        groups.all(|other| other == group).then_some(group)
    }

    /// Channel groups that it reads and gives, each once.
    pub fn groups(&self) -> Vec<usize> {
        let terms = self.reads.iter().chain(&self.gives);
        let mut groups: Vec<usize> = terms.flat_map(Term::groups).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

/// The time of a network in an engine.
#[derive(Debug, Clone)]
pub struct Latency {
    pieces: Vec<TimedPiece>,
    scale: f64,
    rest: f64,
}

impl Latency {
    /// From pieces with their times, their sum taken as it is.
    pub fn new(pieces: impl IntoIterator<Item = (Channels, PieceTimes)>) -> Self {
        let pieces = pieces.into_iter();
        Self {
            pieces: pieces
                .map(|(channels, times)| TimedPiece { channels, times })
                .collect(),
            scale: 1.0,
            rest: 0.0,
        }
    }

    /// The same, with what whole networks showed: nanoseconds beside the pieces, and what the
    /// pieces' times are multiplied by.
    #[must_use]
    pub fn fitted(self, scale: f64, rest: f64) -> Self {
        Self {
            scale,
            rest,
            ..self
        }
    }

    /// Nanoseconds of the network that the masks leave.
    pub fn of(&self, masks: &Masks) -> f64 {
        let counts = &Active::counts(masks);
        self.under(Active { masks, counts })
    }

    pub(super) fn under(&self, active: Active<'_>) -> f64 {
        let of_piece = |piece: &TimedPiece| {
            let (x, y) = piece.channels.under(active);
            piece.times.at(x, y)
        };
        self.rest + self.scale * self.pieces.iter().map(of_piece).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(x: u64, y: u64, ns: f64) -> Timing {
        Timing { x, y, ns }
    }

    #[test]
    fn times_lie_between_what_was_measured() {
        let times = PieceTimes::new(&[
            timing(8, 8, 10.0),
            timing(16, 8, 20.0),
            timing(8, 16, 30.0),
            timing(16, 16, 40.0),
            timing(8, 8, 11.0),
        ]);
        for (x, y, expected) in [(8, 8, 10.0), (12, 8, 15.0), (12, 12, 25.0), (16, 16, 40.0)] {
            assert_eq!(times.at(x, y), expected, "{x} {y}");
        }
        assert_eq!(times.at(24, 16), 40.0);
        assert_eq!(times.at(1, 4), 10.0);
        assert_eq!(PieceTimes::new(&[timing(0, 3, 7.0)]).at(0, 100), 7.0);
    }

    #[test]
    fn more_channels_never_take_less_time() {
        let times = PieceTimes::new(&[
            timing(8, 8, 10.0),
            timing(16, 8, 90.0),
            timing(8, 16, 30.0),
            timing(16, 16, 40.0),
        ]);
        assert_eq!(times.at(16, 8), 40.0);
        for x in 1..32 {
            for y in 1..32 {
                assert!(times.at(x, y) <= times.at(x + 1, y));
                assert!(times.at(x, y) <= times.at(x, y + 1));
            }
        }
    }
}
