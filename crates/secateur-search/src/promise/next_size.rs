//! How large the next network is that AEC recovers.

use super::Floor;

/// AEC looks no closer than this factor between what holds the floor and what fails.
const CLOSE_ENOUGH: f64 = 1.15;
/// The next size, as factor of the parameters, where a network that is clearly above the floor is cut
/// further or one that missed by no more than chance grows.
const NEXT_SIZE: f64 = 1.6;
/// Least and most of the way, on a log scale, from a size that failed to one that held.
const WAY: [f64; 2] = [0.15, 0.75];
/// Recoveries of one size that may miss by no more than chance before it grows.
const CHANCES: usize = 2;
/// Least way, on a log scale, from a size that missed to the given network for the last recovery.
const LAST_WAY: f64 = 0.5;
/// Largest share that is worth a recovery.
const LARGEST: f64 = 0.95;

/// What a recovery brought, or solved weights alone, on the search part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recovered {
    /// Share of the parameters.
    pub remaining: f64,
    /// What is held against the floor, the larger the better: quality, or the worth of the user's
    /// number.
    pub value: f64,
    /// Mean loss.
    pub loss: f64,
    /// False where weights were solved alone: that it failed says nothing of a recovery.
    pub is_trained: bool,
}

/// A floor that recoveries are held against.
pub trait Held {
    /// Value of the given network.
    fn given(&self) -> f64;

    /// The least value at the floor.
    fn least(&self) -> f64;

    /// Does it hold?
    fn holds(&self, recovered: &Recovered) -> bool;

    /// Does it hold, give or take chance?
    fn may_hold(&self, recovered: &Recovered) -> bool;

    /// Does it differ from the floor by no more than chance?
    fn is_near(&self, recovered: &Recovered) -> bool;
}

impl Held for Floor {
    fn given(&self) -> f64 {
        self.baseline().search.quality
    }

    fn least(&self) -> f64 {
        self.search()
    }

    fn holds(&self, recovered: &Recovered) -> bool {
        Floor::holds(self, recovered.value, recovered.loss)
    }

    fn may_hold(&self, recovered: &Recovered) -> bool {
        Floor::may_hold(self, recovered.value)
    }

    fn is_near(&self, recovered: &Recovered) -> bool {
        Floor::is_near(self, recovered.value)
    }
}

/// What comes after some recoveries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NextSize {
    /// The network as it is, trained on.
    Same,
    /// Another share of the parameters.
    Other(f64),
    /// Nothing between what held and what failed is worth a recovery.
    Settled,
}

/// The size after the recoveries so far, the last one last, where `left` more may come.
///
/// What holds is trained on as it is: a network cut down to where it just holds was lucky to. What
/// misses by no more than chance is trained on once, for longer, then it grows a little. What is clearly below
/// says that the size is too small: the next lies between it and the smallest that held (or the given
/// one), linear in its logarithm by their values. The last recovery, if none before may have held, is
/// of a network so large that it hardly misses.
pub fn next_size(tried: &[Recovered], floor: &dyn Held, left: usize) -> NextSize {
    let Some(last) = tried.last().filter(|last| last.is_trained) else {
        return NextSize::Same;
    };
    let is_near = floor.is_near(last);
    if is_near && (floor.holds(last) || has_a_chance(tried, last)) {
        return NextSize::Same;
    }
    let bracket = Bracket::of(tried, floor);
    let Some(size) = (match is_near {
        true => bracket.a_little_above(last.remaining),
        false => bracket.between(floor.least()),
    }) else {
        return NextSize::Settled;
    };
    let may_hold = |r| floor.holds(r) || floor.may_hold(r);
    let least = match left <= 1 && !tried.iter().any(may_hold) {
        true => bracket.on_the_way(last.remaining, LAST_WAY),
        false => 0.0,
    };
    NextSize::Other(size.max(least).min(LARGEST))
}

/// What is known of the smallest size that holds.
struct Bracket<'r> {
    /// Share and value of the smallest network that held, or of the given one.
    high: (f64, f64),
    /// The largest that was clearly below the floor.
    failed: Option<&'r Recovered>,
}

impl<'r> Bracket<'r> {
    fn of(tried: &'r [Recovered], floor: &dyn Held) -> Self {
        let by_size = |a: &&Recovered, b: &&Recovered| a.remaining.total_cmp(&b.remaining);
        let held = tried.iter().filter(|r| floor.holds(r)).min_by(by_size);
        let is_failed =
            |r: &&Recovered| r.is_trained && r.value < floor.least() && !floor.is_near(r);
        Self {
            high: held.map_or((1.0, floor.given()), |r| (r.remaining, r.value)),
            failed: tried.iter().filter(is_failed).max_by(by_size),
        }
    }

    /// A share of the way, on a log scale, from a size to the smallest that held.
    fn on_the_way(&self, from: f64, way: f64) -> f64 {
        from.powf(1.0 - way) * self.high.0.powf(way)
    }

    fn is_close(&self, size: f64) -> bool {
        self.high.0 < size * CLOSE_ENOUGH
    }

    /// Where a size missed by no more than chance; `None` if one close to it held.
    fn a_little_above(&self, missed: f64) -> Option<f64> {
        let most = self.on_the_way(missed, WAY[1]);
        (!self.is_close(missed)).then(|| (missed * NEXT_SIZE).min(most))
    }

