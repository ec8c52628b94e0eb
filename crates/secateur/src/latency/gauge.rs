//! Networks beside the given one, timed in the engine.

use std::cell::RefCell;
use std::collections::HashMap;

use secateur_onnx::coupling::Masks;
use secateur_onnx::graph::Graph;
use secateur_onnx::model::Model;
use secateur_onnx::surgery;
use secateur_search::config::{Budget, Metric, Target};
use secateur_search::gauge::Gauge;
use secateur_search::space::Space;

use super::budget::Timing;
use super::{LatencyFigures, NS, together};
use crate::bench::Millis;
use crate::runtime::{feeds, first_that_runs};

/// Times networks as they will be written.
pub struct LatencyGauge<'a> {
    model: &'a Model,
    space: &'a Space,
    timing: &'a Timing,
    /// Budgets of which one is a latency, all to be met by one network.
    joined: Option<Target>,
    /// What was measured: an answer does not waver.
    known: RefCell<HashMap<Masks, Timed>>,
}

/// A network's time beside the given one's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Timed {
    /// Of the given network.
    pub given_ms: Millis,
    /// Of the network.
    pub ms: Millis,
}

impl Timed {
    /// Share of the given network's time.
    pub fn share(&self) -> f64 {
        self.ms / self.given_ms
    }
}

impl<'a> LatencyGauge<'a> {
    /// For a network whose layers were timed in those engines.
    pub(crate) fn new(
        model: &'a Model,
        space: &'a Space,
        timing: &'a Timing,
        budgets: &[Budget],
    ) -> Self {
        let mut targets = Target::of(budgets, &space.size);
        targets.retain(|target| target.budgets.len() > 1);
        Self {
            model,
            space,
            timing,
            joined: targets.pop(),
            known: RefCell::default(),
        }
    }

    /// The network of these masks and the given one, in turn.
    ///
    /// # Errors
    /// Says why they cannot be timed.
    pub fn time(&self, masks: &Masks) -> Result<Timed, String> {
        if let Some(timed) = self.known.borrow().get(masks) {
            return Ok(*timed);
        }
        let small = surgery::remove(self.model, &self.space.groups, masks);
        let small = small.map_err(|error| error.to_string())?;
        let timed = self.pair(&small)?;
        self.known.borrow_mut().insert(masks.clone(), timed);
        Ok(timed)
    }

    /// What a network of these masks takes, whose budget allows `allowed` of the given one's time.
    ///
    /// # Errors
    /// Says why it cannot be timed.
    pub fn figures(&self, masks: &Masks, allowed: Option<f64>) -> Result<LatencyFigures, String> {
        let predicted = self.space.count(masks).latency;
        Ok(self.timing.figures(self.time(masks)?, predicted, allowed))
    }

    fn pair(&self, small: &Model) -> Result<Timed, String> {
        let graph = Graph::outline(self.model).map_err(|error| error.to_string())?;
        let feeds = feeds(&graph, self.timing.table.batch)?;
        let engines = self
            .timing
            .engines
            .for_timing()
            .map_err(|error| error.to_string())?;
        let times = first_that_runs(&engines, "the given network".as_ref(), |engine| {
            let load = |model| engine.load(model, graph.nodes.len(), &feeds);
            let mut models = vec![load(self.model)?, load(small)?];
            together(&mut models)
        });
        let times = times.map_err(|error| error.to_string())?;
        let [given_ms, ms] = [times[0], times[1]];
        Ok(Timed { given_ms, ms })
    }
}

impl Gauge for LatencyGauge<'_> {
    fn excess(&self, masks: &Masks, share: f64) -> Option<f64> {
        let joined = self.joined.as_ref();
        let share = joined.and_then(Target::latency).unwrap_or(share);
        let others = joined.map_or(0.0, |target| {
            let counted = target
                .budgets
                .iter()
                .filter(|b| b.metric != Metric::Latency);
            let of = |b: &Budget| self.space.remaining(b.metric, masks) / b.remaining;
            counted.map(of).fold(0.0, f64::max)
        });
        match self.time(masks) {
            Ok(timed) => {
                let predicted = self.space.count(masks).latency as f64 / NS;
                tracing::info!(
                    "a network of {:.3} ms by the layers' times takes {:.3} ms, {:.1} % of the given \
                     one's {:.3} ms; {:.1} % are allowed",
                    predicted,
                    timed.ms,
                    100.0 * timed.share(),
                    timed.given_ms,
                    100.0 * share
                );
                Some(others.max(timed.share() / share))
            }
            Err(reason) => {
                tracing::warn!("a network was not timed: {reason}");
                None
            }
        }
    }
}
