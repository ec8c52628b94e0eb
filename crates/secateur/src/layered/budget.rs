//! Budgets as typed; milliseconds become shares of what the given network takes.

use std::path::Path;

use secateur_onnx::model::Model;
use secateur_search::config::{Budget, Metric, PruneConfig};

use super::LayeredError;
use crate::bench::{Bench, Latency, bench};
use crate::runtime::Engines;

/// Timed runs of the given network.
const ROUNDS: usize = 20;
/// Digits of a share that follows from milliseconds.
const DIGITS: f64 = 1e4;

/// Two shares that follow from the same milliseconds in two timings differ by no more than this factor.
const SAME_TIME: f64 = 1.25;

/// `params=0.4,0.14`, `latency=0.5+params=0.3` or `latency=3ms` as budgets, for a model that is timed
/// where a budget asks for that. A run that goes on keeps what it was `begun` with, if that can be
/// the same time measured on another day.
///
/// # Errors
/// [`LayeredError::Budget`] for what is no budget, and what keeps the model from being timed.
pub fn parse_budgets(
    text: &str,
    model: &Path,
    config: &PruneConfig,
    begun: &[Budget],
) -> Result<Vec<Budget>, LayeredError> {
    let context = |reason: String| LayeredError::Budget {
        text: text.to_string(),
        reason,
    };
    let mut given = None;
    let mut parts = Vec::new();
    for part in text.split('+') {
        parts.push(match milliseconds(part) {
            None => part.to_string(),
            Some(values) => {
                let given = match &given {
                    Some(given) => given,
                    None => &*given.insert(time(model, config)?),
                };
                let shares = values.iter().map(|value| share(value, given));
                let shares = shares.collect::<Result<Vec<_>, _>>().map_err(context)?;
                let shares = shares
                    .iter()
                    .map(|share| as_begun(*share, begun).to_string());
                format!(
                    "{}={}",
                    Metric::Latency,
                    shares.collect::<Vec<_>>().join(",")
                )
            }
        });
    }
    Budget::parse_list(&parts.join("+")).map_err(|error| context(error.to_string()))
}

/// The values of a budget in milliseconds.
fn milliseconds(part: &str) -> Option<Vec<&str>> {
    let (name, values) = part.split_once('=')?;
    let values: Vec<&str> = values.split(',').map(str::trim).collect();
    let is_time = name.trim() == Metric::Latency.name()
        && values.iter().any(|value| number_of_ms(value).is_some());
    is_time.then_some(values)
}

/// The number of `3ms`; none of `params`.
fn number_of_ms(value: &str) -> Option<f64> {
    value.strip_suffix("ms")?.trim().parse().ok()
}

/// The share of the given network's time that some milliseconds are.
fn share(value: &str, given: &Latency) -> Result<f64, String> {
    let Some(ms) = number_of_ms(value) else {
        return Err(format!(
            "`{value}` is no time; expected milliseconds such as 3ms"
        ));
    };
    let share = (DIGITS * ms / given.min_ms).floor() / DIGITS;
    match share > 0.0 && share < 1.0 {
        true => Ok(share),
        false => Err(format!(
            "expected a time above 0 and below the given network's, which takes {:.3} ms in {}, batch \
             {}",
            given.min_ms, given.engine, given.batch
        )),
    }
}

/// The share that a run was begun with, if this one can be of the same time.
fn as_begun(share: f64, begun: &[Budget]) -> f64 {
    let mut of_time = begun
        .iter()
        .filter(|budget| budget.metric == Metric::Latency);
    let same = of_time.find(|budget| {
        let apart = budget.remaining / share;
        (1.0 / SAME_TIME..=SAME_TIME).contains(&apart)
    });
    same.map_or(share, |budget| budget.remaining)
}

/// What the given network takes.
fn time(path: &Path, config: &PruneConfig) -> Result<Latency, LayeredError> {
    let mut model = Model::read(path)?;
    model.give_input_shapes(&config.data.input_shapes)?;
    let engines = Engines::of(&config.runtime)?.with_threads(config.latency.threads);
    let Bench { rows, notes } =
        bench(&[(path, &model)], &[config.latency.batch], ROUNDS, &engines)?;
    match rows.into_iter().flatten().next() {
        Some(latency) => Ok(latency),
        None => Err(LayeredError::NotTimed {
            path: path.to_path_buf(),
            reason: notes.join("; "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(metric: Metric, remaining: f64) -> Budget {
        Budget { metric, remaining }
    }

    #[test]
    fn times_are_shares_of_the_given_networks() {
        let given = Latency {
            batch: 1,
            min_ms: 8.0,
            median_ms: 9.0,
            engine: "an engine".to_string(),
            inputs: String::new(),
        };
        assert_eq!(share("3ms", &given), Ok(0.375));
        assert_eq!(share("2.0001 ms", &given), Ok(0.25));
        for (value, expected) in [
            ("3", "expected milliseconds"),
            ("xms", "expected milliseconds"),
            ("8ms", "takes 8.000 ms in an engine, batch 1"),
            ("0ms", "above 0"),
            ("-1ms", "above 0"),
        ] {
            let error = share(value, &given).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
        let begun = [
            budget(Metric::Params, 0.4),
            budget(Metric::Latency, 0.4),
            budget(Metric::Latency, 0.2),
        ];
        for (now, expected) in [(0.375, 0.4), (0.19, 0.2), (0.29, 0.29), (0.9, 0.9)] {
            assert_eq!(as_begun(now, &begun), expected);
        }
        assert_eq!(milliseconds("latency=3ms, 2ms"), Some(vec!["3ms", "2ms"]));
        for other in ["latency=0.5", "params=3ms", "latency"] {
            assert_eq!(milliseconds(other), None);
        }
    }
}
