//! How a network of an experiment is trained.

use std::path::Path;

use secateur_net::settings::Settings;
use serde::Serialize;
use toml::{Table, Value};

use crate::train::TrainConfig;

/// Architecture and training of a network; new networks of the same shape (`shape_of`) are trained
/// alike.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Recipe {
    /// Which network is built, and how wide it is: arguments of `secateur train`.
    pub build: Vec<(String, String)>,
    /// A network for each seed of the runs, instead of one for all.
    pub each_seed: bool,
    /// The training.
    pub config: TrainConfig,
}

/// Arguments of `secateur train` that build the network.
const BUILD: [&str; 4] = ["arch", "widths", "hidden", INIT];
const INIT: &str = "init";
const EACH_SEED: &str = "each_seed";

impl Recipe {
    /// Reads `[network.train]`; data are prepared as `data` says unless it says it itself.
    ///
    /// Files start at `folder`.
    ///
    /// # Errors
    /// Says which key is wrong, and how.
    pub fn parse(table: &Table, data: Option<&Value>, folder: &Path) -> Result<Self, String> {
        let mut rest = table.clone();
        let mut build = Vec::new();
        for key in BUILD {
            if let Some(value) = rest.remove(key) {
                let text = plain(key, &value)?;
                let text = match key == INIT {
                    true => folder.join(text).to_string_lossy().into_owned(),
                    false => text,
                };
                build.push((key.to_string(), text));
            }
        }
        let each_seed = match rest.remove(EACH_SEED) {
            None => false,
            Some(Value::Boolean(each)) => each,
            Some(other) => return Err(format!("`{EACH_SEED}` is {other}, expected true or false")),
        };
        if each_seed && rest.contains_key("seed") {
            return Err(format!("`seed` and `{EACH_SEED}` exclude each other"));
        }
        if let Some(data) = data {
            rest.entry("data").or_insert_with(|| data.clone());
        }
        let config: TrainConfig = rest
            .try_into()
            .map_err(|error: toml::de::Error| error.message().to_string())?;
        config.check_ranges().map_err(|error| error.to_string())?;
        Ok(Self {
            build,
            each_seed,
            config,
        })
    }
}

/// A word, a number, or a list of them, as an argument.
fn plain(key: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Array(values) => {
            let words: Result<Vec<_>, _> = values.iter().map(|value| plain(key, value)).collect();
            Ok(words?.join(","))
        }
        other => Err(format!("`{key}` is {other}, expected words or numbers")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Recipe, String> {
        Recipe::parse(&text.parse().unwrap(), None, Path::new("e"))
    }

    #[test]
    fn what_builds_and_what_trains() {
        let init = parse("init = \"a.onnx\"").unwrap().build;
        assert_eq!(init, [("init".to_string(), "e/a.onnx".to_string())]);
        let recipe =
            parse("widths = \"8,M\"\nhidden = [16, 8]\nepochs = 0.5\nflip = true").unwrap();
        let build = [("widths", "8,M"), ("hidden", "16,8")];
        assert_eq!(
            recipe.build,
            build.map(|(k, v)| (k.to_string(), v.to_string()))
        );
        assert_eq!((recipe.config.epochs, recipe.config.flip), (0.5, true));
        assert!(!recipe.each_seed);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("epoch = 1", "unknown field `epoch`"),
            ("epochs = 0.0", "`epochs` is 0.0"),
            ("hidden = true", "`hidden` is true"),
            ("each_seed = true\nseed = 1", "exclude each other"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
