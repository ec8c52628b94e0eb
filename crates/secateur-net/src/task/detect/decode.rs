//! From outputs to boxes.

use super::boxes::{Found, LEAST_RANKED, suppressed};
use super::layout::{Layout, Level};
use crate::value::Output;

/// Boxes given by centre and size.
fn corners([x, y, w, h]: [f32; 4]) -> [f32; 4] {
    [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0]
}

fn four(values: &[f32]) -> [f32; 4] {
    [values[0], values[1], values[2], values[3]]
}

fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + (-z).exp())
}

/// The best class of a row and its score, if that counts; NaN never does.
fn best(scores: impl Iterator<Item = f32>) -> Option<(u32, f32)> {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, score) in (0..).zip(scores) {
        if score > best.1 {
            best = (class, score);
        }
    }
    (best.1 >= LEAST_RANKED).then_some(best)
}

/// How the boxes of a pair of outputs are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Corners,
    CentreAndSize,
}

/// The form of boxes: corners, if right lies right of left and bottom below top in nearly all.
pub(super) fn form_of(boxes: &Output) -> Form {
    let rows = boxes.values.chunks_exact(4);
    // Rows of zeros fill up.
    let rows: Vec<&[f32]> = rows.filter(|b| b.iter().any(|&v| v != 0.0)).collect();
    let ordered = rows.iter().filter(|b| b[2] > b[0] && b[3] > b[1]).count();
    // Rounding may turn a box of no size over.
    if ordered * 100 >= rows.len() * 95 {
        Form::Corners
    } else {
        Form::CentreAndSize
    }
}

/// The boxes of a sample after suppression, best first.
pub(super) fn decode(layout: &Layout, form: Form, outputs: &[Output], index: usize) -> Vec<Found> {
    let sample = |output: usize| outputs[output].sample(index);
    match layout {
        Layout::Rows { grid } => {
            let row = *outputs[0].shape.last().unwrap_or(&1);
            suppressed(rows(sample(0), row, grid.as_deref()))
        }
        Layout::Columns { classes } => {
            let anchors = *outputs[0].shape.last().unwrap_or(&1);
            suppressed(columns(sample(0), *classes, anchors))
        }
        Layout::Chosen => {
            let rows = sample(0).chunks_exact(6);
            let found = rows.filter(|row| row[4] >= LEAST_RANKED).map(|row| Found {
                class: row[5].max(0.0) as u32,
                score: row[4],
                corners: four(row),
            });
            suppressed(found.collect())
        }
        Layout::Pair {
            boxes,
            background,
            raw_scores,
        } => {
            let classes = *outputs[1 - boxes].shape.last().unwrap_or(&1);
            let rows = sample(*boxes).chunks_exact(4);
            let scores = sample(1 - boxes).chunks_exact(classes);
            let found = rows.zip(scores).filter_map(|(row, scores)| {
                let scores = scores.iter().skip(usize::from(*background));
                let (class, score) =
                    best(scores.map(|&s| if *raw_scores { sigmoid(s) } else { s }))?;
                let corners = match form {
                    Form::Corners => four(row),
                    Form::CentreAndSize => corners(four(row)),
                };
                Some(Found {
                    class,
                    score,
                    corners,
                })
            });
            suppressed(found.collect())
        }
        Layout::Distances {
            levels,
            classes,
            bins,
            pairs,
            offset,
        } => {
            let row = classes + 4 * bins;
            let mut found = Vec::new();
            let mut start = 0;
            for (l, level) in levels.iter().enumerate() {
                for cell in 0..level.len() {
                    let (scores, distances) = match pairs.get(l) {
                        Some([scores, distances]) => (
                            &sample(*scores)[cell * classes..][..*classes],
                            &sample(*distances)[cell * 4 * bins..][..4 * bins],
                        ),
                        None => sample(0)[(start + cell) * row..][..row].split_at(*classes),
                    };
                    if let Some((class, score)) = best(scores.iter().copied()) {
                        found.push(Found {
                            class,
                            score,
                            corners: around(level, cell, *offset, distances, *bins),
                        });
                    }
                }
                start += level.len();
            }
            suppressed(found)
        }
    }
}

fn rows(values: &[f32], row: usize, grid: Option<&[Level]>) -> Vec<Found> {
    let cells = grid.map(|levels| {
        levels
            .iter()
            .flat_map(|l| (0..l.len()).map(move |c| (l, c)))
    });
    let mut cells = cells.into_iter().flatten();
    let mut found = Vec::new();
    for row in values.chunks_exact(row) {
        let cell = cells.next();
        if row[4].is_nan() || row[4] < LEAST_RANKED {
            continue;
        }
        let Some((class, score)) = best(row[5..].iter().map(|score| score * row[4])) else {
            continue;
        };
        let mut centre = four(row);
        if let Some((level, cell)) = cell {
            let stride = level.stride as f32;
            let [x, y] = [cell % level.width, cell / level.width].map(|v| v as f32);
            centre = [
                (centre[0] + x) * stride,
                (centre[1] + y) * stride,
                centre[2].exp() * stride,
                centre[3].exp() * stride,
            ];
        }
        found.push(Found {
            class,
            score,
            corners: corners(centre),
        });
    }
    found
}

fn columns(values: &[f32], classes: usize, anchors: usize) -> Vec<Found> {
    // Class by class, so that memory is read in its order.
    let mut bests = vec![(0, f32::NEG_INFINITY); anchors];
    let scores = values[4 * anchors..].chunks_exact(anchors).take(classes);
    for (class, scores) in (0..).zip(scores) {
        for (best, &score) in bests.iter_mut().zip(scores) {
            if score > best.1 {
                *best = (class, score);
            }
        }
    }
    let bests = bests.into_iter().enumerate();
    bests
        .filter(|(_, (_, score))| *score >= LEAST_RANKED)
        .map(|(a, (class, score))| Found {
            class,
            score,
            corners: corners([0, 1, 2, 3].map(|i| values[i * anchors + a])),
        })
        .collect()
}

