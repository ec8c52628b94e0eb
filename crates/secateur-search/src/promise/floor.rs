//! The floor of quality: what holds it, and on which samples.

use secateur_net::task::Against;
use secateur_net::train::Evaluation;

use crate::baseline::Baseline;

/// The given network's quality less what may be lost.
///
/// Both parts of the validation data together must reach it. On either part alone a network may
/// miss it by chance, so that one part or the other is not the whole verdict.
#[derive(Debug, Clone)]
pub struct Floor {
    baseline: Baseline,
    max_drop: f64,
    hold_loss: bool,
}

impl Floor {
    /// A floor `max_drop` points (hundredths) below the baseline, on quality and, with
    /// `hold_loss`, on the loss.
    pub fn new(baseline: &Baseline, max_drop: f64, hold_loss: bool) -> Self {
        Self {
            baseline: baseline.clone(),
            max_drop,
            // The original's loss against itself is none at all, which no other network holds.
            hold_loss: hold_loss && baseline.against == Against::Labels,
        }
    }

    /// The same at another drop, points.
    #[must_use]
    pub fn lowered_to(&self, max_drop: f64) -> Self {
        Self::new(&self.baseline, max_drop, self.hold_loss)
    }

    /// How good the given network is.
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// Points that may be lost.
    pub fn max_drop(&self) -> f64 {
        self.max_drop
    }

    /// Quality on the search part, 0..=1.
    pub fn search(&self) -> f64 {
        self.on(&self.baseline.search)
    }

    /// Quality on the confirmation part.
    pub fn confirm(&self) -> f64 {
        self.on(&self.baseline.confirm)
    }

    /// Quality on both parts together.
    pub fn whole(&self) -> f64 {
        self.baseline.of_both(self.search(), self.confirm())
    }

    /// Is the loss on the search part no higher than at the floor? True where the loss is not
    /// held.
    pub fn loss_holds(&self, loss: f64) -> bool {
        !self.hold_loss || self.is_within(&self.baseline.search, loss)
    }

    /// [`Self::loss_holds`] on the confirmation part.
    pub fn loss_is_confirmed(&self, loss: f64) -> bool {
        !self.hold_loss || self.is_within(&self.baseline.confirm, loss)
    }

    /// Do quality and loss hold on the search part?
    pub fn holds(&self, quality: f64, loss: f64) -> bool {
        quality >= self.search() && self.loss_holds(loss)
    }

    /// May the confirmation part decide for it? A few images less on the search part are
    /// chance.
    pub fn may_hold(&self, quality: f64) -> bool {
        quality >= self.least_on(&self.baseline.search)
    }

    /// Does quality on the search part differ from the floor by no more than chance, two
    /// standard errors?
    pub fn is_near(&self, quality: f64) -> bool {
        let floor = self.search();
        (quality - floor).abs() <= 2.0 * chance(self.baseline.search.samples.len(), floor)
    }

    /// Does quality hold on both parts together, and on the confirmation part alone, where a
    /// few images less are chance as in [`Self::may_hold`]?
    pub fn is_confirmed(&self, search: f64, confirm: f64) -> bool {
        let least = self.least_on(&self.baseline.confirm);
        // Shares of whole images: half of one is rounding.
        let rounding = 0.5 / self.baseline.n_samples().max(1) as f64;
        let whole = self.baseline.of_both(search, confirm);
        confirm >= least - rounding && whole >= self.whole() - rounding
    }

    /// Does quality on both parts together reach the floor but for chance? A few images less are chance, as
    /// in [`Self::may_hold`].
    pub fn may_be_confirmed(&self, search: f64, confirm: f64) -> bool {
        let images = self.baseline.n_samples();
        let floor = self.whole();
        self.baseline.of_both(search, confirm) >= floor - chance(images, floor)
    }

    /// Quality on a part.
    fn on(&self, part: &Evaluation) -> f64 {
        part.quality - self.max_drop / 100.0
    }

    /// Quality on a part that may be the floor's but for chance: one standard error less.
    fn least_on(&self, part: &Evaluation) -> f64 {
        let floor = self.on(part);
        floor - chance(part.samples.len(), floor)
    }

    fn is_within(&self, part: &Evaluation, loss: f64) -> bool {
        loss <= loss_ceiling(part, self.on(part))
    }
}

