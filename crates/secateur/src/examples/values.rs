//! Outputs of any kind: their errors, and a picture or a line where they are like that.

use secateur_net::task::ShownValues;

use super::picture::{Raster, flat, image_size, range};
use super::pictures::Pictures;
use super::{BothDrawn, DrawnValues};

/// Points of a line at most.
const MOST_POINTS: usize = 240;

/// Draws an output.
///
/// # Errors
/// Why a picture cannot be made.
pub(super) fn drawn(output: &ShownValues, to: &mut Pictures) -> Result<DrawnValues, String> {
    let drawn = if let Some(size) = image_size(&output.shape) {
        Some(BothDrawn::Pictures(Box::new(pictures(output, size, to)?)))
    } else if flat(&output.shape).len() < 2 && !output.values.original.is_empty() {
        let values = output.values.map(|values| row(values));
        Some(BothDrawn::Lines([values.original, values.result]))
    } else {
        None
    };
    Ok(DrawnValues {
        name: output.name.clone(),
        shape: output.shape.clone(),
        is_whole: output.is_whole,
        error: output.error.is_finite().then_some(output.error),
        drawn,
    })
}

/// Both on one scale, and how far they are apart on one of its own.
fn pictures(
    output: &ShownValues,
    size: [usize; 2],
    to: &mut Pictures,
) -> Result<[super::Picture; 3], String> {
    let (original, result) = (&output.values.original, &output.values.result);
    let scale = range(original.iter().chain(result).copied());
    let apart = original.iter().zip(result).map(|(a, b)| (a - b).abs());
    let apart: Vec<f32> = apart.collect();
    let largest = range(apart.iter().copied()).1;
    Ok([
        to.raster("original", &Raster::of_values(original, size, scale))?,
        to.raster("result", &Raster::of_values(result, size, scale))?,
        to.raster(
            "difference",
            &Raster::of_values(&apart, size, (0.0, largest)),
        )?,
    ])
}

/// Values in a row; of many the least and largest of each stretch in turn, so that no peak is
/// lost. None stands for what is no finite number.
pub(super) fn row(values: &[f32]) -> Vec<Option<f32>> {
    let finite = |value: f32| value.is_finite().then_some(value);
    if values.len() <= MOST_POINTS {
        return values.iter().map(|&value| finite(value)).collect();
    }
    let stretches = MOST_POINTS / 2;
    let ends = |stretch: usize| {
        let at = |i: usize| i * values.len() / stretches;
        let inside = &values[at(stretch)..at(stretch + 1)];
        if inside.iter().any(|value| !value.is_finite()) {
            return [None; 2];
        }
        let (low, high) = range(inside.iter().copied());
        [Some(low), Some(high)]
    };
    (0..stretches).flat_map(ends).collect()
}

#[cfg(test)]
mod tests {
    use secateur_net::task::Pair;

    use super::super::picture::tests::decoded;
    use super::*;

    fn shown(shape: &[usize], original: Vec<f32>, result: Vec<f32>, error: f64) -> ShownValues {
        ShownValues {
            name: "y".to_string(),
            is_whole: false,
            error,
            shape: shape.to_vec(),
            values: Pair { original, result },
        }
    }

    #[test]
    fn outputs_like_images_are_drawn_with_their_difference() {
        let mut result = vec![1.0; 64];
        result[3] = 0.5;
        let output = shown(&[1, 8, 8], vec![0.0; 64], result, 0.25);
        let drawn = drawn(&output, &mut Pictures::new(0, 64)).unwrap();
        let Some(BothDrawn::Pictures(pictures)) = drawn.drawn else {
            panic!("no pictures");
        };
        let bytes = pictures.map(|picture| decoded(&picture.png).1);
        assert_eq!((bytes[0][0], bytes[1][0], bytes[1][3]), (0, 255, 128));
        assert_eq!((bytes[2][0], bytes[2][3]), (255, 128));
    }

    #[test]
    fn other_outputs_are_lines_or_figures_alone() {
        let kind = |shape: &[usize], n: usize, error: f64| {
            let output = shown(shape, vec![1.0; n], vec![f32::NAN; n], error);
            let drawn = drawn(&output, &mut Pictures::new(0, 64)).unwrap();
            let lines = drawn.drawn.map(|drawn| match drawn {
                BothDrawn::Lines(lines) => lines.map(|line| line.len()),
                BothDrawn::Pictures(_) => [0; 2],
            });
            (lines, drawn.error)
        };
        assert_eq!(kind(&[3], 3, 0.5), (Some([3, 3]), Some(0.5)));
        assert_eq!(kind(&[], 1, f64::INFINITY), (Some([1, 1]), None));
        assert_eq!(kind(&[4, 20, 30], 2400, f64::NAN), (None, None));
        assert_eq!(kind(&[0], 0, 0.0), (None, Some(0.0)));
    }

    #[test]
    fn long_rows_keep_their_peaks() {
        let mut values = vec![0.0f32; 10_000];
        values[4321] = 7.0;
        let line = row(&values);
        assert_eq!(line.len(), MOST_POINTS);
        assert_eq!(line.iter().flatten().copied().fold(0.0, f32::max), 7.0);
        values[1] = f32::NAN;
        assert_eq!(row(&values)[..3], [None, None, Some(0.0)]);
    }
}
