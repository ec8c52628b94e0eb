//! Arrays that lie in the caller's memory, such as those of another language.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use npyz::TypeChar;

use super::array::Array;
use crate::data::{DataError, Row};

/// Types of values that can be lent; others are converted to one of them by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LentValues {
    /// 32-bit floats.
    Floats,
    /// Bytes.
    Bytes,
    /// 64-bit whole numbers.
    Ints,
    /// Truth values.
    Bools,
}

impl LentValues {
    /// The type of some values.
    pub(super) fn of(row: &Row<'_>) -> Self {
        match row {
            Row::Floats(_) => Self::Floats,
            Row::Bytes(_) => Self::Bytes,
            Row::Ints(_) => Self::Ints,
            Row::Bools(_) => Self::Bools,
        }
    }

    /// As headers of npy files say it.
    pub(super) fn npy_kind(self) -> (TypeChar, u64) {
        match self {
            Self::Floats => (TypeChar::Float, 4),
            Self::Bytes => (TypeChar::Uint, 1),
            Self::Ints => (TypeChar::Int, 8),
            Self::Bools => (TypeChar::Bool, 1),
        }
    }
}

/// An array that lends its values when they are read, so that none are copied before it is known
/// what is needed of them.
pub trait LentArray: Send + Sync {
    /// Extent of each axis.
    fn shape(&self) -> &[usize];

    /// Type of its values.
    fn values(&self) -> LentValues;

    /// Calls `read` with its values, row-major and of that type. May be called from any thread.
    fn lend(&self, read: &mut dyn FnMut(Row<'_>));
}

/// Lent arrays and their names.
#[derive(Clone)]
pub(super) struct LentArrays {
    place: PathBuf,
    arrays: Arc<[(String, Arc<dyn LentArray>)]>,
}

impl std::fmt::Debug for LentArrays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LentArrays").field(&self.names()).finish()
    }
}

impl LentArrays {
    /// `place` says in messages what they are.
    pub(super) fn new(place: &Path, mut arrays: Vec<(String, Arc<dyn LentArray>)>) -> Self {
        arrays.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            place: place.to_path_buf(),
            arrays: arrays.into(),
        }
    }

    /// Where they are, for people.
    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// Their names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.arrays.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Calls `read` with an array.
    pub(super) fn with<T>(
        &self,
        name: &str,
        shown: &Path,
        read: impl FnOnce(Array<'_>) -> Result<T, DataError>,
    ) -> Result<T, DataError> {
        let Some((_, array)) = self.arrays.iter().find(|(own, _)| own == name) else {
            return Err(DataError::format(shown, "an array", "none of that name"));
        };
        let (mut read, mut done) = (Some(read), None);
        array.lend(&mut |row| {
            if let Some(read) = read.take() {
                done = Some(Array::lent(shown, array.shape(), row).and_then(read));
            }
        });
        done.unwrap_or_else(|| Err(DataError::format(shown, "its values", "none were lent")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataConfig, Pixels, open_arrays};

    enum Owned {
        Floats(Vec<f32>),
        Ints(Vec<i64>),
    }

    struct Given(Vec<usize>, Owned);

    impl LentArray for Given {
        fn shape(&self) -> &[usize] {
            &self.0
        }

        fn values(&self) -> LentValues {
            match self.1 {
                Owned::Floats(_) => LentValues::Floats,
                Owned::Ints(_) => LentValues::Ints,
            }
        }

        fn lend(&self, read: &mut dyn FnMut(Row<'_>)) {
            match &self.1 {
                Owned::Floats(values) => read(Row::Floats(values)),
                Owned::Ints(values) => read(Row::Ints(values)),
            }
        }
    }

    fn named(name: &str, shape: &[usize], values: Owned) -> (String, Arc<dyn LentArray>) {
        (name.to_string(), Arc::new(Given(shape.to_vec(), values)))
    }

    #[test]
    fn a_pair_is_found_by_its_names_and_put_in_order() {
        let images = (0..20 * 2 * 3 * 5).map(|v| v as f32).collect();
        let labels = (0..20).map(|v| v % 4).collect();
        let arrays = vec![
            named("y", &[20], Owned::Ints(labels)),
            named("x", &[20, 2, 3, 5], Owned::Floats(images)),
        ];
        let config = DataConfig {
            test_share: 0.0,
            ..DataConfig::default()
        };
        let source = open_arrays("arrays", arrays, &config).unwrap();
        assert_eq!(source.train.image_shape(), [3, 5, 2]);
        assert_eq!(source.train.n_classes(), 4);
        let Pixels::Floats(first) = source.train.image(0).unwrap() else {
            panic!("floats stay floats");
        };
        assert_eq!(first[..4], [0.0, 15.0, 1.0, 16.0]);
    }

    #[test]
    fn values_that_are_missing_are_an_error() {
        let arrays = vec![named("x", &[4, 4], Owned::Floats(vec![0.0; 15]))];
        let lent = LentArrays::new(Path::new("arrays"), arrays);
        let error = lent
            .with("x", Path::new("arrays/x"), |_| Ok(()))
            .unwrap_err();
        let expected = "cannot read `arrays/x`: expected as many values as [4, 4] says, got 15";
        assert_eq!(error.to_string(), expected);
        assert!(lent.with("z", Path::new("arrays/z"), |_| Ok(())).is_err());
    }
}