/// Loss at a floor: that of the given network, grown as its errors may grow. A few lucky
/// images lift quality over the floor, but hardly the loss with it. No errors at all count as
/// half of one.
fn loss_ceiling(baseline: &Evaluation, floor: f64) -> f64 {
    let least = 0.5 / baseline.samples.len().max(1) as f64;
    baseline.loss * (1.0 - floor).max(least) / (1.0 - baseline.quality).max(least)
}

/// Quality by which two networks of the floor's errors differ by chance: one standard error
/// of the paired difference, sqrt(b + c) / n with b images gained and c lost (Agresti and Min
/// 2005, doi 10.1002/sim.1781), where as many images change sides as there are errors.
fn chance(images: usize, floor: f64) -> f64 {
    let images = images.max(1) as f64;
    ((1.0 - floor) * images).max(1.0).sqrt() / images
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::promise) fn evaluation(right: usize, images: usize, loss: f64) -> Evaluation {
        Evaluation {
            quality: right as f64 / images as f64,
            loss,
            samples: (0..images)
                .map(|i| if i < right { 1.0 } else { 0.0 })
                .collect(),
            per_class: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// 16 errors of 1,000 on the search part, 20 of 1,000 on the other.
    fn baseline() -> Baseline {
        Baseline {
            against: Against::Labels,
            search: evaluation(984, 1000, 0.04),
            confirm: evaluation(980, 1000, 0.05),
        }
    }

    #[test]
    fn the_loss_may_grow_as_the_errors_may() {
        let given = evaluation(990, 1000, 0.03);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a}, not {b}");
        close(loss_ceiling(&given, 0.99), 0.03);
        close(loss_ceiling(&given, 0.98), 0.06);
        // Without errors it can still grow, and stays finite.
        let perfect = evaluation(1000, 1000, 0.001);
        close(loss_ceiling(&perfect, 1.0), 0.001);
        close(loss_ceiling(&perfect, 0.999), 0.002);
    }

    #[test]
    fn a_few_images_less_are_chance() {
        let baseline = baseline();
        let floor = Floor::new(&baseline, 0.0, true);
        assert!(floor.holds(0.984, 0.04));
        assert!(!floor.holds(0.983, 0.04));
        assert!(!floor.holds(0.984, 0.041));
        // The square root of 16 errors is 4 images.
        assert!(floor.may_hold(0.9801));
        assert!(!floor.may_hold(0.9799));
        // Where the loss is not held, quality decides by itself.
        assert!(Floor::new(&baseline, 0.0, false).holds(0.984, 0.5));
    }

    #[test]
    fn both_parts_decide_together_and_each_within_chance() {
        let baseline = baseline();
        let floor = Floor::new(&baseline, 0.0, true);
        assert!(floor.is_confirmed(0.984, 0.980));
        // An image short on either part, and on both together.
        assert!(!floor.is_confirmed(0.984, 0.979));
        assert!(!floor.is_confirmed(0.983, 0.980));
        // What one part lacks, the other has.
        assert!(floor.is_confirmed(0.985, 0.979));
        assert!(floor.is_confirmed(0.982, 0.982));
        // Lucky in the search: the square root of 20 errors is 4.5 images.
        assert!(floor.is_confirmed(0.999, 0.976));
        assert!(!floor.is_confirmed(0.999, 0.975));
        // A tenth of a point, an image, may go.
        let lower = Floor::new(&baseline, 0.1, true);
        assert!(lower.is_confirmed(0.983, 0.979));
        assert!(!lower.is_confirmed(0.983, 0.978));
    }

    #[test]
    fn near_the_floor_is_within_chance_on_either_side() {
        let baseline = baseline();
        // 16 errors: chance is 4 images, two standard errors 8.
        let floor = Floor::new(&baseline, 0.0, true);
        let near = |floor: &Floor, wrong: f64| floor.is_near(1.0 - wrong / 1000.0);
        assert!(!near(&floor, 24.1));
        assert!(near(&floor, 23.9));
        assert!(near(&floor, 16.0));
        assert!(near(&floor, 8.1));
        assert!(!near(&floor, 7.9));
        // Chance is about the floor, not about the given network.
        let floor = Floor::new(&baseline, 1.0, true);
        assert!(!near(&floor, 15.0));
        assert!(near(&floor, 26.0));
    }
}
