//! Checked settings: the config file, then the arguments on top.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use secateur::data::DataConfig;
use secateur::search::config::ranges::Range;
use secateur::search::config::{Budget, Metric, Mode, PruneConfig};
use secateur::search::policy::Policy;

use super::args::{DataOptions, ModeName, PruneArgs};

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

/// A parser of numbers of a range.
pub fn within<T>(range: Range) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + Copy + Number,
{
    move |text| match text.trim().parse::<T>() {
        Ok(value) if range.contains(value.number()) => Ok(value),
        _ => Err(format!("expected {}{range}", T::KIND)),
    }
}

/// A number of an argument.
pub trait Number {
    /// In front of a range, for people.
    const KIND: &str = "";
    /// For comparison with a range.
    fn number(self) -> f64;
}

impl Number for f32 {
    fn number(self) -> f64 {
        f64::from(self)
    }
}

impl Number for f64 {
    fn number(self) -> f64 {
        self
    }
}

impl Number for usize {
    const KIND: &str = "a whole number, ";

    fn number(self) -> f64 {
        self as f64
    }
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

/// Reads a config as a table, once it is known to be one: errors name the line, or the setting
/// and its range.
fn read_table(path: &Path) -> Result<toml::Table> {
    let text = fs_err::read_to_string(path)?;
    let context = || format!("cannot use config `{}`", path.display());
    let config: PruneConfig = toml::from_str(&text).with_context(context)?;
    config.check().with_context(context)?;
    text.parse().with_context(context)
}

/// Lays `top` over `base`: settings one by one, but a mode as a whole.
fn lay_over(base: &mut toml::Table, top: toml::Table) {
    for (key, value) in top {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if key != "mode" => {
                lay_over(below, above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
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
    if let Some(degrees) = args.max_rotation {
        config.training.recover_max_rotation = degrees;
    }
    if let Some(share) = args.max_zoom {
        config.training.recover_max_zoom = share;
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
    let policy: Policy = config.search.policy.parse()?;
    if args.agent.is_some() && policy != Policy::Dqn {
        bail!(
            "cannot use `--agent` with the policy `{}`: only `{}` asks an agent\n\n\
             hint: leave `--agent` out, or the policy",
            policy.name(),
            Policy::Dqn.name()
        );
    }
    config.check()?;
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
    fn a_config_over_the_runs_own_changes_what_it_names() {
        let table = |text: &str| text.parse::<toml::Table>().unwrap();
        let mut settings = table(
            "seed = 3\n[mode]\nkind = \"ceca\"\nbudgets = []\nmax_drop = 0.5\n\
             [training]\nlr = 0.1\nflip = true\n",
        );
        lay_over(&mut settings, table("[training]\nlr = 0.2\n"));
        let config: PruneConfig = settings.clone().try_into().unwrap();
        assert!(matches!(config.mode, Mode::Ceca { .. }));
        assert_eq!(config.seed, 3);
        assert_eq!(config.training.lr, 0.2);
        assert!(config.training.flip);
        // Nothing of the old mode is left in a new one.
        lay_over(
            &mut settings,
            table("[mode]\nkind = \"aec\"\nmax_drop = 1.0\n"),
        );
        let config: PruneConfig = settings.try_into().unwrap();
        assert_eq!(config.mode, Mode::Aec { max_drop: 1.0 });
    }

    #[test]
    fn numbers_of_arguments() {
        use secateur::search::config::ranges::{BATCH, EPOCHS};
        assert_eq!(within::<f64>(EPOCHS)("0.15"), Ok(0.15));
        for wrong in ["0", "-1", "1e30", "1e400", "nan", "inf", "many", ""] {
            let expected = Err("expected above 0 and at most 100000".to_string());
            assert_eq!(within::<f64>(EPOCHS)(wrong), expected, "{wrong}");
        }
        assert_eq!(within::<usize>(BATCH)("128"), Ok(128));
        for wrong in ["0", "-1", "1.5", "65537", "99999999999999999999"] {
            let expected = Err("expected a whole number, 1 to 65536".to_string());
            assert_eq!(within::<usize>(BATCH)(wrong), expected, "{wrong}");
        }
    }

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
