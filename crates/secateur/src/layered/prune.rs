//! The settings of a pruning run, from its configs, what was promised and single settings.

use std::path::Path;

use secateur_search::config::{Budget, Mode, PruneConfig};
use secateur_search::policies;
use toml::Table;

use super::{Given, LayeredError, lay_over, over, parse_budgets};

/// The two promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum ModeName {
    /// Accuracy-ensured compression: never below the accuracy floor.
    Aec,
    /// Compression-ensured: meets the budget, keeps the most accuracy.
    Ceca,
}

/// The promise, as far as it was asked for beside the configs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Promise {
    /// Which of the two.
    pub mode: Option<ModeName>,
    /// Points that quality may lose.
    pub max_drop: Option<f64>,
    /// What may remain, as a text ([`parse_budgets`]).
    pub budget: Option<String>,
    /// Whether the first config is that of a run that goes on.
    pub goes_on: bool,
}

/// Resolves and checks the settings of a pruning run: configs one over the other, then the
/// promise, then single settings. The model is timed where a budget is in milliseconds.
///
/// # Errors
/// [`LayeredError`] for what does not go together, and values that no run can use.
pub fn prune_config(
    model: &Path,
    configs: impl IntoIterator<Item = Table>,
    promise: &Promise,
    given: &[Given],
    has_agent: bool,
) -> Result<PruneConfig, LayeredError> {
    let mut table = Table::new();
    for config in configs {
        lay_over(&mut table, config);
    }
    let mut config: PruneConfig = table
        .try_into()
        .map_err(|error: toml::de::Error| LayeredError::Together(error.to_string()))?;
    let mode = std::mem::take(&mut config.mode);
    let config = over(config, given)?;
    let budgets = promise.budget.as_deref();
    let begun: &[Budget] = match &mode {
        Mode::Ceca { budgets, .. } if promise.goes_on => budgets,
        _ => &[],
    };
    let budgets = budgets.map(|text| parse_budgets(text, model, &config, begun));
    let mode = promise.over(mode, budgets.transpose()?)?;
    let config = PruneConfig { mode, ..config };
    config.check()?;
    policies::check(&config, has_agent)?;
    Ok(config)
}

impl Promise {
    /// What is promised where a config says this.
    fn over(&self, config: Mode, given: Option<Vec<Budget>>) -> Result<Mode, LayeredError> {
        let name = self.mode.unwrap_or(match (&config, &given) {
            (_, Some(_)) | (Mode::Ceca { .. }, _) => ModeName::Ceca,
            (Mode::Aec { .. }, None) => ModeName::Aec,
        });
        match (name, config) {
            (ModeName::Aec, _) if given.is_some() => Err(LayeredError::BudgetWithAec),
            (ModeName::Aec, Mode::Aec { max_drop }) => Ok(Mode::Aec {
                max_drop: self.max_drop.unwrap_or(max_drop),
            }),
            (ModeName::Aec, _) => Ok(Mode::Aec {
                max_drop: self.max_drop.unwrap_or(0.0),
            }),
            (ModeName::Ceca, config) => {
                let (budgets, max_drop) = match config {
                    Mode::Ceca { budgets, max_drop } => (budgets, max_drop),
                    Mode::Aec { .. } => (Vec::new(), Mode::CECA_DROP),
                };
                if self.max_drop.is_some() && !budgets.is_empty() {
                    return Err(LayeredError::DropWithBudgets);
                }
                Ok(Mode::Ceca {
                    budgets: given.unwrap_or(budgets),
                    max_drop: self.max_drop.unwrap_or(max_drop),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_over_the_runs_own_changes_what_it_names() {
        let table = |text: &str| text.parse::<toml::Table>().unwrap();
        let mut settings = table(
            "seed = 3\n[mode]\nkind = \"ceca\"\nbudgets = []\nmax_drop = 0.5\n\
             [training]\nsmoothing = 0.1\nflip = true\n",
        );
        lay_over(&mut settings, table("[training]\nsmoothing = 0.2\n"));
        let config: PruneConfig = settings.clone().try_into().unwrap();
        assert!(matches!(config.mode, Mode::Ceca { .. }));
        assert_eq!(config.seed, 3);
        assert_eq!(config.training.smoothing, 0.2);
        assert_eq!(config.training.flip, Some(true));
        // Nothing of the old mode is left in a new one.
        lay_over(
            &mut settings,
            table("[mode]\nkind = \"aec\"\nmax_drop = 1.0\n"),
        );
        let config: PruneConfig = settings.try_into().unwrap();
        assert_eq!(config.mode, Mode::Aec { max_drop: 1.0 });
    }
}
