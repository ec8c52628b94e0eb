//! How data are read, fitted to a network and split.

use secateur_onnx::model::InputShape;

use super::{Colour, Labels, Layout, NormaliseBy, Resize};
use crate::settings;
use crate::settings::{AMOUNT, NOT_ALL, SIDE, TRUE_SHARE};
use crate::task::TaskKind;

settings! {
    /// Settings of the data; part `[data]` of the config.
    ///
    /// What is not set is taken from the model if it carries it (`secateur train` and `prune`
    /// leave it there), and else from the defaults.
    pub struct DataConfig, under "Data" {
        /// What says which class a sample is of: `auto`, what the data bring, or `none`, so that
        /// sub-folders are no classes and networks are held against the given one.
        ///
        /// Labels tell how good a network is, and not only how near to the given one.
        pub labels: Labels = Labels::Auto, flag "--labels <FROM>";
        /// Training samples set apart for validation.
        ///
        /// Not used where the data bring a validation part of their own beside a test part. One
        /// standard error of 5,000 images at 99.5 % is 0.1 points.
        pub validation: Option<usize>,
            unset "the model's, else 5000, at most a fifth", in AMOUNT, flag "--validation <N>";
        /// Share of the validation samples that the search never sees.
        ///
        /// Half of them guide the search, half confirm its result.
        pub confirm_share: f64 = 0.5, in TRUE_SHARE;
        /// Seed of the split.
        ///
        /// For models that do not carry their own, as those of `secateur train` do.
        pub split_seed: u64 = 0;
        /// Mean and deviation: `measured`, `imagenet`, `cifar10`, `mnist`, `half`, `none`,
        /// `bytes`, or numbers such as 0.5,0.5,0.5/0.2,0.2,0.2.
        pub normalise: Option<NormaliseBy>,
            unset "the model's, else measured for class scores, none for other outputs",
            flag "--normalise <NAME|MEAN/DEV>";
        /// How images in folders get the network's size: `crop`, `crop:SHARE`, `stretch`,
        /// `letterbox` or `letterbox:BYTE`.
        pub resize: Option<Resize>, unset "the model's, else crop", flag "--resize <HOW>";
        /// What the outputs mean.
        ///
        /// Files do not say it: what they look like may mislead.
        pub task: Option<TaskKind>,
            unset "what the outputs look like", flag "--task <TASK>";
        /// Order of three channels as the network takes them.
        pub colour: Option<Colour>, unset "the model's, else rgb", flag "--colour <ORDER>";
        /// Size of images in folders where no network says it: N, or HEIGHTxWIDTH.
        ///
        /// `[height, width]` in a config.
        pub image_size: Option<[usize; 2]>,
            unset "their own, if all are alike", in SIDE, flag "--image-size <SIZE>";
        /// Shape of an input whose extents the file leaves open, such as x=1x3x48x320; `?` for an
        /// extent that stays open. Once for each input.
        ///
        /// Written files carry it, so that it need not be said again.
        pub input_shapes: Vec<InputShape>, flag "--input-shape <INPUT=EXTENTS>*";
        /// Axes of arrays of images.
        pub layout: Option<Layout>, unset "seen from their extents", flag "--layout <AXES>";
        /// Share of the samples that is set apart for the test where the data have no parts.
        ///
        /// About as much as CIFAR-10 and MNIST keep.
        pub test_share: f64 = 0.1, in NOT_ALL;
        /// Seed that picks them.
        pub test_seed: u64 = 0;
        /// Images that may be left out because they cannot be decoded.
        ///
        /// A few damaged files are usual, more mean that something is wrong.
        pub max_skipped: usize = 10, in AMOUNT, flag "--max-skipped <N>";
        /// Memory for decoded images, MiB; the rest is decoded beside the training.
        ///
        /// CIFAR-10 and MNIST fit many times over; larger sets are decoded anew in every epoch.
        pub cache_mib: usize = 2048, in AMOUNT, flag "--cache-mib <MIB>";
    }
}

/// Validation images unless told otherwise.
const VALIDATION: usize = 5000;
/// Of fewer training images than five times that: one in so many.
const VALIDATION_SHARE: usize = 5;

impl DataConfig {
    /// Number of validation images taken from `n` training images.
    pub fn validation_of(&self, n: usize) -> usize {
        self.validation
            .unwrap_or_else(|| VALIDATION.min(n.div_ceil(VALIDATION_SHARE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_follows_the_number_of_images() {
        let config = DataConfig::default();
        for (n, expected) in [(60_000, 5000), (25_000, 5000), (1000, 200), (3, 1), (1, 1)] {
            assert_eq!(config.validation_of(n), expected, "{n}");
        }
        let given = DataConfig {
            validation: Some(7),
            ..config
        };
        assert_eq!(given.validation_of(1000), 7);
    }
}
