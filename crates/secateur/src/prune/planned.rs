//! What was asked for, read and checked, before anything takes long.

use std::path::Path;

use secateur_net::data::Source;
use secateur_onnx::model::Model;
use secateur_onnx::text::counted;
use secateur_search::config::Budget;
use secateur_search::environment::training::{OutsideData, Problem};
use secateur_search::search::Observer;
use secateur_search::store::RunDir;

use super::measure::Measures;
use super::{PruneError, Searched, budgets, given};
use crate::guessing::Guessing;
use crate::latency::{BudgetTiming, LatencyGauge, LatencyTable};
use crate::pruner::Pruner;
use crate::runtime::Engines;

/// File of the table of times in the folder of a run.
const TABLE: &str = "latency.json";

/// The table of times that a run was begun with.
pub(super) fn begun_table(run_dir: &Path) -> Option<LatencyTable> {
    let text = fs_err::read_to_string(run_dir.join(TABLE)).ok()?;
    serde_json::from_str(&text).ok()
}

/// A run that can begin.
pub(super) struct Planned {
    pub problem: Problem,
    pub engines: Engines,
    /// Where a budget is a latency.
    timing: Option<BudgetTiming>,
    budgets: Vec<Budget>,
}

/// Reads network and data, and checks what of the settings goes by them; where a budget is a latency, the layers
/// are timed unless their table is known, and they keep multiples of the engine's block unless told otherwise.
pub(super) fn plan(
    pruner: &mut Pruner<'_>,
    (path, model): (&Path, Model),
    source: &Source,
    known: Option<LatencyTable>,
    observer: &mut dyn Observer,
) -> Result<Planned, PruneError> {
    let config = &pruner.config;
    let engines = Engines::of(&config.runtime)?;
    let (data, search) = (&config.data, &config.search);
    let mut engine = pruner.engine.clone();
    if let Some(memory) = config.training.memory {
        engine = engine.with_memory(memory.get());
    }
    let mut problem = Problem::new(model, source, data, search, &engine)?;
    if let Some(trainer) = &pruner.trainer {
        let data = trainer.data();
        problem.trained_on(data.samples, search.reference_epochs);
        problem.notes.push(outside_note(data));
    }
    given::check_original(&problem)?;
    let timing = BudgetTiming::for_budgets(
        budgets(config),
        ((path, &problem.model), &problem.space),
        &engines,
        &config.latency,
        known,
        &mut |engine, done, of| {
            observer.preparing(&format!(
                "timing layers in {engine}: {done} of {of} networks"
            ));
        },
    )?;
    if let Some(timing) = &timing {
        problem.space = timing.lay_over(&problem.model, problem.space)?;
        problem.notes.push(timing.note());
        let search = &mut pruner.config.search;
        search.round_to = timing.round_to(search.round_to);
    }
    let config = &pruner.config;
    for budget in budgets(config) {
        problem.space.check_budget(budget, config.search.round_to)?;
    }
    if !config.search.force
        && let Some(guessing) = Guessing::find(&problem)?
    {
        return Err(PruneError::Guessing(Box::new(guessing)));
    }
    Ok(Planned {
        budgets: budgets(config).to_vec(),
        problem,
        engines,
        timing,
    })
}

/// Who trains, and on what.
fn outside_note(data: OutsideData) -> String {
    format!(
        "recoveries were trained outside of secateur, in steps of {} of {}",
        counted(data.batch_size, "sample"),
        data.samples
    )
}

impl Planned {
    /// Keeps the table of times, so that a run which goes on counts as it began.
    pub fn keep(&self, store: &RunDir) -> Result<(), PruneError> {
        let Some(timing) = &self.timing else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(&timing.table).unwrap_or_default();
        Ok(store.write_text(TABLE, &text)?)
    }

    /// What measures networks against budgets of latency.
    pub fn gauge(&self) -> Option<LatencyGauge<'_>> {
        let timing = self.timing.as_ref()?;
        let Problem { model, space, .. } = &self.problem;
        Some(LatencyGauge::new(model, space, timing, &self.budgets))
    }

    /// Measures the given network, which lies at `file`, and what a search brought.
    pub fn measures(
        &self,
        file: &Path,
        searched: &Searched,
        gauge: Option<&LatencyGauge<'_>>,
    ) -> Result<Measures, PruneError> {
        Measures::take(
            &self.problem,
            file,
            &searched.networks,
            &self.engines,
            gauge,
        )
    }
}
