//! Pictures with what lies over them. A picture is embedded once, however often it is shown.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, PreEscaped, html};
use secateur_search::measure::number_text;

use super::drawn;
use crate::examples::{Drawn, Picture, ShownInput};

/// Width over height from which pictures get a line of their own.
const WIDE: usize = 3;

/// What the networks took for a sample.
pub(super) struct Input<'a> {
    inputs: &'a [ShownInput],
    /// Name of the picture in the page.
    id: String,
}

impl<'a> Input<'a> {
    /// Of the sample that is shown at `place`.
    pub fn of(inputs: &'a [ShownInput], place: usize) -> Self {
        let id = format!("example-{}", place + 1);
        Self { inputs, id }
    }

    /// The only input, where that is a picture.
    fn picture(&self) -> Option<&'a Picture> {
        match self.inputs {
            [
                ShownInput {
                    drawn: Drawn::Picture(picture),
                    ..
                },
            ] => Some(picture),
            _ => None,
        }
    }

    /// Panels beside each other: the input first, where no panel lies over it.
    pub fn row(&self, panels: &[Markup]) -> Markup {
        // Rows of values and words are wide too.
        let is_wide = self.picture().is_none_or(|p| p.size[0] >= WIDE * p.size[1]);
        html! {
            div.panels.wide[is_wide] {
                @for panel in panels { (panel) }
            }
        }
    }

    /// The input by itself: the picture that others are shown over, or all that is known of it.
    pub fn panel(&self) -> Markup {
        match self.picture() {
            Some(picture) => html! {
                figure {
                    (svg(picture.size, "the input", &image(picture, Some(&self.id))))
                    figcaption { "input" }
                }
            },
            None => html! { div.inputs { @for input in self.inputs { (drawn(input)) } } },
        }
    }

    /// Something over the input, or over nothing where that is no picture; [`Self::panel`] comes
    /// before it. `size` is width and height where there is no picture.
    pub fn under(&self, title: &str, alt: &str, size: [usize; 2], over: &str) -> Markup {
        let size = self.picture().map_or(size, |picture| picture.size);
        let picture = self
            .picture()
            .map(|_| format!("<use href=\"#{}\"/>", self.id));
        html! {
            figure {
                (svg(size, alt, &format!("{}{over}", picture.unwrap_or_default())))
                figcaption { (title) }
            }
        }
    }

    /// Width and height of the picture.
    pub fn size(&self) -> Option<[usize; 2]> {
        self.picture().map(|picture| picture.size)
    }
}

/// A picture by itself.
pub(super) fn picture(title: &str, picture: &Picture) -> Markup {
    html! {
        figure {
            (svg(picture.size, title, &image(picture, None)))
            figcaption { (title) }
        }
    }
}

/// A picture stretched over a view of this size.
pub(super) fn stretched(picture: &Picture, [width, height]: [usize; 2]) -> String {
    let size = [width, height];
    image(
        &Picture {
            size,
            ..picture.clone()
        },
        None,
    )
}

fn image(picture: &Picture, id: Option<&str>) -> String {
    let [width, height] = picture.size;
    let id = id.map_or_else(String::new, |id| format!(" id=\"{id}\""));
    let data = STANDARD.encode(&picture.png);
    format!(
        "<image{id} width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
         href=\"data:image/png;base64,{data}\"/>"
    )
}

/// A view with a text for those who do not see it.
pub(super) fn svg([width, height]: [usize; 2], alt: &str, content: &str) -> Markup {
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(alt) {
            (PreEscaped(content))
        }
    }
}

/// A value for people.
pub(super) fn number(value: f32) -> String {
    number_text(f64::from(value))
}

/// Rows of values over each other on one scale: the first in the colour of the original, the
/// second dashed. Gaps are what is no number.
pub(super) fn lines(title: &str, rows: &[&[Option<f32>]]) -> Markup {
    const SIZE: [usize; 2] = [480, 120];
    let finite = rows.iter().flat_map(|row| row.iter().flatten());
    let (low, high) = finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
        (low.min(v), high.max(v))
    });
    let paths: Vec<String> = rows
        .iter()
        .map(|row| path(row, (low, high), SIZE))
        .collect();
    let alt = match low <= high {
        true => format!("{title}: values from {} to {}", number(low), number(high)),
        false => format!("{title}: no finite values"),
    };
    html! {
        figure.line {
            svg viewBox=(format!("0 0 {} {}", SIZE[0], SIZE[1])) role="img" aria-label=(alt) {
                @for (i, path) in paths.iter().enumerate() {
                    path class=(format!("l{i}")) d=(path) {}
                }
            }
            figcaption { (title) @if low <= high { ": " (number(low)) " to " (number(high)) } }
        }
    }
}

fn path(row: &[Option<f32>], (low, high): (f32, f32), [width, height]: [usize; 2]) -> String {
    const MARGIN: f32 = 4.0;
    let (width, height) = (width as f32, height as f32 - 2.0 * MARGIN);
    let step = width / row.len().saturating_sub(1).max(1) as f32;
    let span = if high > low { high - low } else { 1.0 };
    let mut path = String::new();
    let mut is_drawn = false;
    for (i, value) in row.iter().enumerate() {
        if let Some(value) = value {
            let (x, y) = (i as f32 * step, MARGIN + height * (high - value) / span);
            let _ = write!(path, "{}{x:.1} {y:.1}", if is_drawn { 'L' } else { 'M' });
        }
        is_drawn = value.is_some();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_values_have_gaps_where_there_are_no_numbers() {
        let row = [Some(0.0), Some(1.0), None, Some(0.5)];
        assert_eq!(
            path(&row, (0.0, 1.0), [30, 28]),
            "M0.0 24.0L10.0 4.0M30.0 14.0"
        );
        let text = lines("y", &[&[None, None]]).into_string();
        assert!(
            text.contains("no finite values") && !text.contains("inf"),
            "{text}"
        );
        let text = lines("y", &[&[Some(2.0)], &[Some(2.0)]]).into_string();
        assert!(
            text.contains("class=\"l1\"") && !text.contains("NaN"),
            "{text}"
        );
    }
}
