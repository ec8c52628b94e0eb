//! What the report says of the user's own measure.

use secateur_search::config::{MeasureConfig, Mode};
use secateur_search::measure::number_text;
use secateur_search::promise::MeasureFloor;
use secateur_search::search::Readings;
use serde::{Deserialize, Serialize};

/// The user's own measure in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureFigures {
    /// As typed; `None` for a function.
    pub command: Option<String>,
    /// True where smaller numbers are better.
    pub lower_is_better: bool,
    /// Of the given network.
    pub given: f64,
    /// The number that had to be held; `None` where size was promised.
    pub floor: Option<f64>,
    /// Wall-clock seconds of all readings.
    pub seconds: f64,
    /// The networks that it was asked of, in turn.
    pub readings: Vec<ReadingFigures>,
}

/// A network that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadingFigures {
    /// Which pruning epoch made it.
    pub record: usize,
    /// Share of the parameters that remains.
    pub remaining: f64,
    /// Quality on the validation data that guided the search.
    pub search_quality: f64,
    /// By the measure.
    pub number: f64,
    /// Whether it held the floor, where there is one.
    pub holds: Option<bool>,
    /// Wall-clock seconds that the measure took.
    pub seconds: f64,
}

impl MeasureFigures {
    /// Of a finished run.
    pub fn new(readings: &Readings, config: &MeasureConfig, mode: &Mode, command: bool) -> Self {
        let given = readings.given;
        let floor = match mode {
            Mode::Aec { max_drop } => Some(MeasureFloor::new(
                given.number,
                *max_drop,
                config.lower_is_better,
            )),
            Mode::Ceca { .. } => None,
        };
        let measured = readings.candidates.iter();
        let readings: Vec<ReadingFigures> = measured
            .filter_map(|candidate| {
                let reading = candidate.reading?;
                Some(ReadingFigures {
                    record: candidate.record,
                    remaining: candidate.remaining,
                    search_quality: candidate.quality,
                    number: reading.number,
                    holds: floor.map(|floor| floor.holds(reading.number)),
                    seconds: reading.seconds,
                })
            })
            .collect();
        Self {
            command: config.command.clone().filter(|_| command),
            lower_is_better: config.lower_is_better,
            given: given.number,
            floor: floor.map(|floor| floor.number()),
            seconds: given.seconds + readings.iter().map(|r| r.seconds).sum::<f64>(),
            readings,
        }
    }

    /// What it is, for people.
    pub fn name(&self) -> String {
        match &self.command {
            Some(command) => format!("`{command}`"),
            None => "the measure".to_string(),
        }
    }
}

/// A number with what it differs from the given network's by, for people.
pub(super) fn against(number: f64, given: f64) -> String {
    let sign = if number >= given { "+" } else { "" };
    format!(
        "{} ({sign}{})",
        number_text(number),
        number_text(number - given)
    )
}
