//! How far a run says it is, against what it turns out to cost.

use secateur::data::{self, DataConfig};
use secateur::{Files, Pruner};
use secateur_search::config::PruneConfig;
use secateur_search::search::{Observer, Progress};
use secateur_search::store::read_run;

use crate::common::{data_dir, net, quick_config};

#[derive(Default)]
struct Seen(Vec<Progress>);

impl Observer for Seen {
    fn step(&mut self, progress: &Progress) {
        self.0.push(progress.clone());
    }
}

/// Runs to its end by the quick settings, with a bound to the cost that the run meets.
fn check(mode: &str, max_cost: f64) {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(quick_config(folder.path(), mode)).unwrap();
    let mut config: PruneConfig = toml::from_str(&text).unwrap();
    config.search.max_cost = max_cost;
    config.search.recover_steps = Some(60);
    config.search.hold_loss = false;
    let source = data::open(&data_dir(), &DataConfig::default()).unwrap();
    let files = Files::new(net(), folder.path().join("small.onnx"));
    let mut seen = Seen::default();
    let pruner = Pruner::with_config(config);
    let report = pruner.run_files(&files, &source, &mut seen).unwrap();
    let (_, history) = read_run(&files.run_dir).unwrap();
    assert!(history.len() > 4);
    let seen = seen.0;
    let last = seen.last().unwrap();
    assert_eq!(last.step, last.steps);
    assert!(last.fraction() > 0.999, "{mode}: {last:?}");
    assert!(last.left() <= 0.0, "{mode}: {last:?}");
    for progress in &seen {
        let done = progress.done + progress.step_work * progress.step as f64;
        let truth = done / report.search_work;
        let told = progress.fraction();
        assert!(
            (told - truth).abs() < 0.15,
            "{mode}: {truth} is told as {told}: {progress:?}"
        );
    }
}

#[test]
fn the_share_of_a_run_is_near_from_the_first_step_on() {
    check(crate::common::MODE, 100.0);
    check("{ kind = \"aec\", max_drop = 90.0 }", 100.0);
}
