//! What budgets of latency need before kernels are chosen, and what came of them.

use std::path::Path;

use secateur_onnx::OnnxError;
use secateur_onnx::model::Model;
use secateur_search::config::{Budget, LatencyConfig, Metric};
use secateur_search::space::Space;
use serde::{Deserialize, Serialize};

use super::{CHECKS, LatencyTable, NS, Timed, TimingObserver};
use crate::bench::Millis;
use crate::runtime::{Engines, RuntimeError};

/// The engine that budgets of latency are for, and its times of the network's layers.
pub(crate) struct Timing {
    pub table: LatencyTable,
    pub engines: Engines,
}

impl Timing {
    /// Measures the network, if a budget is a latency, unless its table is known.
    ///
    /// # Errors
    /// [`RuntimeError`] where no engine runs the network.
    pub fn for_budgets(
        budgets: &[Budget],
        (model, space): ((&Path, &Model), &Space),
        engines: &Engines,
        config: &LatencyConfig,
        known: Option<LatencyTable>,
        observer: &mut TimingObserver<'_>,
    ) -> Result<Option<Self>, RuntimeError> {
        if budgets
            .iter()
            .all(|budget| budget.metric != Metric::Latency)
        {
            return Ok(None);
        }
        let engines = engines.clone().with_threads(config.threads);
        let table = match known {
            Some(table) => same_engine(table, &engines)?,
            None => {
                LatencyTable::measure(model, space, &engines, (config.batch, CHECKS), observer)?
            }
        };
        Ok(Some(Self { table, engines }))
    }

    /// The space of a model with the table of times.
    ///
    /// # Errors
    /// [`OnnxError::Graph`] if shapes contradict each other.
    pub fn lay_over(&self, model: &Model, space: Space) -> Result<Space, OnnxError> {
        let latency = self.table.latency(model, &space)?;
        Ok(space.with_latency(latency, NS * self.table.given_ms))
    }

    /// Kernels that layers keep multiples of: as asked for, else the engine's block.
    pub fn round_to(&self, asked: usize) -> usize {
        match asked {
            0 | 1 => self.table.block_size(),
            asked => asked,
        }
    }

    /// How the times were measured, and how well they tell those of whole networks.
    pub fn note(&self) -> String {
        let table = &self.table;
        let errors = table.errors().map_or_else(String::new, |(most, middle)| {
            format!(
                "; of networks of other widths they were off by {:.1} % in the middle, {:.1} % at most",
                100.0 * middle,
                100.0 * most
            )
        });
        let block = match table.block_size() {
            1 => String::new(),
            size => format!("; it computes channels in blocks of {size}"),
        };
        format!(
            "latency is counted by times of layers in {}, batch {}{errors}{block}",
            table.engine, table.batch
        )
    }

    /// What a network takes beside the given one.
    pub fn figures(&self, timed: Timed, predicted_ns: u64, allowed: Option<f64>) -> LatencyFigures {
        LatencyFigures {
            engine: self.table.engine.clone(),
            batch: self.table.batch,
            given_ms: timed.given_ms,
            ms: timed.ms,
            predicted_ms: predicted_ns as f64 / NS,
            allowed,
        }
    }
}

/// The table of a run that goes on, if its engine is among those at hand: times of another would be
/// held against it.
fn same_engine(table: LatencyTable, engines: &Engines) -> Result<LatencyTable, RuntimeError> {
    let at_hand = engines.for_timing()?;
    let names: Vec<String> = at_hand.iter().map(|engine| engine.describe()).collect();
    match names.contains(&table.engine) {
        true => Ok(table),
        false => Err(RuntimeError::OtherEngine {
            begun: table.engine,
            at_hand: names.join(" and "),
        }),
    }
}

/// A written network's time beside the given one's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyFigures {
    /// Engine, with its version and threads.
    pub engine: String,
    /// Samples at once.
    pub batch: usize,
    /// Of the given network.
    pub given_ms: Millis,
    /// Of the written one.
    pub ms: Millis,
    /// Of the written one by the times of its layers.
    pub predicted_ms: Millis,
    /// Share of the given network's time that its budget allows.
    pub allowed: Option<f64>,
}

impl LatencyFigures {
    /// Share of the given network's time.
    pub fn share(&self) -> f64 {
        self.ms / self.given_ms
    }

    /// True if it takes longer than its budget allows.
    pub fn misses(&self) -> bool {
        self.allowed.is_some_and(|allowed| self.share() > allowed)
    }

    /// `3.102 ms, 43.1 % of the given network's 7.197 ms (3.215 ms by the layers' times)`.
    pub fn text(&self) -> String {
        let miss = match self.allowed.filter(|_| self.misses()) {
            Some(allowed) => format!(", more than the {:.1} % of its budget", 100.0 * allowed),
            None => String::new(),
        };
        format!(
            "takes {:.3} ms in {}, batch {}: {:.1} % of the given network's {:.3} ms{miss} ({:.3} ms \
             by the layers' times)",
            self.ms,
            self.engine,
            self.batch,
            100.0 * self.share(),
            self.given_ms,
            self.predicted_ms
        )
    }
}
