//! What a report says of a file with 8-bit integers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::stats::PairedDifference;
use crate::bench::Latency;
use crate::table::{Align, write_table};

/// A file before or after it was quantised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantisedFile {
    /// File name.
    pub file: String,
    /// Bytes of the file and of its external data.
    pub bytes: u64,
    /// On the held-out samples, in ONNX Runtime, 0..=1.
    pub quality: f64,
    /// In ONNX Runtime.
    pub latency: Vec<Latency>,
}

/// A quantised file beside the one that it was made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantised {
    /// The file as it was.
    pub before: QuantisedFile,
    /// The quantised file.
    pub after: QuantisedFile,
    /// The quantiser, with its version.
    pub by: String,
    /// As typed.
    pub command: String,
    /// Training samples that it was calibrated on.
    pub inputs: usize,
    /// Which data both are judged on: `test` or `validation`.
    pub part: String,
    /// How many of them.
    pub samples: usize,
    /// What one is called.
    pub noun: String,
    /// What quality is called.
    pub quality_name: String,
    /// True if quality is held against the file before, as there are no labels.
    pub is_against_original: bool,
    /// Quality after minus before, by sample.
    pub difference: PairedDifference,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Quantised {
    /// Rows of a table: a name, before, after.
    pub(crate) fn rows(&self) -> Vec<[String; 3]> {
        let (before, after) = (&self.before, &self.after);
        let of = |what: &str, text: &dyn Fn(&QuantisedFile) -> String| {
            [what.to_string(), text(before), text(after)]
        };
        let quality = format!("{} {}", self.part, self.quality_name);
        let mut rows = vec![
            of("file", &|file| file.file.clone()),
            of("bytes", &|file| file.bytes.to_string()),
            of(&quality, &|file| format!("{:.2} %", 100.0 * file.quality)),
        ];
        for (one, other) in before.latency.iter().zip(&after.latency) {
            let time = |latency: &Latency| format!("{:.3} ms", latency.median_ms);
            let what = format!("latency, batch {}", one.batch);
            rows.push([what, time(one), time(other)]);
        }
        rows
    }

    /// The difference of quality in words.
    pub(crate) fn difference_text(&self) -> String {
        let PairedDifference {
            difference,
            low,
            high,
            ..
        } = self.difference;
        let [difference, low, high] = [difference, low, high].map(|value| 100.0 * value);
        format!(
            "{difference:+.2} points of {} (95 %: {low:+.2} to {high:+.2}) on {} {} {}s",
            self.quality_name, self.samples, self.part, self.noun
        )
    }
}

impl fmt::Display for Quantised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["", "before", "8-bit"].map(str::to_string);
        let rows = std::iter::once(head).chain(self.rows());
        write_table(f, &[Align::Left, Align::Right, Align::Right], rows)?;
        writeln!(f, "{}", self.difference_text())?;
        let engine = self
            .after
            .latency
            .first()
            .map(|latency| latency.engine.as_str());
        writeln!(
            f,
            "by {}, calibrated on {} training {}s{}",
            self.by,
            self.inputs,
            self.noun,
            engine.map_or_else(String::new, |engine| format!("; timed in {engine}"))
        )
    }
}
