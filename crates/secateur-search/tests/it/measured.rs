//! Searches that go by the user's own measure: what it is asked of, how often, and what becomes of
//! a run in which it fails or is stopped.

use std::cell::RefCell;

use secateur_net::Engine;
use secateur_onnx::coupling::Masks;
use secateur_search::config::{Metric, Mode, PruneConfig};
use secateur_search::environment::{Environment, Standing};
use secateur_search::error::SearchError;
use secateur_search::measure::{MeasureError, Measuring, Reading, UserMeasure};
use secateur_search::policies;
use secateur_search::promise::{Finish, MeasureFloor};
use secateur_search::search::{Observer, Outcome, Search};
use secateur_search::store::{Memory, Store};

use crate::table::{Table, WHOLE, config, to_a_third};

/// Number of the given network.
const GIVEN: f64 = 50.0;

/// Gives a number that falls with quality, except where it is told to fail or to see a stop.
#[derive(Default)]
struct Log {
    /// Networks in turn, by the kernels that are on.
    asked: Vec<Masks>,
    /// Fails at the call of this number, from 0.
    fails_at: Option<usize>,
}

struct Measure<'a> {
    log: &'a RefCell<Log>,
    sign: f64,
}

impl UserMeasure<Standing> for Measure<'_> {
    fn measure(
        &mut self,
        _: &str,
        network: &Standing,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, MeasureError> {
        if stop() {
            return Err(MeasureError::Stopped);
        }
        let mut log = self.log.borrow_mut();
        if log.fails_at == Some(log.asked.len()) {
            log.fails_at = None;
            return Err(MeasureError::Failed("the script died".into()));
        }
        log.asked.push(network.masks.clone());
        Ok(self.sign * GIVEN * network.quality / WHOLE)
    }
}

/// A run of a table; `goes_on` with the store's.
fn run(
    config: &PruneConfig,
    store: &mut Memory,
    log: &RefCell<Log>,
    goes_on: bool,
    observer: &mut dyn Observer,
) -> Result<Outcome<Table>, SearchError> {
    let policy = policies::by_name(config, None, &Engine::fused()).unwrap();
    let table = Table::new(config.clone(), 7);
    let sign = if config.measure.lower_is_better {
        -1.0
    } else {
        1.0
    };
    let measure = Box::new(Measure { log, sign });
    let search = if goes_on {
        Search::resume(table, policy, config, store, Some(measure))?
    } else {
        let given = Reading {
            number: sign * GIVEN,
            seconds: 0.0,
        };
        let measuring = Measuring { measure, given };
        Search::begin(table, policy, config, store, "table", Some(measuring))?
    };
    search.run(observer)
}

fn undisturbed(config: &PruneConfig) -> (Outcome<Table>, Log) {
    let log = RefCell::default();
    let outcome = run(config, &mut Memory::default(), &log, false, &mut ()).unwrap();
    (outcome, log.into_inner())
}

fn aec(max_drop: f64) -> PruneConfig {
    config(Mode::Aec { max_drop }, "taylor-global")
}

/// No network twice.
fn assert_distinct(asked: &[Masks]) {
    for (n, masks) in asked.iter().enumerate() {
        assert!(
            !asked[..n].contains(masks),
            "network {n} was measured twice"
        );
    }
}

#[test]
fn the_smallest_recovered_network_that_holds_by_number_is_taken() {
    for lower_is_better in [false, true] {
        let mut config = aec(20.0);
        config.measure.lower_is_better = lower_is_better;
        let (outcome, log) = undisturbed(&config);
        let sign = if lower_is_better { -1.0 } else { 1.0 };
        let floor = MeasureFloor::new(sign * GIVEN, 20.0, lower_is_better);
        let readings = outcome.readings.as_ref().unwrap();
        assert_eq!(readings.candidates.len(), log.asked.len());
        assert!((2..=config.search.recover_tries).contains(&log.asked.len()));
        assert!(
            readings
                .candidates
                .iter()
                .all(|c| c.finish == Finish::Recovered)
        );
        assert_distinct(&log.asked);
        let number = |c: &secateur_search::promise::Candidate| c.reading.unwrap().number;
        let held = readings
            .candidates
            .iter()
            .filter(|c| floor.holds(number(c)));
        let smallest = held.map(|c| c.remaining).fold(f64::INFINITY, f64::min);
        let found = &outcome.outputs[0];
        let space = outcome.environment.space();
        let remaining = space.remaining(Metric::Params, &found.state.masks);
        assert_eq!(remaining, smallest);
        assert!(floor.holds(found.reading.unwrap().number) && remaining < 0.6);
        // Both sides of the floor were seen on the way to it.
        assert!(readings.candidates.iter().any(|c| !floor.holds(number(c))));
    }
}

