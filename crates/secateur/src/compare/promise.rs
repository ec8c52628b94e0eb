//! Promises of an experiment.

use std::fmt;

use secateur_search::config::{Budget, Mode, Target};

/// What a run is to keep: budgets that one descent meets, or a drop of quality.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    /// As written: `params=0.4,0.14` or `max-drop=0.5`.
    text: String,
    /// As a run's settings say it.
    pub mode: Mode,
}

/// The promise of AEC in an experiment file.
const MAX_DROP: &str = "max-drop";

impl Promise {
    /// Reads `METRIC=SHARE,...` or `max-drop=POINTS`.
    ///
    /// # Errors
    /// Says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mode = match text.split_once('=') {
            Some((MAX_DROP, points)) => {
                let max_drop = points.trim().parse::<f64>().ok();
                let max_drop = max_drop.filter(|points| Mode::DROP.contains(*points));
                let max_drop = max_drop
                    .ok_or_else(|| format!("`{text}`: expected points such as max-drop=0.5"))?;
                Mode::Aec { max_drop }
            }
            _ => Mode::Ceca {
                budgets: Budget::parse_list(text)
                    .map_err(|error| format!("`{text}`: {error}; or max-drop=POINTS"))?,
                max_drop: Mode::CECA_DROP,
            },
        };
        Ok(Self {
            text: text.to_string(),
            mode,
        })
    }

    /// What each result of a run is called: the budget that it meets, or the promise itself.
    pub fn labels(&self) -> Vec<String> {
        match &self.mode {
            Mode::Ceca { budgets, .. } => Target::labels(budgets),
            Mode::Aec { .. } => vec![self.text.clone()],
        }
    }

    /// True if quality is promised, so that sizes are what differs.
    pub fn is_floor(&self) -> bool {
        matches!(self.mode, Mode::Aec { .. })
    }

    /// As the name of a folder.
    pub fn folder(&self) -> String {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        self.text.chars().map(plain).collect()
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_and_drops() {
        let budgets = Promise::parse("params=0.4,0.14").unwrap();
        assert_eq!(budgets.labels(), ["params=0.4", "params=0.14"]);
        assert_eq!(budgets.folder(), "params-0.4-0.14");
        assert!(!budgets.is_floor());
        let floor = Promise::parse("max-drop=0.5").unwrap();
        assert_eq!(floor.mode, Mode::Aec { max_drop: 0.5 });
        assert_eq!(floor.labels(), ["max-drop=0.5"]);
        for wrong in [
            "",
            "params",
            "params=2",
            "max-drop=x",
            "max-drop=-1",
            "drop=1",
        ] {
            let error = Promise::parse(wrong).unwrap_err();
            assert!(error.contains("expected"), "{error}");
        }
    }
}
