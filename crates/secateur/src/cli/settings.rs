//! Checked settings: the config file, then the arguments on top.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use secateur_search::config::{Budget, PruneConfig};

use super::args::{PruneArgs, TrainArgs};
use super::flags::Flags;
use crate::data::DataConfig;
use crate::layered::{self, LayeredError, Promise, read_config, read_section};
use crate::train::TrainConfig;

/// Settings of a training: the config, then the arguments.
pub fn train_config(args: &TrainArgs) -> Result<TrainConfig> {
    let config = match &args.config {
        None => TrainConfig::default(),
        Some(path) => read_section(path, None)?,
    };
    Ok(args.settings.over(config))
}

/// Settings of data: part `[data]` of a config, then the arguments.
pub fn data_config(config: Option<&Path>, flags: &Flags<DataConfig>) -> Result<DataConfig> {
    let config = match config {
        None => DataConfig::default(),
        Some(path) => read_section(path, Some("data"))?,
    };
    Ok(flags.over(config))
}

/// Resolves and checks the settings of a pruning run. A resumed one goes on with its own, and
/// a config lies over those.
pub fn prune_config(args: &PruneArgs, run_dir: &Path) -> Result<PruneConfig> {
    let own = run_dir.join("config.toml");
    let own = (args.resume && own.is_file()).then_some(own);
    let configs = own.iter().chain(&args.config).map(|path| read_config(path));
    let configs = configs.collect::<Result<Vec<_>, _>>()?;
    let promise = Promise {
        mode: args.mode,
        max_drop: args.max_drop,
        budget: args.budget.clone(),
        goes_on: own.is_some(),
    };
    let given = args.settings.given();
    let has_agent = args.agent.is_some() || args.learn_into.is_some();
    match layered::prune_config(&args.model, configs, &promise, given, has_agent) {
        Err(LayeredError::BudgetWithAec) => bail!(
            "cannot use `--budget` with `--mode aec`: a budget is the promise of `--mode ceca`"
        ),
        Err(LayeredError::DropWithBudgets) => bail!(
            "cannot use `--max-drop` with the budgets of the config: they alone say how small the \
             outputs are\n\nhint: leave `--max-drop` out, or set `budgets = []`"
        ),
        other => Ok(other.map_err(in_options)?),
    }
}

/// An error of a budget in the words of the command.
fn in_options(error: LayeredError) -> anyhow::Error {
    match error {
        LayeredError::Budget { text, reason } => {
            anyhow!("cannot use `--budget {text}`: {reason}")
        }
        other => other.into(),
    }
}

/// Budgets as typed, for a model that is timed where they are in milliseconds.
pub fn parse_budgets(text: &str, model: &Path, config: &PruneConfig) -> Result<Vec<Budget>> {
    layered::parse_budgets(text, model, config, &[]).map_err(in_options)
}