#[test]
fn where_no_number_holds_the_given_network_is_returned() {
    let (outcome, _) = undisturbed(&aec(0.0));
    let found = &outcome.outputs[0];
    assert_eq!(found.record, None);
    assert_eq!(found.reading.unwrap().number, GIVEN);
    let said = &outcome.warnings[0];
    assert!(said.contains("floor of 50 on the measure"), "{said}");
    assert!(said.contains("with `max_drop`"), "{said}");
}

#[test]
fn where_size_is_promised_only_the_results_are_measured() {
    let (outcome, log) = undisturbed(&to_a_third("taylor-global"));
    assert_eq!(log.asked.len(), 1);
    let found = &outcome.outputs[0];
    assert_eq!(found.state.masks, log.asked[0]);
    let expected = GIVEN * found.state.quality / WHOLE;
    assert_eq!(found.reading.unwrap().number, expected);
}

#[test]
fn a_run_goes_on_after_a_failure_without_asking_again() {
    for (config, name) in [(aec(20.0), "aec"), (to_a_third("taylor-global"), "ceca")] {
        let (whole, undisturbed) = undisturbed(&config);
        for fails_at in 0..undisturbed.asked.len() {
            let log = RefCell::new(Log {
                fails_at: Some(fails_at),
                ..Log::default()
            });
            let mut store = Memory::default();
            let failed = run(&config, &mut store, &log, false, &mut ()).err();
            let text = failed.unwrap().to_string();
            assert!(text.contains("the script died"), "{text}");
            let epochs = store.read().unwrap().1.len();
            let outcome = run(&config, &mut store, &log, true, &mut ()).unwrap();
            assert_eq!(log.borrow().asked, undisturbed.asked, "{name}");
            let masks = |outcome: &Outcome<Table>| outcome.outputs[0].state.masks.clone();
            assert_eq!(masks(&outcome), masks(&whole), "{name}");
            let history = store.read().unwrap().1;
            assert!(epochs > 0 && history.len() >= epochs);
        }
    }
}

/// Asks to stop as soon as a measurement begins.
#[derive(Default)]
struct StopAtMeasure(bool);

impl Observer for StopAtMeasure {
    fn measuring(&mut self, _: &str) {
        self.0 = true;
    }

    fn stop_requested(&self) -> bool {
        self.0
    }
}

#[test]
fn stopped_in_a_measurement_it_goes_on_there() {
    let config = aec(20.0);
    let (_, undisturbed) = undisturbed(&config);
    let log = RefCell::default();
    let mut store = Memory::default();
    let mut observer = StopAtMeasure::default();
    let stopped = run(&config, &mut store, &log, false, &mut observer);
    assert!(matches!(
        stopped.err(),
        Some(SearchError::Interrupted { .. })
    ));
    assert!(log.borrow().asked.is_empty());
    run(&config, &mut store, &log, true, &mut ()).unwrap();
    assert_eq!(log.borrow().asked, undisturbed.asked);
}

#[test]
fn with_and_without_a_measure_are_two_runs() {
    let config = aec(20.0);
    let policy = || policies::by_name(&config, None, &Engine::fused()).unwrap();
    let table = || Table::new(config.clone(), 7);
    let log = RefCell::default();
    let mut store = Memory::default();
    run(&config, &mut store, &log, false, &mut ()).unwrap();
    let other = Search::resume(table(), policy(), &config, &mut store, None).err();
    let text = other.unwrap().to_string();
    assert!(text.contains("begun with a measure of its own"), "{text}");

    let mut store = Memory::default();
    let search = Search::begin(table(), policy(), &config, &mut store, "table", None).unwrap();
    search.run(&mut ()).unwrap();
    let text = run(&config, &mut store, &log, true, &mut ()).err();
    let text = text.unwrap().to_string();
    assert!(
        text.contains("begun without a measure of its own"),
        "{text}"
    );
}
