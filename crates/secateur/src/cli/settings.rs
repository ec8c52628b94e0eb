//! Checked settings: the config file, then the arguments on top.

use std::path::Path;

use anyhow::{Context, Result, bail};
use secateur::search::config::{Budget, Metric, Mode, PruneConfig};

use super::args::{ModeName, PruneArgs};

/// Points that CECA without a budget lets the output lose, unless told otherwise.
const DEFAULT_CECA_DROP: f64 = 0.5;

/// Resolves the settings of a pruning run. A resumed one goes on with its own.
pub fn prune_config(args: &PruneArgs, run_dir: &Path) -> Result<PruneConfig> {
    let own = run_dir.join("config.toml");
    let file = match &args.config {
        Some(path) => Some(path),
        None if args.resume && own.is_file() => Some(&own),
        None => None,
    };
    let mut config = match file {
        Some(path) => {
            let text = fs_err::read_to_string(path)?;
            toml::from_str::<PruneConfig>(&text)
                .with_context(|| format!("cannot use config `{}`", path.display()))?
        }
        None => PruneConfig::new(Mode::Aec { max_drop: 0.0 }),
    };
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
                Mode::Aec { .. } => (Vec::new(), DEFAULT_CECA_DROP),
            };
            Mode::Ceca {
                budgets: match &args.budget {
                    Some(text) => parse_budgets(text)?,
                    None => budgets,
                },
                max_drop: args.max_drop.unwrap_or(max_drop),
            }
        }
    };
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    if !args.ignore.is_empty() {
        config.search.ignore.clone_from(&args.ignore);
    }
    if let Some(round_to) = args.round_to {
        config.search.round_to = round_to;
    }
    if let Some(policy) = &args.policy {
        config.search.policy.clone_from(policy);
    }
    Ok(config)
}

/// `params=0.4,0.14` as budgets.
fn parse_budgets(text: &str) -> Result<Vec<Budget>> {
    let form = "expected METRIC=SHARE with METRIC one of params, macs, kernels, conv-params, \
                and shares between 0 and 1, such as params=0.4,0.14";
    let Some((name, shares)) = text.split_once('=') else {
        bail!("cannot use `--budget {text}`: {form}");
    };
    let Some(metric) = Metric::ALL.into_iter().find(|m| m.name() == name.trim()) else {
        bail!("cannot use `--budget {text}`: unknown metric `{name}`; {form}");
    };
    shares
        .split(',')
        .map(|share| match share.trim().parse::<f64>() {
            Ok(remaining) if remaining > 0.0 && remaining < 1.0 => Ok(Budget { metric, remaining }),
            _ => bail!("cannot use `--budget {text}`: `{share}` is no share; {form}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets() {
        let parsed = parse_budgets("conv-params=0.4, 0.06").unwrap();
        assert_eq!(parsed.len(), 2);
        assert_eq!(
            parsed[1],
            Budget {
                metric: Metric::ConvParams,
                remaining: 0.06
            }
        );
        for wrong in [
            "params",
            "flops=0.5",
            "params=",
            "params=0",
            "params=1.0",
            "params=-0.1",
            "params=NaN",
        ] {
            let error = parse_budgets(wrong).unwrap_err().to_string();
            assert!(error.contains("expected METRIC=SHARE"), "{wrong}: {error}");
        }
    }
}
