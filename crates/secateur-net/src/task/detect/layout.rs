//! How detectors lay out their boxes, told by shapes and by what stands at the graph's end.

use std::collections::HashSet;

use secateur_onnx::graph::Dim;

use super::super::ends::Ends;

/// Strides of the grids of known detectors, finest first.
const STRIDES: [&[usize]; 5] = [
    &[8, 16, 32],
    &[8, 16, 32, 64],
    &[4, 8, 16, 32],
    &[8, 16, 32, 64, 128],
    &[16, 32],
];
/// Boxes that a network without suppression gives at most.
const MOST_QUERIES: usize = 1000;
/// Operators that move values without changing them.
const MOVING: [&str; 14] = [
    "Transpose",
    "Reshape",
    "Concat",
    "Identity",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Shape",
    "Gather",
    "Slice",
    "Constant",
    "Cast",
    "Split",
    "Expand",
];

/// One level of a grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Level {
    pub stride: usize,
    pub height: usize,
    pub width: usize,
}

impl Level {
    pub fn len(&self) -> usize {
        self.height * self.width
    }
}

/// How outputs hold boxes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Layout {
    /// `[n, a, 5 + c]`: centre, size, objectness, class scores (YOLOv5, YOLOv7, YOLOX). With a
    /// grid the first four are relative to its cells (YOLOX without decoding).
    Rows { grid: Option<Vec<Level>> },
    /// `[n, 4 + c + more, a]`: centre, size, class scores (YOLOv8, YOLO11).
    Columns { classes: usize },
    /// `[n, k, 6]`: corners, score, class (YOLOv10).
    Chosen,
    /// Boxes `[n, a, 4]` in output `boxes`, class scores in the other (SSD, RetinaNet, DETR).
    Pair {
        boxes: usize,
        /// Class 0 of a softmax is the background.
        background: bool,
        /// Scores are given before the sigmoid.
        raw_scores: bool,
    },
    /// Class scores and distributions over the four distances from the cell's centre, for each
    /// level (PicoDet), or both side by side for all levels (NanoDet).
    Distances {
        levels: Vec<Level>,
        classes: usize,
        bins: usize,
        /// Outputs of scores and of distances for each level; none where both are in one.
        pairs: Vec<[usize; 2]>,
        /// The first cell's centre, in cells: NanoDet-Plus 0, PicoDet 0.5.
        offset: f32,
    },
}

/// The grids of an image of this size.
fn grids([h, w]: [usize; 2]) -> impl Iterator<Item = Vec<Level>> {
    STRIDES.iter().map(move |strides| {
        let level = |&stride: &usize| Level {
            stride,
            height: h.div_ceil(stride),
            width: w.div_ceil(stride),
        };
        strides.iter().map(level).collect()
    })
}

/// The grid whose cells, times `per_cell`, are so many.
fn grid_of(size: Option<[usize; 2]>, anchors: usize, per_cell: usize) -> Option<Vec<Level>> {
    grids(size?).find(|levels| levels.iter().map(Level::len).sum::<usize>() * per_cell == anchors)
}

/// The layout of these outputs, if it is sure.
pub(super) fn find(ends: &Ends<'_>, outputs: &[&str]) -> Option<Layout> {
    let size = match ends.image_size()? {
        [Some(h), Some(w)] => Some([h, w]),
        _ => None,
    };
    match outputs {
        [only] => single(ends, only, size),
        [first, second] if ends.dims(first).len() == 3 && ends.dims(second).len() == 3 => {
            pair(ends, [first, second]).or_else(|| distances(ends, outputs, size))
        }
        // Masks of YOLOv8: the coefficients lie behind the classes.
        [boxes, masks] if ends.dims(masks).len() == 4 => match single(ends, boxes, size)? {
            columns @ Layout::Columns { .. } => Some(columns),
            _ => None,
        },
        _ => distances(ends, outputs, size),
    }
}

fn single(ends: &Ends<'_>, output: &str, size: Option<[usize; 2]>) -> Option<Layout> {
    let [_, a, b] = ends.dims(output) else {
        return None;
    };
    let tail = tail(ends, output);
    if let (Some(k), Some(6)) = (a.fixed(), b.fixed())
        && k <= MOST_QUERIES
        && tail.contains("TopK")
    {
        return Some(Layout::Chosen);
    }
    if !tail.contains("Sigmoid") {
        return None;
    }
    let parts = parts(ends, output);
    if let (Some(anchors), Some(row)) = (a.fixed(), b.fixed())
        && row > 5
    {
        if let Some(levels) = grid_of(size, anchors, 1) {
            return rows(&tail, parts.as_deref(), row, levels);
        }
        if grid_of(size, anchors, 3).is_some() {
            return Some(Layout::Rows { grid: None });
        }
    }
    let column = a.fixed().filter(|&column| column > 4)?;
    // Concatenated are the boxes and what a sigmoid gives: the classes, then perhaps more.
    let classes = match parts.as_deref() {
        Some([(Some(4), false), (Some(classes), true), ..]) => Some(*classes),
        _ => None,
    };
    let fits = b.fixed().is_some_and(|n| grid_of(size, n, 1).is_some());
    match (classes, b) {
        (Some(classes), Dim::Named(_) | Dim::Unknown) => Some(Layout::Columns { classes }),
        (classes, _) if fits => Some(Layout::Columns {
            classes: classes.unwrap_or(column - 4),
        }),
        _ => None,
    }
}

