//! Checked settings: the config file, then the arguments on top.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use secateur::data::DataConfig;
use secateur::layered::{gone, lay_over};
use secateur::train::TrainConfig;
use secateur_net::settings::Settings;
use secateur_search::config::{Mode, PruneConfig};
use secateur_search::policies;

use super::args::{ModeName, PruneArgs, TrainArgs};
use super::budget::parse_budgets;
use super::flags::Flags;

/// Reads a config as a table, once it is known to be one: errors name the line, or the setting
/// and its range.
fn read_table(path: &Path) -> Result<toml::Table> {
    let text = fs_err::read_to_string(path)?;
    let context = || format!("cannot use config `{}`", path.display());
    let config: PruneConfig = toml::from_str(&text)
        .map_err(|error| match text.parse().ok().as_ref().and_then(gone) {
            Some(hint) => anyhow!("{error}\nhint: {hint}"),
            None => error.into(),
        })
        .with_context(context)?;
    config.check().with_context(context)?;
    text.parse().with_context(context)
}

/// Settings of a training: the config, then the arguments.
pub fn train_config(args: &TrainArgs) -> Result<TrainConfig> {
    let config = match &args.config {
        None => TrainConfig::default(),
        Some(path) => {
            let text = fs_err::read_to_string(path)?;
            let context = || format!("cannot use config `{}`", path.display());
            let config: TrainConfig = toml::from_str(&text).with_context(context)?;
            config.check_ranges().with_context(context)?;
            config
        }
    };
    Ok(args.settings.over(config))
}

/// Settings of data: part `[data]` of a config, then the arguments.
pub fn data_config(config: Option<&Path>, flags: &Flags<DataConfig>) -> Result<DataConfig> {
    let config = match config {
        None => DataConfig::default(),
        Some(path) => {
            let text = fs_err::read_to_string(path)?;
            let context = || format!("cannot use config `{}`", path.display());
            let mut table: toml::Table = text.parse().with_context(context)?;
            let data = table.remove("data");
            let data = data.unwrap_or(toml::Value::Table(toml::Table::new()));
            let config: DataConfig = data.try_into().with_context(context)?;
            config.check_ranges().with_context(context)?;
            config
        }
    };
    Ok(flags.over(config))
}

/// Resolves and checks the settings of a pruning run. A resumed one goes on with its own, and
/// a config lies over those.
pub fn prune_config(args: &PruneArgs, run_dir: &Path) -> Result<PruneConfig> {
    let own = run_dir.join("config.toml");
    let own = (args.resume && own.is_file()).then_some(own);
    let mut table = toml::Table::new();
    for path in own.iter().chain(&args.config) {
        lay_over(&mut table, read_table(path)?);
    }
    let mut config: PruneConfig = table.try_into().context("cannot use the settings")?;
    let mode = args.mode.unwrap_or(match (&config.mode, &args.budget) {
        (_, Some(_)) | (Mode::Ceca { .. }, _) => ModeName::Ceca,
        (Mode::Aec { .. }, None) => ModeName::Aec,
    });
    config.mode = match (mode, &config.mode) {
        (ModeName::Aec, _) if args.budget.is_some() => {
            bail!(
                "cannot use `--budget` with `--mode aec`: a budget is the promise of `--mode ceca`"
            )
        }
        (ModeName::Aec, Mode::Aec { max_drop }) => Mode::Aec {
            max_drop: args.max_drop.unwrap_or(*max_drop),
        },
        (ModeName::Aec, _) => Mode::Aec {
            max_drop: args.max_drop.unwrap_or(0.0),
        },
        (ModeName::Ceca, from_config) => {
            let (budgets, max_drop) = match from_config {
                Mode::Ceca { budgets, max_drop } => (budgets.clone(), *max_drop),
                Mode::Aec { .. } => (Vec::new(), Mode::CECA_DROP),
            };
            if args.max_drop.is_some() && !budgets.is_empty() {
                bail!(
                    "cannot use `--max-drop` with the budgets of the config: they alone say how \
                     small the outputs are\n\nhint: leave `--max-drop` out, or set `budgets = []`"
                );
            }
            Mode::Ceca {
                budgets: match &args.budget {
                    Some(text) => {
                        let settings = args.settings.over(config.clone());
                        parse_budgets(text, &args.model, &settings)?
                    }
                    None => budgets,
                },
                max_drop: args.max_drop.unwrap_or(max_drop),
            }
        }
    };
    let config = args.settings.over(config);
    config.check()?;
    policies::check(&config, args.agent.is_some())?;
    Ok(config)
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
