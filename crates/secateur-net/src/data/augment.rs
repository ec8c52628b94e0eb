//! Small random changes to training images.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Which changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augment {
    /// Largest shift in pixels, in both directions; what comes in is black (a value of 0
    /// before normalisation).
    pub max_shift: usize,
    /// Mirror left to right, half of the time.
    pub flip: bool,
}

impl Augment {
    /// True if images stay as they are.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Writes a changed copy of `image` (`[h, w, c]`) into `out`; `background` is `[c]`.
    pub(super) fn apply<R: Rng>(
        self,
        image: &[f32],
        [h, w, c]: [usize; 3],
        background: &[f32],
        rng: &mut R,
        out: &mut [f32],
    ) {
        let range = i32::try_from(self.max_shift).unwrap_or(i32::MAX);
        let (dy, dx) = if range > 0 {
            (
                rng.random_range(-range..=range) as isize,
                rng.random_range(-range..=range) as isize,
            )
        } else {
            (0, 0)
        };
        let flip = self.flip && rng.random::<bool>();
        for y in 0..h {
            let from_y = y as isize - dy;
            for x in 0..w {
                let from_x = if flip {
                    w as isize - 1 - x as isize
                } else {
                    x as isize
                } - dx;
                let inside = (0..h as isize).contains(&from_y) && (0..w as isize).contains(&from_x);
                let source = if inside {
                    let start = (from_y as usize * w + from_x as usize) * c;
                    &image[start..start + c]
                } else {
                    background
                };
                out[(y * w + x) * c..][..c].copy_from_slice(source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

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
                flip: false,
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
                max_shift: 0,
                flip: true,
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
                flip: false,
            }
            .apply(&image, [2, 3, 1], &[9.0], &mut rng, &mut out);
            seen |= out == [9.0, 9.0, 9.0, 9.0, 1.0, 2.0];
        }
        assert!(seen, "down and right by one");
    }
}
