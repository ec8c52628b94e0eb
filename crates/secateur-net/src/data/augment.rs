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

    /// True if pixels come to lie between those of the image.
    fn turns(self) -> bool {
        self.max_rotation > 0.0 || self.max_zoom > 0.0
    }
}

/// Makes changed copies of images of one size.
pub(super) struct Changer<'a> {
    augment: Augment,
    /// `[h, w, c]`.
    size: [usize; 3],
    /// `[c]`.
    background: &'a [f32],
    /// Where images are turned: one image, with a pixel of background before and two behind it on
    /// both axes, so that the corners of all places from one pixel before it to one behind it can
    /// be read.
    framed: Vec<f32>,
}

impl<'a> Changer<'a> {
    /// For images of `size` (`[h, w, c]`) on `background` (`[c]`).
    pub(super) fn new(augment: Augment, size: [usize; 3], background: &'a [f32]) -> Self {
        let [h, w, _] = size;
        let framed = if augment.turns() {
            background.repeat((h + FRAME) * (w + FRAME))
        } else {
            Vec::new()
        };
        Self {
            augment,
            size,
            background,
            framed,
        }
    }

    /// Writes a changed copy of `image` into `out`.
    pub(super) fn apply<R: Rng>(&mut self, image: &[f32], rng: &mut R, out: &mut [f32]) {
        let change = self.augment.draw(rng);
        if self.augment.turns() {
            self.turn(image, &change, out);
        } else {
            self.shift(image, &change, out);
        }
    }

    /// Whole pixels from their places.
    fn shift(&self, image: &[f32], change: &Change, out: &mut [f32]) {
        let [h, w, c] = self.size;
        let line = w * c;
        // Columns of the result whose pixels lie inside the image, before it is mirrored.
        let from = change.dx.clamp(0, w as isize) as usize;
        let to = (w as isize + change.dx).clamp(0, w as isize) as usize;
        for (y, out) in out.chunks_exact_mut(line).enumerate() {
            let from_y = y as isize - change.dy;
            let has_row = (0..h as isize).contains(&from_y);
            let inside = if has_row { from..to.max(from) } else { 0..0 };
            let (before, rest) = out.split_at_mut(inside.start * c);
            let (between, behind) = rest.split_at_mut(inside.len() * c);
            for pixel in before.chunks_exact_mut(c).chain(behind.chunks_exact_mut(c)) {
                pixel.copy_from_slice(self.background);
            }
            if !inside.is_empty() {
                let first = (inside.start as isize - change.dx) as usize;
                let start = from_y as usize * line + first * c;
                between.copy_from_slice(&image[start..start + between.len()]);
            }
            if change.flip {
                out.reverse();
                out.chunks_exact_mut(c).for_each(<[f32]>::reverse);
            }
        }
    }

    /// Turned and zoomed about the middle, then shifted; between pixels by bilinear interpolation.
    fn turn(&mut self, image: &[f32], change: &Change, out: &mut [f32]) {
        let [_, w, c] = self.size;
        let line = (w + FRAME) * c;
        let rows = self.framed.chunks_exact_mut(line).skip(1);
        for (framed, row) in rows.zip(image.chunks_exact(w * c)) {
            framed[c..c + w * c].copy_from_slice(row);
        }
        // For most images the loop over channels has a known length.
        match c {
            1 => self.turn_framed::<1>(change, out),
            3 => self.turn_framed::<3>(change, out),
            _ => self.turn_framed::<0>(change, out),
        }
    }

    /// [`Self::turn`] of the framed image, which has `C` channels; 0 for any number.
    fn turn_framed<const C: usize>(&self, change: &Change, out: &mut [f32]) {
        let [h, w, c] = self.size;
        let c = if C == 0 { c } else { C };
        let (middle_y, middle_x) = ((h as f32 - 1.0) / 2.0, (w as f32 - 1.0) / 2.0);
        // The inverse map: for each pixel of the result, its place in the image.
        let (sin, cos) = change.angle.sin_cos();
        let (sin, cos) = (sin / change.zoom, cos / change.zoom);
        let line = (w + FRAME) * c;
        for (y, out) in out.chunks_exact_mut(w * c).enumerate() {
            let v = y as f32 - middle_y - change.dy as f32;
            let (row_y, row_x) = (middle_y + cos * v, middle_x + sin * v);
            for (x, out) in out.chunks_exact_mut(c).enumerate() {
                let x = if change.flip { w - 1 - x } else { x };
                let u = x as f32 - middle_x - change.dx as f32;
                let (top, down) = framed_place(row_y - sin * u, h);
                let (left, right) = framed_place(row_x + cos * u, w);
                let corner = top * line + left * c;
                let above = &self.framed[corner..corner + 2 * c];
                let below = &self.framed[corner + line..corner + line + 2 * c];
                for (channel, value) in out.iter_mut().enumerate() {
                    let between =
                        |row: &[f32]| row[channel] + (row[c + channel] - row[channel]) * right;
                    let (above, below) = (between(above), between(below));
                    *value = above + (below - above) * down;
                }
            }
        }
    }
}

