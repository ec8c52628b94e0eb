//! Small random changes to training images.

use std::fmt::{self, Display, Formatter};

use rand::{Rng, RngExt};
use secateur_onnx::text::counted;
use serde::{Deserialize, Serialize};

use crate::settings::Range;

/// Which changes. Where an image is moved, what comes in is black (a value of 0 before
/// normalisation).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Largest shift in pixels, in both directions.
    pub max_shift: usize,
    /// Largest rotation in degrees, in both directions.
    pub max_rotation: f32,
    /// Largest change of the size, as share of it: 0.1 for 0.9 to 1.1.
    pub max_zoom: f32,
    /// Mirror left to right, half of the time.
    pub flip: bool,
}

/// For people, such as "shifts of up to 2 pixels, rotations of up to 10 degrees and flips".
impl Display for Augment {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let pixels = counted(self.max_shift, "pixel");
        let kinds = [
            (self.max_shift > 0).then(|| format!("shifts of up to {pixels}")),
            (self.max_rotation > 0.0)
                .then(|| format!("rotations of up to {} degrees", self.max_rotation)),
            (self.max_zoom > 0.0).then(|| format!("zooms of up to {:.0} %", 100.0 * self.max_zoom)),
            self.flip.then(|| "flips".to_string()),
        ];
        let kinds: Vec<String> = kinds.into_iter().flatten().collect();
        match kinds.split_last() {
            None => f.write_str("none"),
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} and {last}", others.join(", ")),
        }
    }
}

/// One draw of the changes.
struct Change {
    dy: isize,
    dx: isize,
    flip: bool,
    /// Radians.
    angle: f32,
    zoom: f32,
}

impl Augment {
    /// Degrees that [`Self::max_rotation`] may be.
    pub const ROTATIONS: Range = Range::from_to(0.0, 180.0);
    /// Shares that [`Self::max_zoom`] may be.
    pub const ZOOMS: Range = Range::from_to(0.0, 0.9);

    /// True if images stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    fn draw<R: Rng>(self, rng: &mut R) -> Change {
        let range = i32::try_from(self.max_shift).unwrap_or(i32::MAX);
        let mut shift = || {
            if range > 0 {
                rng.random_range(-range..=range) as isize
            } else {
                0
            }
        };
        let (dy, dx) = (shift(), shift());
        let flip = self.flip && rng.random::<bool>();
        let mut within = |largest: f32| {
            if largest > 0.0 {
                rng.random_range(-largest..=largest)
            } else {
                0.0
            }
        };
        Change {
            dy,
            dx,
            flip,
            angle: within(self.max_rotation).to_radians(),
            zoom: 1.0 + within(self.max_zoom),
        }
    }

    /// Writes a changed copy of `image` (`[h, w, c]`) into `out`; `background` is `[c]`.
    pub(super) fn apply<R: Rng>(
        self,
        image: &[f32],
        size: [usize; 3],
        background: &[f32],
        rng: &mut R,
        out: &mut [f32],
    ) {
        let change = self.draw(rng);
        let source = Source {
            image,
            size,
            background,
        };
        if self.max_rotation > 0.0 || self.max_zoom > 0.0 {
            turn(&source, &change, out);
        } else {
            shift(&source, &change, out);
        }
    }
}

/// An image and what lies around it.
struct Source<'a> {
    image: &'a [f32],
    /// `[h, w, c]`.
    size: [usize; 3],
    background: &'a [f32],
}

impl Source<'_> {
    /// The channels of a pixel.
    fn pixel(&self, y: isize, x: isize) -> &[f32] {
        let [h, w, c] = self.size;
        if (0..h as isize).contains(&y) && (0..w as isize).contains(&x) {
            let start = (y as usize * w + x as usize) * c;
            &self.image[start..start + c]
        } else {
            self.background
        }
    }
}

/// Whole pixels from their places.
fn shift(source: &Source<'_>, change: &Change, out: &mut [f32]) {
    let [h, w, c] = source.size;
    for y in 0..h {
        let from_y = y as isize - change.dy;
        for x in 0..w {
            let x_before = if change.flip { w - 1 - x } else { x };
            let from_x = x_before as isize - change.dx;
            out[(y * w + x) * c..][..c].copy_from_slice(source.pixel(from_y, from_x));
        }
    }
}

