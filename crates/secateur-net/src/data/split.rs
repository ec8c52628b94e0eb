//! Validation data taken from the training part by seed.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::DataError;

/// Indices into the training data; the three parts are disjoint and cover it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splits {
    /// To train on.
    pub train: Vec<usize>,
    /// Validation data that guide the search.
    pub search: Vec<usize>,
    /// Validation data that confirm the chosen network; the search never sees them.
    pub confirm: Vec<usize>,
}

impl Splits {
    /// Takes `validation` of `n` images, a `confirm_share` of them for confirmation.
    ///
    /// # Errors
    /// [`DataError::SplitTooLarge`] if nothing would remain to train on.
    pub fn new(
        n: usize,
        validation: usize,
        confirm_share: f64,
        seed: u64,
    ) -> Result<Self, DataError> {
        if validation >= n {
            return Err(DataError::SplitTooLarge {
                validation,
                available: n,
            });
        }
        let mut order: Vec<usize> = (0..n).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut search = order.split_off(n - validation);
        let n_confirm = (validation as f64 * confirm_share.clamp(0.0, 1.0)).round() as usize;
        let mut confirm = search.split_off(validation - n_confirm);
        order.sort_unstable();
        search.sort_unstable();
        confirm.sort_unstable();
        Ok(Self {
            train: order,
            search,
            confirm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_cover_everything() {
        let splits = Splits::new(100, 30, 0.5, 3).unwrap();
        assert_eq!(
            (
                splits.train.len(),
                splits.search.len(),
                splits.confirm.len()
            ),
            (70, 15, 15)
        );
        let mut all = [splits.train, splits.search, splits.confirm].concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_decides() {
        let split = |seed| Splits::new(100, 30, 0.5, seed).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }

    #[test]
    fn something_must_remain_to_train_on() {
        assert!(matches!(
            Splits::new(30, 30, 0.5, 0),
            Err(DataError::SplitTooLarge {
                validation: 30,
                available: 30
            })
        ));
    }
}
