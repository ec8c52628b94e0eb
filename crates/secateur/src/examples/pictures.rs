//! The pictures of one sample: their names, and how large they may be.

use super::picture::{Overlay, Picture, Raster};

/// Bytes that the pictures of a sample may take together. Twelve samples then stay below 1.2 MB,
/// and below 1.6 MB as text in a page.
const MOST_BYTES: usize = 100_000;
/// Longest sides of pictures that are tried, in pixels.
const SIDES: [usize; 6] = [480, 320, 224, 160, 112, 64];

/// Makes the pictures of one sample.
pub(super) struct Pictures {
    sample: usize,
    side: usize,
    made: usize,
    bytes: usize,
}

/// What `draw` makes, with pictures as large as they may be.
///
/// # Errors
/// As `draw`.
pub(super) fn within_limits<T>(
    sample: usize,
    mut draw: impl FnMut(&mut Pictures) -> Result<T, String>,
) -> Result<T, String> {
    let [sides @ .., smallest] = SIDES;
    for side in sides {
        let mut pictures = Pictures::new(sample, side);
        let drawn = draw(&mut pictures)?;
        if pictures.bytes <= MOST_BYTES {
            return Ok(drawn);
        }
    }
    draw(&mut Pictures::new(sample, smallest))
}

impl Pictures {
    pub fn new(sample: usize, side: usize) -> Self {
        Self {
            sample,
            side,
            made: 0,
            bytes: 0,
        }
    }

    pub fn raster(&mut self, name: &str, raster: &Raster) -> Result<Picture, String> {
        let png = raster.shrunk(self.side)?.png()?;
        Ok(self.picture(name, [raster.width, raster.height], png))
    }

    pub fn overlay(&mut self, name: &str, overlay: &Overlay) -> Result<Picture, String> {
        let png = overlay.shrunk(self.side).png()?;
        Ok(self.picture(name, [overlay.width, overlay.height], png))
    }

    fn picture(&mut self, name: &str, size: [usize; 2], png: Vec<u8>) -> Picture {
        self.made += 1;
        self.bytes += png.len();
        Picture {
            file: format!("{:02}-{}-{name}.png", self.sample + 1, self.made),
            size,
            png,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_take_too_much_are_made_smaller() {
        let noise = |side: usize| {
            let values: Vec<f32> = (0..side * side).map(|i| (i * 7919 % 1009) as f32).collect();
            Raster::of_values(&values, [side, side], (0.0, 1009.0))
        };
        let draw = |side: usize| {
            within_limits(3, |pictures| pictures.raster("input", &noise(side))).unwrap()
        };
        let small = draw(32);
        assert_eq!(
            (small.file.as_str(), small.size),
            ("04-1-input.png", [32, 32])
        );
        let large = draw(600);
        assert_eq!(large.size, [600, 600]);
        assert!(large.png.len() <= MOST_BYTES, "{}", large.png.len());
    }
}