/// Turned and zoomed about the middle, then shifted; between pixels by bilinear
/// interpolation.
fn turn(source: &Source<'_>, change: &Change, out: &mut [f32]) {
    let [h, w, c] = source.size;
    let (middle_y, middle_x) = ((h as f32 - 1.0) / 2.0, (w as f32 - 1.0) / 2.0);
    // The inverse map: for each pixel of the result, its place in the image.
    let (sin, cos) = change.angle.sin_cos();
    let (sin, cos) = (sin / change.zoom, cos / change.zoom);
    for y in 0..h {
        let v = y as f32 - middle_y - change.dy as f32;
        for x in 0..w {
            let x_before = if change.flip { w - 1 - x } else { x };
            let u = x_before as f32 - middle_x - change.dx as f32;
            let from_y = middle_y + cos * v - sin * u;
            let from_x = middle_x + sin * v + cos * u;
            let (top, left) = (from_y.floor(), from_x.floor());
            let (down, right) = (from_y - top, from_x - left);
            let at = |dy, dx| source.pixel(top as isize + dy, left as isize + dx);
            let corners = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
            for (channel, value) in out[(y * w + x) * c..][..c].iter_mut().enumerate() {
                let [a, b, d, e] = corners.map(|corner| corner[channel]);
                let above = a + (b - a) * right;
                let below = d + (e - d) * right;
                *value = above + (below - above) * down;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn changes_are_told_in_words() {
        let mut augment = Augment::default();
        assert_eq!(augment.to_string(), "none");
        augment.max_shift = 1;
        assert_eq!(augment.to_string(), "shifts of up to 1 pixel");
        augment.max_shift = 2;
        augment.max_rotation = 10.0;
        augment.max_zoom = 0.05;
        augment.flip = true;
        let all =
            "shifts of up to 2 pixels, rotations of up to 10 degrees, zooms of up to 5 % and flips";
        assert_eq!(augment.to_string(), all);
    }

    #[test]
    fn shifts_keep_the_image_whole_where_it_stays_inside() {
        let mut image = vec![0.0f32; 7 * 7];
        image[3 * 7 + 3] = 1.0;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut out = vec![9.0; 49];
            Augment {
                max_shift: 2,
                ..Augment::default()
            }
            .apply(&image, [7, 7, 1], &[0.0], &mut rng, &mut out);
            assert_eq!(out.iter().sum::<f32>(), 1.0);
            places.insert(out.iter().position(|&v| v == 1.0).unwrap());
        }
        assert_eq!(places.len(), 25, "all shifts of up to 2 pixels occur");
    }

    #[test]
    fn flips_mirror_half_of_the_images_and_shifts_bring_in_the_background() {
        let image = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(2);
        let mut mirrored = 0;
        for _ in 0..1000 {
            let mut out = [0.0; 6];
            Augment {
                flip: true,
                ..Augment::default()
            }
            .apply(&image, [2, 3, 1], &[9.0], &mut rng, &mut out);
            assert!(out == image || out == [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
            mirrored += usize::from(out != image);
        }
        assert!((420..580).contains(&mirrored), "{mirrored}");
        let mut seen = false;
        for _ in 0..50 {
            let mut out = [0.0; 6];
            Augment {
                max_shift: 1,
                ..Augment::default()
            }
            .apply(&image, [2, 3, 1], &[9.0], &mut rng, &mut out);
            seen |= out == [9.0, 9.0, 9.0, 9.0, 1.0, 2.0];
        }
        assert!(seen, "down and right by one");
    }

    fn turned(image: &[f32], size: [usize; 3], angle: f32, zoom: f32) -> Vec<f32> {
        let mut out = vec![9.0; image.len()];
        let change = Change {
            dy: 0,
            dx: 0,
            flip: false,
            angle: angle.to_radians(),
            zoom,
        };
        let source = Source {
            image,
            size,
            background: &[0.0],
        };
        turn(&source, &change, &mut out);
        out
    }

    #[test]
    fn a_quarter_turn_is_exact_and_a_zoom_moves_from_the_middle() {
        let close = |a: &[f32], b: &[f32]| {
            let all = a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
            assert!(all, "{a:?}, not {b:?}");
        };
        let image: Vec<f32> = (1..=9).map(|v| v as f32).collect();
        close(&turned(&image, [3, 3, 1], 0.0, 1.0), &image);
        close(
            &turned(&image, [3, 3, 1], 90.0, 1.0),
            &[7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0],
        );
        // At half of the size the corners come to lie between the middle and their places.
        let small = turned(&image, [3, 3, 1], 0.0, 0.5);
        close(&small[4..5], &[5.0]);
        close(&small[..1], &[0.0]);
        let large = turned(&image, [3, 3, 1], 0.0, 2.0);
        close(&large[..1], &[3.0]);
    }

    #[test]
    fn small_turns_and_zooms_stay_within_their_bounds() {
        // A pixel 10 from the middle moves by at most 10 sin 6 degrees + 1 and no farther.
        let size = [31, 31, 1];
        let mut image = vec![0.0f32; 31 * 31];
        image[15 * 31 + 25] = 1.0;
        let augment = Augment {
            max_rotation: 6.0,
            max_zoom: 0.1,
            ..Augment::default()
        };
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let (mut up, mut down, mut near, mut far) = (false, false, false, false);
        for _ in 0..200 {
            let mut out = vec![9.0; 31 * 31];
            augment.apply(&image, size, &[0.0], &mut rng, &mut out);
            let total: f32 = out.iter().sum();
            assert!((0.5..1.6).contains(&total), "{total}");
            let moment = |axis: fn(usize) -> f32| {
                let weighted = out.iter().enumerate().map(|(i, v)| v * axis(i));
                weighted.sum::<f32>() / total
            };
            let (y, x) = (moment(|i| (i / 31) as f32), moment(|i| (i % 31) as f32));
            assert!((y - 15.0).abs() < 1.7 && (x - 25.0).abs() < 1.6, "{y} {x}");
            up |= y < 14.5;
            down |= y > 15.5;
            near |= x < 24.5;
            far |= x > 25.5;
        }
        assert!(up && down && near && far);
    }
}