    /// Between what failed and what held, by their values; `None` if they are close.
    fn between(&self, least: f64) -> Option<f64> {
        let Some(low) = self.failed else {
            return Some(self.high.0 / NEXT_SIZE);
        };
        let way = (least - low.value) / (self.high.1 - low.value);
        let size = self.on_the_way(low.remaining, way.clamp(WAY[0], WAY[1]));
        (!self.is_close(low.remaining)).then_some(size)
    }
}

/// Is the last network, which misses by no more than chance, worth another recovery as it is?
fn has_a_chance(tried: &[Recovered], last: &Recovered) -> bool {
    let same = |r: &&Recovered| r.remaining == last.remaining;
    tried.iter().rev().take_while(same).count() < CHANCES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Baseline;
    use secateur_net::task::Against;
    use secateur_net::train::Evaluation;

    /// 160 errors of 1,000 in both parts; a standard error is 12.6 images.
    fn baseline() -> Baseline {
        let part = Evaluation {
            quality: 0.84,
            loss: 0.5,
            samples: (0..1000).map(|i| if i < 840 { 1.0 } else { 0.0 }).collect(),
            per_class: Vec::new(),
            figures: Vec::new(),
        };
        Baseline {
            against: Against::Labels,
            search: part.clone(),
            confirm: part,
        }
    }

    fn after(tried: &[(f64, f64)], max_drop: f64) -> NextSize {
        with_left(3, tried, max_drop)
    }

    fn with_left(left: usize, tried: &[(f64, f64)], max_drop: f64) -> NextSize {
        let baseline = baseline();
        let tried: Vec<Recovered> = tried
            .iter()
            .map(|&(remaining, value)| Recovered {
                remaining,
                value,
                loss: 0.4,
                is_trained: true,
            })
            .collect();
        next_size(&tried, &Floor::new(&baseline, max_drop, true), left)
    }

    #[track_caller]
    fn is(found: NextSize, size: f64) {
        let NextSize::Other(found) = found else {
            panic!("{found:?}, not {size}");
        };
        assert!((found - size).abs() < 1e-9, "{found}, not {size}");
    }

    #[test]
    fn at_the_floor_it_is_trained_on() {
        assert_eq!(after(&[], 1.0), NextSize::Same);
        for quality in [0.81, 0.82, 0.83, 0.85] {
            assert_eq!(after(&[(0.06, quality)], 1.0), NextSize::Same);
        }
        // What held is trained on again and again.
        assert_eq!(after(&[(0.06, 0.84); 3], 1.0), NextSize::Same);
    }

    #[test]
    fn clearly_below_it_grows_by_what_is_missing() {
        // Half of the way from 70 % at 0.01 to 84 % at 1.
        is(after(&[(0.01, 0.70)], 7.0), 0.1);
        // Where the given network itself is only at the floor, three quarters.
        is(after(&[(0.01, 0.70)], 0.0), 0.01f64.powf(0.25));
        // Between what failed and what held.
        let found = after(&[(0.04, 0.74), (0.4, 0.88), (0.01, 0.6)], 4.0);
        is(
            found,
            0.04f64.powf(1.0 - 6.0 / 14.0) * 0.4f64.powf(6.0 / 14.0),
        );
    }

    #[test]
    fn clearly_above_it_is_cut() {
        is(after(&[(0.08, 0.88)], 0.0), 0.05);
    }

    #[test]
    fn what_misses_by_chance_grows_a_little() {
        // Once more as it is, then larger.
        is(after(&[(0.06, 0.82), (0.06, 0.822)], 1.0), 0.096);
        is(after(&[(0.06, 0.81), (0.06, 0.81)], 1.0), 0.096);
        let larger = [(0.06, 0.81), (0.06, 0.81), (0.096, 0.815), (0.096, 0.815)];
        is(after(&larger, 1.0), 0.1536);
        // At most three quarters of the way to what held.
        let way = |low: f64, high: f64| low.powf(0.25) * high.powf(0.75);
        let missed = |size: f64| [(size, 0.81); CHANCES];
        let tried = [[(0.12, 0.87)].as_slice(), &missed(0.08)].concat();
        is(after(&tried, 1.0), way(0.08, 0.12));
        let settled = after(&[[(0.11, 0.87)].as_slice(), &missed(0.1)].concat(), 1.0);
        assert_eq!(settled, NextSize::Settled);
    }

    #[test]
    fn the_last_is_large_if_nothing_may_have_held() {
        is(with_left(1, &[(0.09, 0.81); CHANCES], 1.0), 0.3);
        is(
            with_left(1, &[(0.04, 0.7), (0.09, 0.70)], 1.0),
            0.09f64.powf(0.25),
        );
        // What may hold in the end is not given up for it.
        is(with_left(1, &[(0.09, 0.825), (0.09, 0.82)], 1.0), 0.144);
    }

    #[test]
    fn it_ends_where_nothing_lies_between() {
        assert_eq!(after(&[(0.11, 0.88), (0.1, 0.7)], 0.0), NextSize::Settled);
        assert_eq!(after(&[(0.95, 0.7)], 0.0), NextSize::Settled);
    }
}
