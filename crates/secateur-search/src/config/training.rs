//! How the network trains during the search.

use secateur_net::data::Augment;
use secateur_net::settings;
use secateur_net::settings::{BATCH, Bytes, NOT_ALL, RATE, Range, SHARE, SHIFT};
use secateur_net::task::Against;
use secateur_net::train::OptimizerConfig;

settings! {
    /// How the network trains during the search.
    pub struct TrainingConfig {
        /// Samples a step, at most.
        ///
        /// As in the initial training; fewer where samples are large (4 GiB for what the layers of a
        /// step give) or few (eight steps a pass).
        pub batch_size: usize = 128, in BATCH;
        /// Memory that what the layers of a training step give may take, such as 8GiB.
        ///
        /// With a bound set, values inside the network are computed a second time where they do not all
        /// fit, which takes a third longer, before fewer samples are taken.
        pub memory: Option<Bytes>,
            unset "4GiB, nothing is computed twice, fewer samples a step where they do not fit",
            flag "--memory <SIZE>";
        /// Peak learning rate of a recovery.
        ///
        /// A recovery warms up first and is long enough for more. Held against the given one, it
        /// begins near to it, and more throws it off: see "Learning from the given network alone".
        pub recover_lr: Option<f32>,
            unset "0.05, and 0.02 where networks are held against the given one", in RATE;
        /// Label smoothing.
        ///
        /// It raises the loss, which AEC holds to that of the given network.
        pub smoothing: f32 = 0.0, in NOT_ALL;
        /// Largest random shift of an image in a recovery, pixels.
        ///
        /// See "What recoveries change of images".
        pub recover_max_shift: Option<usize>,
            unset "what the given network withstands", in SHIFT, flag "--max-shift <PIXELS>";
        /// Largest random rotation of an image in a recovery, degrees.
        ///
        /// As for shifts.
        pub recover_max_rotation: Option<f32>,
            unset "what the given network withstands", in Augment::ROTATIONS,
            flag "--max-rotation <DEGREES>";
        /// Largest random change of an image's size in a recovery, as share of it.
        ///
        /// As for shifts.
        pub recover_max_zoom: Option<f32>,
            unset "what the given network withstands", in Augment::ZOOMS, flag "--max-zoom <SHARE>";
        /// Random horizontal flips of training images.
        ///
        /// Digits have a side, photographs mostly not.
        pub flip: Option<bool>,
            unset "in recoveries, if the given network withstands them", flag "--flip";
        /// Share of the loss that follows the given network's scores, where labels say what is right;
        /// 0 turns it off.
        ///
        /// Hinton et al. 2015, arXiv:1503.02531. Few samples are soon known by heart: of 1,000 letters
        /// a recovery ended 4 points higher with 0.5 than with 0. Of 20,000 one ended 0.4 points lower at
        /// equal cost, in which scoring the training images counts, and of CIFAR-10 0.9
        /// (docs/experiments/2026-11-28-zen4-2cores-aec/summary.md).
        pub distillation: Option<f32>,
            unset "0.5 for fewer than 10,000 training samples, 0 from there on", in SHARE;
        /// Softens the scores in distillation.
        ///
        /// They are all but certain.
        pub temperature: f32 = 2.0, in Range::from_to(0.01, 1e3);
        /// Update rule and its constants.
        pub optimizer: OptimizerConfig;
    }
}

/// Training samples below which a network soon knows them by heart: with labels it learns from the
/// given network too, and without the given network looks at every changed sample anew.
pub const FEW_SAMPLES: usize = 10_000;

impl TrainingConfig {
    /// Share of the loss that follows the given network's scores, of so many labelled samples.
    pub fn share_of_distillation(&self, n_train: usize) -> f32 {
        self.distillation.unwrap_or(match n_train < FEW_SAMPLES {
            true => 0.5,
            false => 0.0,
        })
    }

    /// Peak learning rate of a recovery.
    pub fn peak_of_recovery(&self, against: Against) -> f32 {
        self.recover_lr.unwrap_or(match against {
            Against::Labels => 0.05,
            Against::Original => 0.02,
        })
    }

    /// Random changes to the images of a recovery that are set, and a shift where none is.
    pub fn recover_augment(&self, unset_shift: usize) -> Augment {
        Augment {
            max_shift: self.recover_max_shift.unwrap_or(unset_shift),
            max_rotation: self.recover_max_rotation.unwrap_or(0.0),
            max_zoom: self.recover_max_zoom.unwrap_or(0.0),
            flip: self.flip.unwrap_or(false),
        }
    }

    /// True if nothing is left open of what a recovery changes of images.
    pub fn sets_recover_augment(&self) -> bool {
        self.recover_max_shift.is_some()
            && self.recover_max_rotation.is_some()
            && self.recover_max_zoom.is_some()
            && self.flip.is_some()
    }
}
