//! Checked settings: the config file, then the arguments on top.

use std::path::Path;

use anyhow::{Context, Result, bail};
use secateur::data::DataConfig;
use secateur::search::config::{Budget, Metric, Mode, PruneConfig};

use super::args::{DataOptions, ModeName, PruneArgs};

/// Points that CECA without a budget lets the output lose, unless told otherwise.
const DEFAULT_CECA_DROP: f64 = 0.5;

/// Settings of the data: those given go on top of the config's.
pub fn data_config(args: &DataOptions, mut config: DataConfig) -> DataConfig {
    fn set<T: Clone>(to: &mut T, from: Option<&T>) {
        if let Some(value) = from {
            to.clone_from(value);
        }
    }
    config.normalise = args.normalise.clone().or(config.normalise);
    config.resize = args.resize.or(config.resize);
    config.colour = args.colour.or(config.colour);
    config.layout = args.layout.or(config.layout);
    config.validation = args.validation.or(config.validation);
    set(&mut config.max_skipped, args.max_skipped.as_ref());
    set(&mut config.cache_mib, args.cache_mib.as_ref());
    config
}

/// `224` or `160x120` (height x width).
pub fn parse_image_size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| match text.trim().parse::<usize>() {
        Ok(side) if side > 0 => Ok(side),
        _ => Err(format!(
            "expected a side such as 224, or height x width such as 160x120, got `{text}`"
        )),
    };
    match text.split_once('x') {
        None => Ok([side(text)?; 2]),
        Some((h, w)) => Ok([side(h)?, side(w)?]),
    }
}

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
        None => PruneConfig::new(Mode::default()),
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
    config.data = data_config(&args.data_options, config.data);
    if let Some(max_shift) = args.max_shift {
        config.training.max_shift = max_shift;
        config.training.recover_max_shift = max_shift;
    }
    config.training.flip |= args.flip;
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
pub fn parse_budgets(text: &str) -> Result<Vec<Budget>> {
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
    fn image_sizes() {
        assert_eq!(parse_image_size("224"), Ok([224, 224]));
        assert_eq!(parse_image_size("160x120"), Ok([160, 120]));
        for wrong in ["", "0", "x", "10x", "10x0", "-3", "1x2x3"] {
            assert!(parse_image_size(wrong).is_err(), "{wrong}");
        }
    }

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
