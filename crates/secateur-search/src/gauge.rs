//! Budgets that counting cannot promise: a network is measured, and where it misses its budget, or
//! leaves much of it, another one is chosen.

use secateur_onnx::coupling::Masks;

/// Networks that are tried at most.
const TRIES: usize = 6;
/// Room that is left below what the last measurement asks for.
const ROOM: f64 = 0.98;
/// Part of its budget from which on a network uses it.
const USED: f64 = 0.95;
/// Part of a target that the next one keeps at least, and at most where it falls or rises:
/// measurements waver, and so does what a table says of a network of another size.
const NEXT: [f64; 3] = [0.7, 0.97, 1.3];

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

/// Masks of a network that is measured to keep its budget of `share`, and to use it as far as a few
/// tries can tell. `choose` gives those for a target, which follows what was measured. If none keeps
/// it, those of the last try.
///
/// # Errors
/// Those of `choose` at the share itself; where only other targets fail, as one that no network
/// reaches, what was found before stands.
pub fn within<E>(
    gauge: Option<&dyn Gauge>,
    share: f64,
    mut choose: impl FnMut(f64) -> Result<Masks, E>,
) -> Result<Gauged, E> {
    let masks = choose(share)?;
    let mut last = Gauged {
        masks,
        excess: None,
    };
    let Some(gauge) = gauge else { return Ok(last) };
    let mut kept: Option<Gauged> = None;
    let mut target = share;
    for _ in 0..TRIES {
        last.excess = gauge.excess(&last.masks, share);
        let Some(excess) = last.excess else { break };
        let keeps = excess <= 1.0;
        let before = kept.as_ref().and_then(|kept| kept.excess);
        if keeps && before.is_none_or(|before| before < excess) {
            kept = Some(last.clone());
        }
        if keeps && excess >= USED {
            break;
        }
        let [least, less, more] = NEXT;
        target *= match keeps {
            true => (ROOM / excess).min(more),
            false => (ROOM / excess).clamp(least, less),
        };
        match choose(target) {
            Ok(masks) if masks != last.masks && target < 1.0 => last.masks = masks,
            _ => break,
        }
    }
    Ok(kept.unwrap_or(last))
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
    fn networks_change_until_they_are_measured_to_keep_the_budget_and_use_it() {
        for by_table in [1.6, 1.1, 1.0, 0.95, 0.6] {
            let gauged = within(Some(&Table(by_table)), 0.5, of_share).unwrap();
            assert!(gauged.excess.unwrap() <= 1.0, "{by_table}");
            assert!(
                gauged.excess.unwrap() >= USED,
                "{by_table}: {:?}",
                gauged.excess
            );
        }
        // What uses it at once, or cannot be measured, stays as it was.
        for table in [1.04, 0.0] {
            let gauged = within(Some(&Table(table)), 0.5, of_share).unwrap();
            assert_eq!(gauged.masks, of_share(0.5).unwrap());
        }
        assert_eq!(within(None, 0.5, of_share).unwrap().excess, None);
    }

    #[test]
    fn what_cannot_be_reached_is_told_by_what_was_measured() {
        let gauged = within(Some(&Table(1e-9)), 0.001, of_share).unwrap();
        assert!(gauged.excess.unwrap() > 1.0 && kept(&gauged.masks) == 0.001);
        assert!(within(None, 0.0, of_share).is_err());
    }
}
