//! Budgets that counting cannot promise: a network is measured, and where it misses its budget, a
//! smaller one is chosen.

use secateur_onnx::coupling::Masks;

/// Networks that are tried at most.
const TRIES: usize = 6;
/// Room that is left below what the last measurement asks for.
const ROOM: f64 = 0.98;
/// Part of a target that the next one keeps at most and at least: measurements waver, and so does
/// what a table says of a network that is much smaller.
const NEXT: (f64, f64) = (0.7, 0.97);

/// Measures networks against their budgets.
pub trait Gauge {
    /// What the network of these masks takes, over what its budget allows, which is `share` of the
    /// given network's: above 1 it misses. `None` where it cannot be measured.
    fn excess(&self, masks: &Masks, share: f64) -> Option<f64>;
}

/// Masks that were chosen, and what was measured of the network that they leave.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauged {
    /// The masks.
    pub masks: Masks,
    /// As [`Gauge::excess`]; `None` where nothing was measured.
    pub excess: Option<f64>,
}

/// Masks of a network that is measured to keep its budget of `share`. `choose` gives those for a
/// target, which falls as long as measurements ask for that; of the last try, if none keeps it.
///
/// # Errors
/// Those of `choose` at the share itself; where only smaller targets fail, as a budget that no
/// network reaches, the last masks stand.
pub fn within<E>(
    gauge: Option<&dyn Gauge>,
    share: f64,
    mut choose: impl FnMut(f64) -> Result<Masks, E>,
) -> Result<Gauged, E> {
    let mut target = share;
    let mut best = Gauged {
        masks: choose(target)?,
        excess: None,
    };
    let Some(gauge) = gauge else { return Ok(best) };
    for tried in 1..=TRIES {
        best.excess = gauge.excess(&best.masks, share);
        let Some(excess) = best.excess.filter(|&excess| excess > 1.0) else {
            break;
        };
        target *= (ROOM / excess).clamp(NEXT.0, NEXT.1);
        match choose(target) {
            Ok(masks) if tried < TRIES => best.masks = masks,
            _ => break,
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that says `by_table` of what is measured.
    struct Table(f64);

    fn kept(masks: &Masks) -> f64 {
        masks.active(0) as f64 / masks.0[0].len() as f64
    }

    fn of_share(share: f64) -> Result<Masks, ()> {
        let kept = (1000.0 * share) as usize;
        match kept {
            0 => Err(()),
            _ => Ok(Masks(vec![(0..1000).map(|k| k < kept).collect()])),
        }
    }

    impl Gauge for Table {
        fn excess(&self, masks: &Masks, share: f64) -> Option<f64> {
            (self.0 > 0.0).then(|| kept(masks) / self.0 / share)
        }
    }

    #[test]
    fn networks_shrink_until_they_are_measured_to_keep_the_budget() {
        for by_table in [1.1, 1.0, 0.95, 0.6] {
            let gauged = within(Some(&Table(by_table)), 0.5, of_share).unwrap();
            assert!(gauged.excess.unwrap() <= 1.0, "{by_table}");
            assert!(kept(&gauged.masks) > 0.85 * 0.5 * f64::min(by_table, 1.0), "{by_table}");
        }
        // What keeps it at once, or cannot be measured, stays as it was.
        for table in [1.1, 0.0] {
            assert_eq!(within(Some(&Table(table)), 0.5, of_share).unwrap().masks, of_share(0.5).unwrap());
        }
        assert_eq!(within(None, 0.5, of_share).unwrap().excess, None);
    }

    #[test]
    fn what_cannot_be_reached_is_told_by_what_was_measured() {
        let gauged = within(Some(&Table(1e-9)), 0.001, of_share).unwrap();
        assert!(gauged.excess.unwrap() > 1.0);
        assert!(within(None, 0.0, of_share).is_err());
    }
}
