//! Plots over pruning epochs, as SVG by the crate `plotters`.
//!
//! The picture carries no colours of its own for text and axes: the page's style
//! sheet sets them, so that light and dark both read well.

use plotters::prelude::*;

use super::ReportError;

/// One line of a plot.
pub(super) struct Line<'a> {
    pub name: &'a str,
    /// Class in the page's style sheet: `s0`, `s1`, ...
    pub class: usize,
    pub values: Vec<(f64, f64)>,
}

/// Colours by which lines are found again in the SVG, in order of their classes.
const KEYS: [RGBColor; 4] = [
    RGBColor(1, 1, 255),
    RGBColor(1, 255, 1),
    RGBColor(255, 1, 1),
    RGBColor(255, 1, 255),
];
const AXIS: RGBColor = RGBColor(2, 2, 2);
const GRID: RGBColor = RGBColor(3, 3, 3);

/// What a plot shows besides its lines.
pub(super) struct Frame<'a> {
    pub name: &'a str,
    pub y_label: &'a str,
    pub x: (f64, f64),
    pub y: (f64, f64),
    /// A dashed horizontal line.
    pub level: Option<f64>,
}

/// Draws lines over pruning epochs; 720 x 260, scaled by the page.
///
/// # Errors
/// [`ReportError::Plot`] with the drawing crate's reason.
pub(super) fn lines(frame: &Frame<'_>, lines: &[Line<'_>]) -> Result<String, ReportError> {
    let fail = |reason: String| ReportError::Plot {
        plot: frame.name.to_string(),
        reason,
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (720, 260)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .x_label_area_size(34)
            .y_label_area_size(58)
            .build_cartesian_2d(frame.x.0..frame.x.1, frame.y.0..frame.y.1)
            .map_err(|e| fail(e.to_string()))?;
        chart
            .configure_mesh()
            .axis_style(AXIS)
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .label_style(("sans-serif", 13).into_font().color(&AXIS))
            .axis_desc_style(("sans-serif", 13).into_font().color(&AXIS))
            .x_labels(10)
            .y_labels(6)
            .x_label_formatter(&|v| format!("{v:.0}"))
            .x_desc("pruning epoch")
            .y_desc(frame.y_label)
            .draw()
            .map_err(|e| fail(e.to_string()))?;
        if let Some(level) = frame.level {
            chart
                .draw_series(DashedLineSeries::new(
                    [(frame.x.0, level), (frame.x.1, level)],
                    5,
                    4,
                    AXIS.stroke_width(1),
                ))
                .map_err(|e| fail(e.to_string()))?;
        }
        for line in lines {
            let key = KEYS[line.class % KEYS.len()];
            chart
                .draw_series(LineSeries::new(
                    line.values.iter().copied(),
                    key.stroke_width(2),
                ))
                .map_err(|e| fail(e.to_string()))?;
            let dots = line
                .values
                .iter()
                .map(|&point| Circle::new(point, 2, key.filled()));
            chart.draw_series(dots).map_err(|e| fail(e.to_string()))?;
        }
        root.present().map_err(|e| fail(e.to_string()))?;
    }
    Ok(themed(svg))
}

/// Colours become variables of the style sheet, the fixed size a scalable one.
fn themed(mut svg: String) -> String {
    for (class, key) in KEYS.iter().enumerate() {
        let hex = format!("#{:02X}{:02X}{:02X}", key.0, key.1, key.2);
        svg = svg.replace(&hex, &format!("var(--s{class})"));
    }
    svg.replace("#020202", "var(--muted)")
        .replace("#030303", "var(--line)")
        .replacen("width=\"720\" height=\"260\"", "role=\"img\"", 1)
}

/// Bounds with a little air.
pub(super) fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
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
