//! How the network trains during the search.

use secateur_net::data::Augment;
use secateur_net::settings;
use secateur_net::settings::{BATCH, NOT_ALL, RATE, Range, SHARE, SHIFT};
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
        /// Peak learning rate of a recovery.
        ///
        /// A recovery warms up first and is long enough for more. Held against the given one, it
        /// begins near to it, and more throws it off: see "Learning from the given network alone".
        pub recover_lr: Option<f32>,
            unset "0.05, and 0.02 where networks are held against the given one", in RATE;
        /// Label smoothing.
        ///
        /// Distillation does what it is for.
        pub smoothing: f32 = 0.0, in NOT_ALL;
        /// Largest random shift of an image in a recovery, pixels.
        ///
        /// Ten more epochs of a network with 6 % of the parameters ended at a loss of 0.0232 on
        /// validation images without, 0.0138 with 1, 0.0150 with 2 (MNIST, one seed).
        pub recover_max_shift: usize = 1, in SHIFT, flag "--max-shift <PIXELS>";
        /// Largest random rotation of an image in a recovery, degrees.
        ///
        /// 10 with a zoom of 0.1 lowered the validation loss of one network (0.0072 to 0.0065,
        /// MNIST, one seed) but not its errors.
        pub recover_max_rotation: f32 = 0.0, in Augment::ROTATIONS, flag "--max-rotation <DEGREES>";
        /// Largest random change of an image's size in a recovery, as share of it.
        ///
        /// As for rotations.
        pub recover_max_zoom: f32 = 0.0, in Augment::ZOOMS, flag "--max-zoom <SHARE>";
        /// Random horizontal flips of training images.
        ///
        /// Digits have a side.
        pub flip: bool = false, flag "--flip";
        /// Share of the loss that follows the given network's scores; 0 turns it off.
        ///
        /// Hinton et al. 2015, arXiv:1503.02531.
        pub distillation: f32 = 0.5, in SHARE;
        /// Softens the scores in distillation.
        ///
        /// They are all but certain.
        pub temperature: f32 = 2.0, in Range::from_to(0.01, 1e3);
        /// Update rule and its constants.
        pub optimizer: OptimizerConfig;
    }
}

impl TrainingConfig {
    /// Peak learning rate of a recovery.
    pub fn peak_of_recovery(&self, against: Against) -> f32 {
        self.recover_lr.unwrap_or(match against {
            Against::Labels => 0.05,
            Against::Original => 0.02,
        })
    }

    /// Random changes to the images of a recovery.
    pub fn recover_augment(&self) -> Augment {
        Augment {
            max_shift: self.recover_max_shift,
            max_rotation: self.recover_max_rotation,
            max_zoom: self.recover_max_zoom,
            flip: self.flip,
        }
    }
}
