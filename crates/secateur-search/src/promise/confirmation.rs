//! The smallest network that holds a floor, also on data that the search never saw.

use secateur_net::train::Evaluation;

use super::{Candidate, Choice, Confirm, Finish, Floor};
use crate::error::SearchError;

/// Hundredths of a point beyond which a larger drop is no advice any more.
const LARGEST_ADVICE: u32 = 500;

/// Chooses by a floor.
pub(super) struct Confirmation {
    pub floor: Floor,
    /// Of the result.
    pub label: &'static str,
    /// What quality is called, for people.
    pub quality_name: String,
}

impl Confirmation {
    /// The most compressed candidate that holds the floor on all validation data, and within
    /// chance on the confirmation part, which the search never saw; first among those whose
    /// loss holds too, then by quality alone; in the worst case the given network.
    pub(super) fn most_compressed(
        &self,
        candidates: &[Candidate],
        confirm: &mut Confirm<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Choice, SearchError> {
        let mut by_quality_alone = None;
        for (index, candidate) in self.in_turn(candidates) {
            let firm = self.floor.loss_holds(candidate.loss);
            if !firm && by_quality_alone.is_some() {
                continue;
            }
            let found = confirm(candidate)?;
            if !self.floor.is_confirmed(candidate.quality, found.quality) {
                let note = self.not_taken(candidate, &found);
                // A recovery that did not help left the network of the one before.
                if warnings.last() != Some(&note) {
                    warnings.push(note);
                }
            } else if firm && self.floor.loss_is_confirmed(found.loss) {
                return Ok(self.choice(Some(index), found));
            } else if by_quality_alone.is_none() {
                by_quality_alone = Some(self.choice(Some(index), found));
            }
        }
        if let Some(choice) = by_quality_alone {
            warnings.push(format!(
                "{} held the floor, but the loss of no smaller network did: it may lie below the \
                 floor on other data",
                self.quality_name
            ));
            return Ok(choice);
        }
        warnings.push(self.unchanged(candidates, confirm)?);
        Ok(self.given())
    }

    /// Is one of the candidates confirmed? It, or another, is what [`Self::most_compressed`] takes then.
    pub(super) fn confirms_any(
        &self,
        candidates: &[Candidate],
        confirm: &mut Confirm<'_>,
    ) -> Result<bool, SearchError> {
        for (_, candidate) in self.in_turn(candidates) {
            let found = confirm(candidate)?;
            if self.floor.is_confirmed(candidate.quality, found.quality) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The given network as the result.
    pub(super) fn given(&self) -> Choice {
        self.choice(None, self.floor.baseline().confirm.clone())
    }

    /// Those that may hold the floor, the smallest first; of the same size by loss, which moves
    /// far less by chance than quality does.
    fn in_turn<'c>(&self, candidates: &'c [Candidate]) -> Vec<(usize, &'c Candidate)> {
        let all = candidates.iter().enumerate();
        let mut found: Vec<_> = all
            .filter(|(_, c)| c.finish != Finish::Looked && self.floor.may_hold(c.quality))
            .collect();
        found.sort_by(|(_, a), (_, b)| {
            let by_size = a.remaining.total_cmp(&b.remaining);
            by_size.then(a.loss.total_cmp(&b.loss))
        });
        found
    }

    fn choice(&self, candidate: Option<usize>, confirm: Evaluation) -> Choice {
        Choice {
            label: self.label.to_string(),
            target: None,
            candidate,
            confirm,
        }
    }

    fn not_taken(&self, candidate: &Candidate, found: &Evaluation) -> String {
        let baseline = self.floor.baseline();
        let whole = baseline.of_both(candidate.quality, found.quality);
        let mut text = format!(
            "the network with {:.2} % of the parameters was not taken: {:.2} % on the \
             confirmation data (floor {:.2} %), {:.2} % on all validation data (floor {:.2} %)",
            100.0 * candidate.remaining,
            100.0 * found.quality,
            100.0 * self.floor.confirm(),
            100.0 * whole,
            100.0 * self.floor.whole(),
        );
        if let Some(drop) = self.least_drop(candidate, found) {
            text.push_str(&format!(
                "; with `max_drop` {drop:.2} its quality would hold"
            ));
        }
        text
    }

    fn unchanged(
        &self,
        candidates: &[Candidate],
        confirm: &mut Confirm<'_>,
    ) -> Result<String, SearchError> {
        let mut text = format!(
            "no smaller network held the {} floor of {:.2} % on validation data: the given \
             network is returned unchanged",
            self.quality_name,
            100.0 * self.floor.whole()
        );
        if let Some((candidate, drop)) = self.nearest_below(candidates, confirm)? {
            text.push_str(&format!(
                "; with `max_drop` {drop:.2} the one with {:.2} % of the parameters would have \
                 been taken",
                100.0 * candidate.remaining
            ));
        }
        Ok(text)
    }

    /// The least drop, in points, that would let a network pass by its quality; none where that is no
    /// advice any more.
    fn least_drop(&self, candidate: &Candidate, found: &Evaluation) -> Option<f64> {
        let passes = |drop: &f64| {
            let floor = self.floor.lowered_to(*drop);
            floor.may_hold(candidate.quality)
                && floor.is_confirmed(candidate.quality, found.quality)
        };
        (1..=LARGEST_ADVICE)
            .map(|hundredths| self.floor.max_drop() + f64::from(hundredths) / 100.0)
            .find(passes)
    }

    /// The network that the least drop, in points, would let pass, and that drop.
    fn nearest_below<'c>(
        &self,
        candidates: &'c [Candidate],
        confirm: &mut Confirm<'_>,
    ) -> Result<Option<(&'c Candidate, f64)>, SearchError> {
        let mut nearest: Option<(&Candidate, f64)> = None;
        for candidate in candidates.iter().filter(|c| c.finish != Finish::Looked) {
            let drop = self.least_drop(candidate, &confirm(candidate)?);
            if let Some(drop) = drop
                && nearest.is_none_or(|(_, least)| drop < least)
            {
                nearest = Some((candidate, drop));
            }
        }
        Ok(nearest)
    }
}