/// The box around a cell, each distance the mean of a distribution over 0, 1, 2, ... cells.
///
/// Source: Li et al., NeurIPS 2020, arXiv:2006.04388 (distribution focal loss).
fn around(level: &Level, cell: usize, offset: f32, distances: &[f32], bins: usize) -> [f32; 4] {
    let mean = |side: usize| {
        let scores = &distances[side * bins..][..bins];
        let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shares = scores.iter().map(|s| (s - max).exp());
        let sum: f32 = shares.clone().sum();
        let weighted = shares.enumerate().map(|(i, share)| i as f32 * share);
        weighted.sum::<f32>() / sum
    };
    let stride = level.stride as f32;
    let x = (cell % level.width) as f32 + offset;
    let y = (cell / level.width) as f32 + offset;
    [x - mean(0), y - mean(1), x + mean(2), y + mean(3)].map(|v| v * stride)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::testing::output;

    fn check(layout: &Layout, form: Form, outputs: &[Output], expected: &[Found]) {
        let got = decode(layout, form, outputs, 0);
        assert_eq!(got.len(), expected.len(), "{layout:?}: {got:?}");
        for (got, expected) in got.iter().zip(expected) {
            assert_eq!(got.class, expected.class, "{layout:?}");
            assert!(
                (got.score - expected.score).abs() < 1e-5,
                "{layout:?}: {got:?}"
            );
            let pairs = got.corners.iter().zip(expected.corners);
            assert!(
                pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-3),
                "{layout:?}: {got:?}"
            );
        }
    }

    #[test]
    fn every_layout_gives_the_same_box() {
        let expected = [Found {
            class: 1,
            score: 0.72,
            corners: [10.0, 20.0, 30.0, 60.0],
        }];
        // Centre 20, 40, size 20, 40; a second row that is no box.
        let rows = output(
            &[1, 2, 7],
            &[
                20.0, 40.0, 20.0, 40.0, 0.9, 0.1, 0.8, 5.0, 5.0, 1.0, 1.0, 0.01, 0.9, 0.9,
            ],
        );
        let form = Form::Corners;
        check(&Layout::Rows { grid: None }, form, &[rows], &expected);
        let columns = output(
            &[1, 6, 2],
            &[
                20.0, 5.0, 40.0, 5.0, 20.0, 1.0, 40.0, 1.0, 0.1, 0.0, 0.72, 0.01,
            ],
        );
        check(&Layout::Columns { classes: 2 }, form, &[columns], &expected);
        let chosen = output(&[1, 1, 6], &[10.0, 20.0, 30.0, 60.0, 0.72, 1.0]);
        check(&Layout::Chosen, form, &[chosen], &expected);
        let level = |stride, height, width| Level {
            stride,
            height,
            width,
        };
        // Cell (1, 2) of stride 16: centre (1.25, 2.5) cells, size e^z cells.
        let mut raw = vec![0.0; 12 * 7];
        raw[9 * 7..10 * 7].copy_from_slice(&[
            -0.75,
            -0.5,
            1.25f32.ln(),
            2.5f32.ln(),
            0.9,
            0.1,
            0.8,
        ]);
        let grid = Layout::Rows {
            grid: Some(vec![level(16, 3, 4)]),
        };
        let moved = [Found {
            corners: [
                (1.0 - 0.75 - 0.625) * 16.0,
                4.0,
                (1.0 - 0.75 + 0.625) * 16.0,
                44.0,
            ],
            ..expected[0]
        }];
        check(&grid, form, &[output(&[1, 12, 7], &raw)], &moved);
        for (form, values) in [
            (Form::Corners, [10.0, 20.0, 30.0, 60.0]),
            (Form::CentreAndSize, [20.0, 40.0, 20.0, 40.0]),
        ] {
            let pair = Layout::Pair {
                boxes: 0,
                background: true,
                raw_scores: false,
            };
            let outputs = [
                output(&[1, 1, 4], &values),
                output(&[1, 1, 3], &[0.2, 0.08, 0.72]),
            ];
            check(&pair, form, &outputs, &expected);
            assert_eq!(form_of(&outputs[0]), form);
        }
        // Sharp distributions: 1 cell of 8 around the centre of cell 0.
        let mut sides = vec![-50.0; 4 * 3];
        (0..4).for_each(|side| sides[side * 3 + 1] = 50.0);
        let distances = Layout::Distances {
            levels: vec![level(8, 1, 1)],
            classes: 2,
            bins: 3,
            pairs: vec![[0, 1]],
            offset: 0.5,
        };
        let outputs = [
            output(&[1, 1, 2], &[0.1, 0.72]),
            output(&[1, 1, 12], &sides),
        ];
        let around = [Found {
            corners: [-4.0, -4.0, 12.0, 12.0],
            ..expected[0]
        }];
        check(&distances, form, &outputs, &around);
    }

    #[test]
    fn what_is_no_number_is_no_box() {
        let nan = output(&[1, 1, 6], &[f32::NAN; 6]);
        for layout in [Layout::Rows { grid: None }, Layout::Chosen] {
            assert!(decode(&layout, Form::Corners, std::slice::from_ref(&nan), 0).is_empty());
        }
        let nan = output(&[1, 6, 1], &[f32::NAN; 6]);
        assert!(decode(&Layout::Columns { classes: 2 }, Form::Corners, &[nan], 0).is_empty());
    }
}