/// Pixels of background around a framed image, both sides of an axis together.
const FRAME: usize = 3;

/// A place along an axis of `side` pixels as the framed pixel before it and how far behind that
/// it lies. Places farther than a pixel outside are all background and count as a pixel outside.
#[inline(always)]
fn framed_place(at: f32, side: usize) -> (usize, f32) {
    let at = at.clamp(-1.0, side as f32) + 1.0;
    let before = at as usize;
    (before, at - before as f32)
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
            let augment = Augment {
                max_shift: 2,
                ..Augment::default()
            };
            Changer::new(augment, [7, 7, 1], &[0.0]).apply(&image, &mut rng, &mut out);
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
            let augment = Augment {
                flip: true,
                ..Augment::default()
            };
            Changer::new(augment, [2, 3, 1], &[9.0]).apply(&image, &mut rng, &mut out);
            assert!(out == image || out == [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
            mirrored += usize::from(out != image);
        }
        assert!((420..580).contains(&mirrored), "{mirrored}");
        let mut seen = false;
        for _ in 0..50 {
            let mut out = [0.0; 6];
            let augment = Augment {
                max_shift: 1,
                ..Augment::default()
            };
            Changer::new(augment, [2, 3, 1], &[9.0]).apply(&image, &mut rng, &mut out);
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
        let augment = Augment {
            max_zoom: 0.5,
            ..Augment::default()
        };
        Changer::new(augment, size, &vec![0.0; size[2]]).turn(image, &change, &mut out);
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
            Changer::new(augment, size, &[0.0]).apply(&image, &mut rng, &mut out);
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

    /// The change pixel by pixel, from its definition.
    fn plainly(
        change: &Change,
        image: &[f32],
        [h, w, c]: [usize; 3],
        background: &[f32],
    ) -> Vec<f32> {
        let pixel = |y: f32, x: f32, channel: usize| {
            let inside = (0.0..h as f32).contains(&y) && (0.0..w as f32).contains(&x);
            match inside {
                true => image[(y as usize * w + x as usize) * c + channel],
                false => background[channel],
            }
        };
        let (sin, cos) = change.angle.sin_cos();
        let (middle_y, middle_x) = ((h as f32 - 1.0) / 2.0, (w as f32 - 1.0) / 2.0);
        let mut out = Vec::new();
        for (y, x, channel) in (0..h * w * c).map(|i| (i / (w * c), i / c % w, i % c)) {
            let x = if change.flip { w - 1 - x } else { x };
            let v = y as f32 - middle_y - change.dy as f32;
            let u = x as f32 - middle_x - change.dx as f32;
            let from_y = middle_y + (cos * v - sin * u) / change.zoom;
            let from_x = middle_x + (sin * v + cos * u) / change.zoom;
            let (top, left) = (from_y.floor(), from_x.floor());
            let (down, right) = (from_y - top, from_x - left);
            let corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)];
            let weights = [
                (1.0 - down) * (1.0 - right),
                (1.0 - down) * right,
                down * (1.0 - right),
                down * right,
            ];
            let parts = corners.iter().zip(weights);
            out.push(
                parts
                    .map(|((dy, dx), weight)| weight * pixel(top + dy, left + dx, channel))
                    .sum(),
            );
        }
        out
    }

    #[test]
    fn changes_follow_their_definition_for_any_number_of_channels() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(4);
        for (size, max_shift, max_rotation, max_zoom) in [
            ([5, 7, 1], 2, 0.0, 0.0),
            ([5, 7, 3], 9, 0.0, 0.0),
            ([1, 1, 2], 3, 0.0, 0.0),
            ([6, 5, 1], 2, 20.0, 0.2),
            ([5, 8, 3], 0, 180.0, 0.0),
            ([4, 4, 2], 9, 45.0, 0.9),
            ([1, 3, 4], 1, 90.0, 0.5),
        ] {
            let augment = Augment {
                max_shift,
                max_rotation,
                max_zoom,
                flip: true,
            };
            let values: usize = size.iter().product();
            let image: Vec<f32> = (0..values).map(|_| rng.random_range(-1.0..1.0)).collect();
            let background: Vec<f32> = (0..size[2]).map(|c| 3.0 + c as f32).collect();
            let mut changer = Changer::new(augment, size, &background);
            for _ in 0..100 {
                let mut again = rng.clone();
                let mut out = vec![9.0; values];
                changer.apply(&image, &mut rng, &mut out);
                let expected = plainly(&augment.draw(&mut again), &image, size, &background);
                for (a, b) in out.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-3, "{out:?}, not {expected:?}");
                }
            }
        }
    }
}
