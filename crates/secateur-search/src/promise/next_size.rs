//! How large the next network is that AEC recovers.

use super::Floor;

/// AEC looks no closer than this factor between what holds the floor and what fails.
const CLOSE_ENOUGH: f64 = 1.15;
/// The next size, as factor of the parameters, where a network that held is cut further or one
/// that missed by no more than chance grows.
const NEXT_SIZE: f64 = 1.6;
/// Least and most of the way, on a log scale, from a size that failed to one that held.
const WAY: [f64; 2] = [0.15, 0.75];
/// Recoveries of one size that may miss by chance before it grows.
const CHANCES: usize = 2;
/// Largest share that is worth a recovery.
const LARGEST: f64 = 0.95;

/// What a recovery brought, on the search part.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recovered {
    /// Share of the parameters.
    pub remaining: f64,
    /// What is held against the floor, the larger the better: quality, or the worth of the user's
    /// number.
    pub value: f64,
    /// Mean loss.
    pub loss: f64,
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

/// The size after the recoveries so far, the last one last.
///
/// At the floor, give or take chance, more training is worth more than other kernels: only what
/// is clearly above or below says something about the size, and a network cut down to where it
/// just holds was lucky to. Between a network that is clearly below and the smallest that held
/// (or the given one) the size goes by their values, linear in its logarithm.
pub fn next_size(tried: &[Recovered], floor: &dyn Held) -> NextSize {
    let Some(last) = tried.last() else {
        return NextSize::Same;
    };
    let same = |r: &&Recovered| r.remaining == last.remaining;
    let chances = tried.iter().rev().take_while(same).count();
    let missed = !floor.may_hold(last) && chances >= CHANCES;
    if floor.is_near(last) && !missed {
        return NextSize::Same;
    }
    let held = tried
        .iter()
        .filter(|r| floor.holds(r))
        .min_by(|a, b| a.remaining.total_cmp(&b.remaining));
    let failed = tried
        .iter()
        .filter(|r| r.value < floor.least() && !floor.is_near(r))
        .max_by(|a, b| a.remaining.total_cmp(&b.remaining));
    let (high, value) = held.map_or((1.0, floor.given()), |r| (r.remaining, r.value));
    let size = match failed {
        _ if missed => (last.remaining * NEXT_SIZE).min(LARGEST),
        None => high / NEXT_SIZE,
        Some(low) if high < low.remaining * CLOSE_ENOUGH => return NextSize::Settled,
        Some(low) => {
            let way = (floor.least() - low.value) / (value - low.value);
            let way = way.clamp(WAY[0], WAY[1]);
            (low.remaining.powf(1.0 - way) * high.powf(way)).min(LARGEST)
        }
    };
    NextSize::Other(size)
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
        let baseline = baseline();
        let tried: Vec<Recovered> = tried
            .iter()
            .map(|&(remaining, value)| Recovered {
                remaining,
                value,
                loss: 0.4,
            })
            .collect();
        next_size(&tried, &Floor::new(&baseline, max_drop, true))
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
        for quality in [0.81, 0.83, 0.85] {
            assert_eq!(after(&[(0.06, quality)], 1.0), NextSize::Same);
        }
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
    fn what_misses_by_chance_twice_grows_a_little() {
        assert_eq!(after(&[(0.06, 0.81)], 1.0), NextSize::Same);
        is(after(&[(0.06, 0.81), (0.06, 0.815)], 1.0), 0.096);
        // Within one standard error it is not missed.
        assert_eq!(after(&[(0.06, 0.81), (0.06, 0.82)], 1.0), NextSize::Same);
    }

    #[test]
    fn it_ends_where_nothing_lies_between() {
        assert_eq!(after(&[(0.11, 0.88), (0.1, 0.7)], 0.0), NextSize::Settled);
        assert_eq!(after(&[(0.95, 0.7)], 0.0), NextSize::Settled);
    }
}