/// One row for each cell of a grid.
fn rows(
    tail: &HashSet<&str>,
    parts: Option<&[(Option<usize>, bool)]>,
    row: usize,
    levels: Vec<Level>,
) -> Option<Layout> {
    match parts {
        Some([(Some(classes), true), (Some(distances), false)])
            if classes + distances == row && distances % 4 == 0 && *distances > 4 =>
        {
            Some(Layout::Distances {
                levels,
                classes: *classes,
                bins: distances / 4,
                pairs: Vec::new(),
                offset: 0.0,
            })
        }
        Some([(Some(4), false), (Some(1), true), (_, true)]) if !tail.contains("Exp") => {
            Some(Layout::Rows { grid: Some(levels) })
        }
        _ if tail.contains("Exp") => Some(Layout::Rows { grid: None }),
        _ => None,
    }
}

/// Boxes and scores apart.
fn pair(ends: &Ends<'_>, outputs: [&str; 2]) -> Option<Layout> {
    let dims = outputs.map(|name| ends.dims(name));
    if dims[0][1] != dims[1][1] {
        return None;
    }
    let is_boxes = |i: usize| dims[i][2].fixed() == Some(4);
    let named = |i: usize| {
        let name = outputs[i].to_lowercase();
        name.contains("box") || name.contains("loc")
    };
    let boxes = match [is_boxes(0), is_boxes(1)] {
        [true, false] => 0,
        [false, true] => 1,
        [true, true] if named(0) != named(1) => usize::from(named(1)),
        _ => return None,
    };
    // Offsets to anchors that the file does not hold are no boxes.
    if tail(ends, outputs[boxes])
        .iter()
        .all(|op| MOVING.contains(op))
    {
        return None;
    }
    let scores = outputs[1 - boxes];
    let softmax = ends.before_softmax(scores, 2, 3).is_some();
    let classes = dims[1 - boxes][2].fixed()?;
    Some(Layout::Pair {
        boxes,
        background: softmax && classes > 1,
        raw_scores: !softmax && !tail(ends, scores).contains("Sigmoid"),
    })
}

/// Pairs of scores and distances for each level.
fn distances(ends: &Ends<'_>, outputs: &[&str], size: Option<[usize; 2]>) -> Option<Layout> {
    let n = outputs.len() / 2;
    let extents: Vec<[usize; 2]> = outputs
        .iter()
        .map(|name| match *ends.extents(name) {
            [_, Some(a), Some(b)] => Some([a, b]),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let levels = grids(size?).find(|levels| levels.len() == n && outputs.len() == 2 * n)?;
    let is_score = |i: usize| ends.before_sigmoid(of_moved(ends, outputs[i])).is_some();
    let mut pairs = Vec::new();
    for level in &levels {
        let of_level = (0..outputs.len()).filter(|&i| extents[i][0] == level.len());
        let (scores, others): (Vec<usize>, Vec<usize>) = of_level.partition(|&i| is_score(i));
        let ([scores], [distances]) = (&scores[..], &others[..]) else {
            return None;
        };
        pairs.push([*scores, *distances]);
    }
    let [classes, row] = pairs.first()?.map(|i| extents[i][1]);
    let alike = pairs
        .iter()
        .all(|p| p.map(|i| extents[i][1]) == [classes, row]);
    (alike && row % 4 == 0 && row > 4).then_some(Layout::Distances {
        levels,
        classes,
        bins: row / 4,
        pairs,
        offset: 0.5,
    })
}

/// What a value is before it was moved.
fn of_moved<'a>(ends: &'a Ends<'_>, mut name: &'a str) -> &'a str {
    while let Some(node) = ends.node(name)
        && matches!(
            node.op_type.as_str(),
            "Transpose" | "Reshape" | "Identity" | "Flatten"
        )
        && let Some(input) = node.input(0)
    {
        name = input;
    }
    name
}

/// What is put side by side at the end, where a sigmoid is among it: extents, and whether it
/// is a sigmoid's.
fn parts(ends: &Ends<'_>, output: &str) -> Option<Vec<(Option<usize>, bool)>> {
    let mut name = output;
    loop {
        let node = ends.node(of_moved(ends, name))?;
        if node.op_type != "Concat" {
            return None;
        }
        let part = |input: &String| {
            let rank = ends.dims(input).len() as i64;
            let axis = node.attr_i("axis", 1);
            let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
            let extent = axis.and_then(|axis| ends.dims(input).get(axis)?.fixed());
            (extent, ends.before_sigmoid(of_moved(ends, input)).is_some())
        };
        let parts: Vec<_> = node.inputs.iter().flatten().map(part).collect();
        if parts.iter().any(|(_, sigmoid)| *sigmoid) {
            return Some(parts);
        }
        name = node.input(0)?;
    }
}

/// Operators between an output and the layers with weights before it.
fn tail<'g>(ends: &Ends<'g>, output: &str) -> HashSet<&'g str> {
    ends.tail(output).0
}
