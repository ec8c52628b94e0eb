//! Plots as SVG by the crate `plotters`: lines over pruning epochs, points of comparisons.
//!
//! The picture carries no colours of its own for text and axes: the page's style
//! sheet sets them, so that light and dark both read well.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::ReportError;

/// One line of a plot.
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// Class in the page's style sheet: `s0`, `s1`, ...
    pub class: usize,
    pub values: Vec<(f64, f64)>,
}

/// Points of a plot, in one colour.
pub(crate) struct Points {
    /// Number of the colour ([`colour`]), and of the form where colours repeat ([`mark`]).
    pub class: usize,
    pub values: Vec<(f64, f64)>,
    /// Are they joined, in their order?
    pub is_joined: bool,
}

/// Colours by which lines are found again in the SVG, in order of their classes.
const KEYS: [RGBColor; 10] = [
    RGBColor(1, 1, 255),
    RGBColor(1, 255, 1),
    RGBColor(255, 1, 1),
    RGBColor(255, 1, 255),
    RGBColor(1, 255, 255),
    RGBColor(255, 255, 1),
    RGBColor(1, 1, 128),
    RGBColor(1, 128, 1),
    RGBColor(128, 1, 1),
    RGBColor(128, 1, 128),
];
/// Width of a plot before the page scales it.
const WIDTH: u32 = 720;
const AXIS: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);

/// Name of the style sheet's variable for the colour of a class; they repeat.
pub(crate) fn colour(class: usize) -> String {
    format!("s{}", class % KEYS.len())
}

/// What a plot shows besides its lines.
pub(crate) struct Frame<'a> {
    pub name: &'a str,
    pub x_label: &'a str,
    pub y_label: &'a str,
    pub x: (f64, f64),
    pub y: (f64, f64),
    /// A dashed horizontal line.
    pub level: Option<f64>,
}

type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws lines; 720 x 260, scaled by the page.
///
/// # Errors
/// [`ReportError::Plot`] with the drawing crate's reason.
pub(super) fn lines(frame: &Frame<'_>, lines: &[Line<'_>]) -> Result<String, ReportError> {
    drawn(frame, 260, |chart| {
        lines.iter().try_for_each(|line| {
            joined(chart, line.class, &line.values)?;
            let dot = |&point| Circle::new(point, 2, key(line.class).filled());
            chart
                .draw_series(line.values.iter().map(dot))
                .map_err(|e| e.to_string())?;
            Ok(())
        })
    })
}

/// Draws points, and a thin line through those that no other beats (`front`); 720 x 340, scaled by the
/// page.
///
/// # Errors
/// [`ReportError::Plot`] with the drawing crate's reason.
pub(crate) fn points(
    frame: &Frame<'_>,
    all: &[Points],
    front: &[(f64, f64)],
) -> Result<String, ReportError> {
    const SIZE: i32 = 4;
    drawn(frame, 340, |chart| {
        let line = LineSeries::new(front.iter().copied(), AXIS.stroke_width(1));
        chart.draw_series(line).map_err(|e| e.to_string())?;
        all.iter().try_for_each(|points| {
            let style = key(points.class).filled();
            if points.is_joined {
                joined(chart, points.class, &points.values)?;
            }
            let values = points.values.iter().copied();
            let marked = match points.class / KEYS.len() {
                0 => chart
                    .draw_series(values.map(|at| Circle::new(at, SIZE, style)))
                    .map(drop),
                1 => chart
                    .draw_series(values.map(|at| TriangleMarker::new(at, SIZE + 2, style)))
                    .map(drop),
                _ => chart
                    .draw_series(values.map(|at| Cross::new(at, SIZE, style)))
                    .map(drop),
            };
            marked.map_err(|e| e.to_string())
        })
    })
}

/// The form of a class's points, where its colour is another's too.
pub(crate) fn mark(class: usize) -> &'static str {
    match class / KEYS.len() {
        0 => "",
        1 => "\u{25b2} ",
        _ => "\u{2715} ",
    }
}

fn key(class: usize) -> RGBColor {
    KEYS[class % KEYS.len()]
}

fn joined(chart: &mut Chart<'_>, class: usize, values: &[(f64, f64)]) -> Result<(), String> {
    let line = LineSeries::new(values.iter().copied(), key(class).stroke_width(2));
    chart.draw_series(line).map(drop).map_err(|e| e.to_string())
}

/// A plot with its axes, and what `draw` adds.
fn drawn(
    frame: &Frame<'_>,
    height: u32,
    draw: impl FnOnce(&mut Chart<'_>) -> Result<(), String>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    let result = (|| {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(58)
            .build_cartesian_2d(frame.x.0..frame.x.1, frame.y.0..frame.y.1)
            .map_err(|e| e.to_string())?;
        let digits = digits(frame.x);
        chart
            .configure_mesh()
            .axis_style(AXIS)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 13).into_font().color(&AXIS))
            .axis_desc_style(("sans-serif", 13).into_font().color(&AXIS))
            .x_labels(10)
            .y_labels(6)
            .x_label_formatter(&|v| format!("{v:.digits$}"))
            .x_desc(frame.x_label)
            .y_desc(frame.y_label)
            .draw()
            .map_err(|e| e.to_string())?;
        if let Some(level) = frame.level {
            let ends = [(frame.x.0, level), (frame.x.1, level)];
            chart
                .draw_series(DashedLineSeries::new(ends, 5, 4, AXIS.stroke_width(1)))
                .map_err(|e| e.to_string())?;
        }
        draw(&mut chart)?;
        root.present().map_err(|e| e.to_string())
    })();
    result.map_err(|reason| ReportError::Plot {
        plot: frame.name.to_string(),
        reason,
    })?;
    Ok(themed(svg, height))
}

/// Digits behind the point by which labels of an axis differ.
fn digits((low, high): (f64, f64)) -> usize {
    match high - low {
        range if range >= 10.0 => 0,
        range if range >= 1.0 => 1,
        range if range >= 0.1 => 2,
        _ => 3,
    }
}

/// Colours become variables of the style sheet, the fixed size a scalable one.
fn themed(mut svg: String, height: u32) -> String {
    for (class, key) in KEYS.iter().enumerate() {
        let hex = format!("#{:02X}{:02X}{:02X}", key.0, key.1, key.2);
        svg = svg.replace(&hex, &format!("var(--s{class})"));
    }
    svg.replace("#020202", "var(--muted)")
        .replace("#030303", "var(--line)")
        .replacen(
            &format!("width=\"{WIDTH}\" height=\"{height}\""),
            "role=\"img\"",
            1,
        )
}

/// Bounds with a little air.
pub(crate) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let air = ((high - low) * 0.06).max(1e-6);
    (low - air, high + air)
}

/// Points from left to right, the higher first.
pub(crate) fn by_x(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    values
}

/// The points of which no other has a higher y at the same or a lower x.
pub(crate) fn front(values: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut best = f64::NEG_INFINITY;
    let mut kept = by_x(values);
    kept.retain(|value| {
        let is_better = value.1 > best;
        best = best.max(value.1);
        is_better
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::front;

    #[test]
    fn the_front_is_what_no_other_beats() {
        let values = [
            (3.0, 9.0),
            (1.0, 5.0),
            (2.0, 4.0),
            (1.0, 6.0),
            (2.0, 8.0),
            (4.0, 9.0),
        ];
        let found = front(values.into_iter());
        assert_eq!(found, [(1.0, 6.0), (2.0, 8.0), (3.0, 9.0)]);
    }
}
