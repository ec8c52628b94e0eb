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
    pub(super) fn new(
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
        let validation = order.split_off(n - validation);
        Ok(Self::of(order, validation, confirm_share))
    }

    /// Of `n_train` images to train on, followed by `n_validation` for validation.
    pub(super) fn given(
        n_train: usize,
        n_validation: usize,
        confirm_share: f64,
        seed: u64,
    ) -> Self {
        let mut validation: Vec<usize> = (n_train..n_train + n_validation).collect();
        validation.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        Self::of((0..n_train).collect(), validation, confirm_share)
    }

    fn of(mut train: Vec<usize>, mut search: Vec<usize>, confirm_share: f64) -> Self {
        let n_confirm = (search.len() as f64 * confirm_share.clamp(0.0, 1.0)).round() as usize;
        let mut confirm = search.split_off(search.len() - n_confirm);
        train.sort_unstable();
        search.sort_unstable();
        confirm.sort_unstable();
        Self {
            train,
            search,
            confirm,
        }
    }
}

/// Picks a share of each class by seed: `(rest, picked)`, both in order. Of a class of two
/// images and more at least one is picked and at least one stays.
pub(super) fn set_apart(labels: &[usize], share: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let n_classes = labels.iter().max().map_or(0, |label| label + 1);
    let mut by_class = vec![Vec::new(); n_classes];
    for (index, &label) in labels.iter().enumerate() {
        by_class[label].push(index);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut rest, mut picked) = (Vec::new(), Vec::new());
    for mut class in by_class.into_iter().filter(|class| !class.is_empty()) {
        class.shuffle(&mut rng);
        let n = (class.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
        let n = n.clamp(usize::from(class.len() > 1), class.len() - 1);
        picked.extend(class.split_off(class.len() - n));
        rest.extend(class);
    }
    rest.sort_unstable();
    picked.sort_unstable();
    (rest, picked)
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
    fn a_given_validation_part_stays_whole() {
        let splits = Splits::given(70, 30, 0.5, 3);
        assert_eq!(splits.train, (0..70).collect::<Vec<_>>());
        assert_eq!((splits.search.len(), splits.confirm.len()), (15, 15));
        let mut all = [splits.search, splits.confirm].concat();
        all.sort_unstable();
        assert_eq!(all, (70..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_share_of_every_class_is_set_apart() {
        // 40 of class 0, 10 of class 2, 2 of class 3, 1 of class 4.
        let labels = [vec![0; 40], vec![2; 10], vec![3; 2], vec![4]].concat();
        let (rest, picked) = set_apart(&labels, 0.1, 5);
        let count = |of: &[usize], class| of.iter().filter(|&&i| labels[i] == class).count();
        for (class, n) in [(0, 4), (2, 1), (3, 1), (4, 0)] {
            assert_eq!(count(&picked, class), n, "class {class}");
        }
        let mut all = [rest, picked.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..53).collect::<Vec<_>>());
        assert_eq!(set_apart(&labels, 0.1, 5).1, picked);
        assert_ne!(set_apart(&labels, 0.1, 6).1, picked);
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
