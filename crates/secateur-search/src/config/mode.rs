//! The promise of a run.

use secateur_net::settings::{
    AnyValue, POINTS, Part, Range, Setting, SettingError, TRUE_SHARE, Visit,
};
use serde::{Deserialize, Serialize};

use super::Budget;
use super::count::are_joined;

/// Which promise the run makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", deny_unknown_fields)]
pub enum Mode {
    /// Accuracy-ensured compression: never below the floor.
    Aec {
        /// Points (hundredths) that validation accuracy may lose; where the user has a measure of
        /// their own, what its number may lose, in its unit.
        #[serde(default)]
        max_drop: f64,
    },
    /// Compression-ensured: the budgets are met.
    Ceca {
        /// One output each, in one descent; of several metrics, one output that meets them all; empty:
        /// as far down as it goes.
        #[serde(default)]
        budgets: Vec<Budget>,
        /// Without budgets: the most compressed network within this many points is the output.
        #[serde(default = "Mode::ceca_drop")]
        max_drop: f64,
    },
}

impl Mode {
    /// Points that the output of CECA without budgets may lose, unless told otherwise.
    pub const CECA_DROP: f64 = 0.5;

    fn ceca_drop() -> f64 {
        Self::CECA_DROP
    }

    /// What AEC's drop may be: by a measure of the user's own, in whatever unit that has.
    pub const DROP: Range = Range::from_to(0.0, 1e9);

    /// Without a measure of the user's own the drop is in points.
    pub(super) fn check_points(&self) -> Result<(), SettingError> {
        match self {
            Self::Aec { max_drop } if !POINTS.contains(*max_drop) => Err(SettingError {
                setting: "mode.max_drop".to_string(),
                value: format!("{max_drop:?}"),
                expected: POINTS.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Budgets of one metric are a network each, those of several metrics are met by one; both at once
    /// would have no order in which one descent could meet them.
    pub(super) fn check_budgets(&self) -> Result<(), SettingError> {
        let Self::Ceca { budgets, .. } = self else {
            return Ok(());
        };
        let mut numbered = budgets.iter().enumerate();
        let twice = numbered.find(|(at, budget)| {
            let mut before = budgets[..*at].iter();
            before.any(|other| other.metric == budget.metric)
        });
        match twice.filter(|_| are_joined(budgets)) {
            None => Ok(()),
            Some((_, budget)) => Err(SettingError {
                setting: "mode.budgets".to_string(),
                value: format!("budgets of several metrics, {} twice", budget.metric),
                expected: "budgets of one metric, or one of each metric".to_string(),
            }),
        }
    }
}

/// The promise where none is given.
impl Default for Mode {
    fn default() -> Self {
        Self::Aec { max_drop: 0.0 }
    }
}

/// The numbers of the promise that was chosen.
impl Part for Mode {
    fn walk(&mut self, outer: Setting, visit: &mut Visit<'_>) {
        let mut number = |name: &str, text: &str, range, value: &mut dyn AnyValue| {
            let setting = Setting {
                range: Some(range),
                ..outer.inner(name, text)
            };
            visit(setting, value);
        };
        let drop = "Points that accuracy may lose.";
        match self {
            Self::Aec { max_drop } => number("max_drop", drop, Self::DROP, max_drop),
            Self::Ceca { budgets, max_drop } => {
                number("max_drop", drop, POINTS, max_drop);
                let mut remaining: Vec<f64> = budgets.iter().map(|b| b.remaining).collect();
                let share = "Share that may remain.";
                number("budgets.remaining", share, TRUE_SHARE, &mut remaining);
            }
        }
    }
}
