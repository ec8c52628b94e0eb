//! At which sizes AEC looks for a network that holds with solved weights alone, where no recovery did.

/// Networks at most; each takes some hundredths of the time of a training.
const TRIES: usize = 4;
/// How far the next lies, on a log scale, from what failed to the given network, as long as none has held:
/// few are tried, and a result comes first.
const WAY: f64 = 0.75;
/// It looks no closer than this factor between what holds and what fails.
const CLOSE_ENOUGH: f64 = 1.15;

/// The next share of the parameters, between one that failed and the given network, after those that were
/// tried, each with whether it held and was confirmed; `None` when enough is known.
///
/// Once one has held, the geometric mean of the largest that failed and the smallest that held.
pub(super) fn solved_size(tried: &[(f64, bool)], failed: f64) -> Option<f64> {
    let of = |holds: bool| {
        let matching = tried.iter().filter(move |(_, held)| *held == holds);
        matching.map(|(share, _)| *share)
    };
    let high = of(true).fold(1.0, f64::min);
    let low = of(false)
        .filter(|&share| share < high)
        .fold(failed, f64::max);
    let is_found = tried.len() >= TRIES || low * CLOSE_ENOUGH > high;
    match (is_found, of(true).next()) {
        (false, None) => Some(low.powf(1.0 - WAY)),
        (false, Some(_)) => Some((low * high).sqrt()),
        (true, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes tried where networks from a share on hold.
    fn sizes(least: f64, failed: f64) -> Vec<f64> {
        let mut tried = Vec::new();
        while let Some(share) = solved_size(&tried, failed) {
            tried.push((share, share >= least));
            assert!(tried.len() <= TRIES, "{tried:?}");
        }
        tried.into_iter().map(|(share, _)| share).collect()
    }

    #[test]
    fn the_smallest_that_holds_is_closed_in_on() {
        let held = |least| {
            let all = sizes(least, 0.06).into_iter().filter(move |&s| s >= least);
            all.fold(1.0, f64::min)
        };
        for least in [0.07, 0.1, 0.2, 0.45, 0.8] {
            assert!(
                (least..1.5 * least).contains(&held(least)),
                "{least}: {}",
                held(least)
            );
        }
        // Nothing holds, and everything does.
        let all = sizes(1.1, 0.06);
        assert!(all.len() <= TRIES && all[all.len() - 1] > 0.8, "{all:?}");
        assert!(held(0.0) < 0.1);
    }

    #[test]
    fn near_the_given_network_nothing_is_tried() {
        assert_eq!(sizes(0.0, 0.9), Vec::<f64>::new());
    }
}
