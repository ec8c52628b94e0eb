//! What may remain.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Metric;

/// A text that is no list of budgets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{what}expected METRIC=SHARE with METRIC one of {}, and shares between 0 and 1, such as \
     params=0.4,0.14 for a network each, or latency=0.5+params=0.3 for one that keeps both",
    Metric::ALL.map(Metric::name).join(", ")
)]
pub struct BudgetError {
    /// What is wrong with it, followed by `; `; empty if it has not the form of one.
    what: String,
}

/// A share of the given network that may remain.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Counted in.
    pub metric: Metric,
    /// Share that may remain, in (0, 1).
    pub remaining: f64,
}

impl Budget {
    /// `params=0.06`.
    pub fn label(&self) -> String {
        format!("{}={}", self.metric, self.remaining)
    }

    /// Budgets of one metric, such as `params=0.4,0.14`, or of several that one network meets, such as
    /// `latency=0.5+params=0.3`.
    ///
    /// # Errors
    /// [`BudgetError`] says what was expected.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, BudgetError> {
        let fail = |what: String| BudgetError { what };
        if let Some((first, others)) = text.split_once('+') {
            let mut joined = Self::parse_list(first)?;
            joined.extend(Self::parse_list(others)?);
            let is_list = text.contains(',');
            let mut metrics = joined.iter().map(|budget| budget.metric.name());
            let twice = (1..joined.len()).any(|_| {
                let metric = metrics.next();
                metrics.clone().any(|other| Some(other) == metric)
            });
            return match is_list || twice {
                true => Err(fail(
                    "joined budgets are of different metrics, one share each; ".to_string(),
                )),
                false => Ok(joined),
            };
        }
        let (name, shares) = text.split_once('=').ok_or_else(|| fail(String::new()))?;
        let metric = Metric::ALL.into_iter().find(|m| m.name() == name.trim());
        let metric = metric.ok_or_else(|| fail(format!("unknown metric `{name}`; ")))?;
        let budget = |share: &str| match share.trim().parse::<f64>() {
            Ok(remaining) if remaining > 0.0 && remaining < 1.0 => Ok(Self { metric, remaining }),
            _ => Err(fail(format!("`{share}` is no share; "))),
        };
        shares.split(',').map(budget).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let parsed = Budget::parse_list("conv-params=0.4, 0.06").unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(parsed[1].label(), "conv-params=0.06");
        let joined = Budget::parse_list("latency=0.5 + params=0.3+macs=0.4").unwrap();
        assert_eq!(joined.len(), 3);
        for wrong in [
            "params",
            "flops=0.5",
            "params=",
            "params=0",
            "params=1.0",
            "params=-0.1",
            "params=NaN",
            "params=0.5+",
            "params=0.5+params=0.3",
            "params=0.5,0.3+macs=0.3",
        ] {
            let error = Budget::parse_list(wrong).unwrap_err().to_string();
            assert!(error.contains("expected METRIC=SHARE"), "{wrong}: {error}");
        }
    }
}
