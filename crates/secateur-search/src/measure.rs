//! The user's own measure of networks, as a search uses it: a number, larger or smaller is better.
//!
//! What computes it stays outside (a command on a written file, a function): the search knows no
//! files and no processes. It asks seldom, and never twice for the same network: readings are
//! kept with the candidates in the checkpoint.

use std::error::Error;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::search::Observer;

/// A number of the user's measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// As the measure gave it; finite.
    pub number: f64,
    /// Wall-clock seconds that it took.
    pub seconds: f64,
}

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// It was asked to stop and did.
    #[error("the measure was stopped")]
    Stopped,
    /// It failed; what failed is the source.
    #[error(transparent)]
    Failed(#[from] Box<dyn Error + Send + Sync>),
}

/// Measures networks that a search holds as states `S`.
pub trait UserMeasure<S> {
    /// The number of a network; `name` tells it apart from the others of the run. May end early
    /// once `stop` is true.
    ///
    /// # Errors
    /// [`MeasureError`] if there is no number.
    fn measure(
        &mut self,
        name: &str,
        network: &S,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, MeasureError>;
}

/// What a search is measured by.
pub struct Measuring<'a, S> {
    /// Measures its networks.
    pub measure: Box<dyn UserMeasure<S> + 'a>,
    /// Of the given network.
    pub given: Reading,
}

/// A number for people: six significant digits, without what arithmetic left behind them.
pub fn number_text(number: f64) -> String {
    let rounded = format!("{number:.5e}").parse().unwrap_or(number);
    format!("{rounded}")
}

/// Measures one network, `network` in words: tells the observer, takes the time, refuses what is not finite.
///
/// # Errors
/// [`MeasureError`] if there is no number, or no finite one.
pub fn take(
    network: &str,
    observer: &mut dyn Observer,
    measure: impl FnOnce(&dyn Fn() -> bool) -> Result<f64, MeasureError>,
) -> Result<Reading, MeasureError> {
    observer.measuring(network);
    let started = Instant::now();
    let number = measure(&|| observer.stop_requested())?;
    if !number.is_finite() {
        let text = format!("the measure gave {number}, expected a finite number");
        return Err(MeasureError::Failed(text.into()));
    }
    let reading = Reading {
        number,
        seconds: started.elapsed().as_secs_f64(),
    };
    observer.measured(network, &reading);
    Ok(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_without_what_arithmetic_left() {
        for (number, text) in [
            (1.1 - 1.0, "0.1"),
            (-0.25, "-0.25"),
            (53.2 - 0.5, "52.7"),
            (123_456_789.0, "123457000"),
            (0.0, "0"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }

    #[test]
    fn what_is_not_finite_is_no_reading() {
        for number in [f64::NAN, f64::INFINITY] {
            let error = take("given", &mut (), |_| Ok(number)).unwrap_err();
            assert!(error.to_string().contains("expected a finite number"));
        }
        assert_eq!(take("given", &mut (), |_| Ok(-2.5)).unwrap().number, -2.5);
    }
}
