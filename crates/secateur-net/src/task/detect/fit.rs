//! Layouts in words, and whether outputs have their shapes.

use super::layout::Layout;
use crate::value::Output;

impl Layout {
    /// True if outputs have as many values as the layout reads.
    pub fn fits(&self, outputs: &[Output]) -> bool {
        let shape = |i: usize| outputs[i].shape.as_slice();
        match self {
            Self::Rows { grid } => {
                let cells = grid
                    .as_ref()
                    .map(|g| g.iter().map(|l| l.len()).sum::<usize>());
                matches!(*shape(0), [_, a, row] if row > 5 && cells.is_none_or(|c| c == a))
            }
            Self::Columns { classes } => matches!(*shape(0), [_, row, _] if row >= 4 + classes),
            Self::Chosen => matches!(*shape(0), [_, _, 6]),
            Self::Pair { boxes, .. } => {
                matches!((shape(*boxes), shape(1 - boxes)), (&[_, a, 4], &[_, b, _]) if a == b)
            }
            Self::Distances {
                levels,
                classes,
                bins,
                pairs,
                ..
            } => match pairs.as_slice() {
                [] => {
                    let cells: usize = levels.iter().map(|l| l.len()).sum();
                    shape(0)[1..] == [cells, classes + 4 * bins]
                }
                pairs => levels
                    .iter()
                    .zip(pairs)
                    .all(|(level, [scores, distances])| {
                        shape(*scores)[1..] == [level.len(), *classes]
                            && shape(*distances)[1..] == [level.len(), 4 * bins]
                    }),
            },
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        match self {
            Self::Rows { grid: None } => "rows of centre, size, objectness and classes".into(),
            Self::Rows { grid: Some(_) } => {
                "rows of centre and size in cells of a grid, objectness and classes".into()
            }
            Self::Columns { classes } => {
                format!("columns of centre, size and {classes} classes")
            }
            Self::Chosen => "rows of corners, score and class".into(),
            Self::Pair { .. } => "boxes beside class scores".into(),
            Self::Distances { classes, .. } => {
                format!("{classes} classes and distances from the cells of a grid")
            }
        }
    }
}
