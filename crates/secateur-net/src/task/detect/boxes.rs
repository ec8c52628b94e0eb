//! Boxes with classes: overlap, suppression, and how those of two networks agree.

/// Boxes that overlap by at least this much are the same.
pub(super) const SAME: f32 = 0.5;
/// Boxes of lower score are none; the default of the YOLO family's own programs.
pub(super) const LEAST_SCORE: f32 = 0.25;
/// Scores from which boxes count for average precision.
pub(super) const LEAST_RANKED: f32 = 0.05;
/// Of boxes of one class that overlap by more than this, the one of the largest score stays
/// (YOLOv5's default).
const SUPPRESSED: f32 = 0.45;
/// Boxes that go into suppression at most, the best ones.
const MOST_CANDIDATES: usize = 1000;
/// Boxes of an image at most (YOLOv5's default).
const MOST_BOXES: usize = 300;

/// A box that a network gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub class: u32,
    pub score: f32,
    /// Left, top, right, bottom.
    pub corners: [f32; 4],
}

impl Found {
    fn area(&self) -> f32 {
        let [left, top, right, bottom] = self.corners;
        (right - left).max(0.0) * (bottom - top).max(0.0)
    }

    /// Intersection over union; 0 for boxes of other classes.
    pub fn overlap(&self, other: &Self) -> f32 {
        let (a, b) = (self.corners, other.corners);
        let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
        let shared = width * height;
        let union = self.area() + other.area() - shared;
        if self.class == other.class && union > 0.0 {
            shared / union
        } else {
            0.0
        }
    }
}

/// Brings boxes into the order of their scores.
fn rank(boxes: &mut [Found]) {
    boxes.sort_by(|a, b| b.score.total_cmp(&a.score));
}

/// The boxes that remain of candidates, best first.
pub(super) fn suppressed(mut candidates: Vec<Found>) -> Vec<Found> {
    // A box that is no number is none: it must not pass for a good one.
    candidates.retain(|b| b.score.is_finite() && b.corners.iter().all(|c| c.is_finite()));
    rank(&mut candidates);
    candidates.truncate(MOST_CANDIDATES);
    let mut kept: Vec<Found> = Vec::new();
    for candidate in candidates {
        if kept.len() == MOST_BOXES {
            break;
        }
        if kept
            .iter()
            .all(|other| other.overlap(&candidate) <= SUPPRESSED)
        {
            kept.push(candidate);
        }
    }
    kept
}

/// Those of boxes that count as found.
pub(super) fn certain(boxes: &[Found]) -> &[Found] {
    let n = boxes.partition_point(|b| b.score >= LEAST_SCORE);
    &boxes[..n]
}

/// Of each box, best first, which of `wanted` it is; each of those is found once.
pub(super) fn matched(boxes: &[Found], wanted: &[Found]) -> Vec<Option<usize>> {
    let mut taken = vec![false; wanted.len()];
    let find = |found: &Found| {
        let free = wanted.iter().enumerate().filter(|&(i, _)| !taken[i]);
        let best = free
            .map(|(i, other)| (i, found.overlap(other)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let (i, _) = best.filter(|(_, overlap)| *overlap >= SAME)?;
        taken[i] = true;
        Some(i)
    };
    boxes.iter().map(find).collect()
}

/// Of each box, best first, whether it is one of `wanted`.
pub(super) fn hits(boxes: &[Found], wanted: &[Found]) -> Vec<bool> {
    let matched = matched(boxes, wanted).into_iter();
    matched.map(|other| other.is_some()).collect()
}

/// Harmonic mean of precision and recall; 1 where neither has a box.
pub(super) fn f1(boxes: &[Found], wanted: &[Found]) -> f64 {
    let right = hits(boxes, wanted).into_iter().filter(|&hit| hit).count();
    match boxes.len() + wanted.len() {
        0 => 1.0,
        all => 2.0 * right as f64 / all as f64,
    }
}

/// Average precision of one class: the area below the curve of precision over recall, precision
/// made falling from right to left, as PASCAL VOC has it since 2010.
///
/// # Range
/// `ranked`: score and whether it is right, in any order.
pub(super) fn average_precision(mut ranked: Vec<(f32, bool)>, n_wanted: usize) -> f64 {
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut right = 0usize;
    let precisions: Vec<(bool, f64)> = ranked
        .iter()
        .enumerate()
        .map(|(i, &(_, hit))| {
            right += usize::from(hit);
            (hit, right as f64 / (i + 1) as f64)
        })
        .collect();
    let (mut best, mut area) = (0.0f64, 0.0);
    for &(hit, precision) in precisions.iter().rev() {
        best = best.max(precision);
        if hit {
            area += best;
        }
    }
    area / n_wanted.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(class: u32, score: f32, corners: [f32; 4]) -> Found {
        Found {
            class,
            score,
            corners,
        }
    }

    #[test]
    fn overlap_is_intersection_over_union_within_a_class() {
        let a = found(0, 1.0, [0.0, 0.0, 2.0, 2.0]);
        assert_eq!(a.overlap(&a), 1.0);
        assert!((a.overlap(&found(0, 1.0, [1.0, 0.0, 3.0, 2.0])) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.overlap(&found(1, 1.0, [0.0, 0.0, 2.0, 2.0])), 0.0);
        assert_eq!(a.overlap(&found(0, 1.0, [2.0, 2.0, 1.0, 1.0])), 0.0);
    }

    #[test]
    fn the_best_of_boxes_on_top_of_each_other_stays() {
        let kept = suppressed(vec![
            found(0, 0.5, [0.0, 0.0, 10.0, 10.0]),
            found(0, 0.9, [0.0, 0.0, 10.0, 9.0]),
            found(1, 0.4, [0.0, 0.0, 10.0, 10.0]),
            found(0, 0.1, [50.0, 0.0, 60.0, 10.0]),
            found(0, f32::NAN, [80.0, 0.0, 90.0, 10.0]),
            found(0, 0.8, [f32::NAN, 0.0, 90.0, 10.0]),
        ]);
        let scores: Vec<f32> = kept.iter().map(|b| b.score).collect();
        assert_eq!(scores, [0.9, 0.4, 0.1]);
        assert_eq!(certain(&kept).len(), 2);
    }

    #[test]
    fn f1_and_average_precision_of_cases_by_hand() {
        let at = |x: f32, score: f32| found(0, score, [x, 0.0, x + 10.0, 10.0]);
        let wanted = [at(0.0, 1.0), at(100.0, 1.0)];
        assert_eq!(f1(&[], &[]), 1.0);
        assert_eq!(f1(&[], &wanted), 0.0);
        assert_eq!(f1(&wanted, &wanted), 1.0);
        // One right, one beside, one found twice.
        let given = [at(0.0, 0.9), at(1.0, 0.8), at(300.0, 0.7)];
        assert_eq!(hits(&given, &wanted), [true, false, false]);
        assert_eq!(f1(&given, &wanted), 2.0 / 5.0);
        // Right, wrong, right of two: precision 1 and 2/3.
        let ranked = vec![(0.5, true), (0.9, true), (0.7, false)];
        assert!((average_precision(ranked, 2) - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!(average_precision(Vec::new(), 3), 0.0);
    }
}
