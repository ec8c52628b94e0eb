//! Inputs of a sample, as people see them.

use secateur_net::data::{DataError, Part};
use secateur_net::{Host, HostData, Input};
use secateur_search::measure::number_text;

use super::picture::{Raster, flat, image_size, range};
use super::pictures::Pictures;
use super::values::row;
use super::{Drawn, ShownInput};

/// Whole numbers that are written out.
const MOST_NUMBERS: usize = 24;

/// What a network takes for one sample.
pub(super) enum Taken {
    /// An image, before it is normalised.
    Image(Raster),
    /// Arrays, by input.
    Arrays(Vec<(String, Host)>),
}

impl Taken {
    /// The inputs, of these names, for the only sample of a part.
    ///
    /// # Errors
    /// As [`Part::batch`].
    pub fn of(sample: &Part, names: &[&str]) -> Result<Self, DataError> {
        if sample.is_images()
            && let Some(image) = Raster::of_pixels(&sample.pixels(0)?, sample.shape())
        {
            return Ok(Self::Image(image));
        }
        let batch = sample.batch(&sample.run(0, 1))?;
        let [h, w, c] = sample.shape();
        let arrays = batch.inputs.values.into_iter().map(|input| match input {
            Input::Array(host) => host,
            Input::Images(values) => Host {
                shape: vec![h, w, c],
                data: HostData::Float(values),
            },
        });
        let names = names.iter().map(|name| (*name).to_string());
        Ok(Self::Arrays(names.zip(arrays).collect()))
    }

    /// Width and height of the image, if it is one.
    pub fn size(&self) -> Option<[usize; 2]> {
        match self {
            Self::Image(image) => Some([image.width, image.height]),
            Self::Arrays(_) => None,
        }
    }

    /// For the page.
    ///
    /// # Errors
    /// Why a picture cannot be made.
    pub fn shown(&self, names: &[&str], to: &mut Pictures) -> Result<Vec<ShownInput>, String> {
        match self {
            Self::Image(image) => Ok(vec![ShownInput {
                name: (*names.first().unwrap_or(&"input")).to_string(),
                shape: vec![image.height, image.width],
                drawn: Drawn::Picture(to.raster("input", image)?),
            }]),
            Self::Arrays(arrays) => arrays
                .iter()
                .map(|(name, host)| {
                    Ok(ShownInput {
                        name: name.clone(),
                        shape: host.shape.clone(),
                        drawn: drawn(host, to)?,
                    })
                })
                .collect(),
        }
    }
}

/// A picture of what has two axes or three colours, a line of what has one, else words.
fn drawn(host: &Host, to: &mut Pictures) -> Result<Drawn, String> {
    let values = match &host.data {
        HostData::Int(values) => return Ok(Drawn::Words(numbers(values))),
        HostData::Bool(values) => {
            let on = values.iter().filter(|&&value| value).count();
            return Ok(Drawn::Words(format!("{on} of {} are true", values.len())));
        }
        HostData::Float(values) => values,
    };
    if let Some(size) = image_size(&host.shape) {
        let range = range(values.iter().copied());
        let raster = Raster::of_values(values, size, range);
        return Ok(Drawn::Picture(to.raster("input", &raster)?));
    }
    Ok(match flat(&host.shape).as_slice() {
        [_] if values.len() > 1 => Drawn::Line(row(values)),
        _ => Drawn::Words(figures(values)),
    })
}

fn numbers(values: &[i64]) -> String {
    let shown = values.iter().take(MOST_NUMBERS);
    let mut text = shown.map(i64::to_string).collect::<Vec<_>>().join(", ");
    if values.len() > MOST_NUMBERS {
        text.push_str(&format!(" and {} more", values.len() - MOST_NUMBERS));
    }
    text
}

fn figures(values: &[f32]) -> String {
    let (low, high) = range(values.iter().copied());
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len().max(1) as f64;
    let [low, high] = [low, high].map(|value| number_text(f64::from(value)));
    match values {
        [] => "no values".to_string(),
        [value] => number_text(f64::from(*value)),
        _ => format!("from {low} to {high}, mean {}", number_text(mean)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_drawn_by_their_axes() {
        let check = |shape: &[usize], data: HostData, expected: &str| {
            let shape = shape.to_vec();
            let host = Host { shape, data };
            let got = match drawn(&host, &mut Pictures::new(0, 64)).unwrap() {
                Drawn::Picture(picture) => format!("picture {:?}", picture.size),
                Drawn::Line(values) => format!("line of {}", values.len()),
                Drawn::Words(words) => words,
            };
            assert_eq!(got, expected);
        };
        let floats = |n: usize| HostData::Float((0..n).map(|i| i as f32).collect());
        // More points than can be told apart.
        check(&[1, 512], floats(512), "line of 240");
        check(&[1, 20, 30], floats(600), "picture [30, 20]");
        check(&[1, 3, 20, 30], floats(1800), "picture [30, 20]");
        check(&[2, 3, 2], floats(12), "from 0 to 11, mean 5.5");
        check(&[2, 6], floats(12), "from 0 to 11, mean 5.5");
        check(&[1], floats(1), "0");
        check(&[1, 0], floats(0), "no values");
        check(&[2], HostData::Float(vec![f32::NAN; 2]), "line of 2");
        check(&[3], HostData::Int(vec![7, 8, -9]), "7, 8, -9");
        let many = HostData::Int(vec![1; 30]);
        check(&[30], many, &format!("{}1 and 6 more", "1, ".repeat(23)));
        let truths = HostData::Bool(vec![true, false, true]);
        check(&[3], truths, "2 of 3 are true");
    }
}
